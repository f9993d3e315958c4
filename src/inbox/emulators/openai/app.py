"""The Litestar application of the OpenAI-compatible emulator: `/v1`, and `/_emu` for tests and operators."""

from typing import Any, Final, TypeAlias

import msgspec
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ClientException
from litestar.types import ASGIApp

from inbox.emulators.gemini.sending import AnyRequest
from inbox.emulators.openai.answers import Scripted
from inbox.emulators.openai.config import OpenAiConfig
from inbox.emulators.openai.emulator import OpenAiEmulator
from inbox.emulators.openai.knobs import rule_from

MAX_ENTRIES: Final = 1_000

Emulator: TypeAlias = NamedDependency[OpenAiEmulator]


@get("/v1/models")
async def models(request: AnyRequest, emulator: Emulator) -> ASGIApp:
    return await emulator.answer(request, "models")


@post("/v1/chat/completions", status_code=200)
async def chat(request: AnyRequest, emulator: Emulator) -> ASGIApp:
    return await emulator.answer(request, "generate")


@post("/v1/embeddings", status_code=200)
async def embeddings(request: AnyRequest, emulator: Emulator) -> ASGIApp:
    return await emulator.answer(request, "embed")


@post("/_emu/faults")
async def add_fault(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """A fault rule, or the same with `knob` in place of `action`; answers its serial."""
    value: dict[str, Any] = _decoded(await request.body(), dict[str, Any])
    try:
        return {"serial": emulator.faults.add(rule_from(value))}
    except (ValueError, msgspec.ValidationError) as error:
        raise ClientException(str(error)) from error


@post("/_emu/script")
async def add_script(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """One scripted answer or a list of them, given in this order."""
    entries = _decoded(await request.body(), Scripted | list[Scripted])
    emulator.script.extend(entries if isinstance(entries, list) else [entries])
    return {"waiting": len(emulator.script)}


@get("/_emu/ledger")
async def ledger(emulator: Emulator) -> dict[str, object]:
    return {"entries": emulator.ledger.entries(limit=MAX_ENTRIES), "counts": emulator.ledger.counts()}


@post("/_emu/reset", status_code=204)
async def reset(emulator: Emulator) -> None:
    emulator.reset()


def create_app(config: OpenAiConfig) -> Litestar:
    """An emulator with a state of its own. Inject it by base URL, with `/v1` at its end."""
    emulator = OpenAiEmulator(config)

    def provide() -> OpenAiEmulator:
        return emulator

    async def close() -> None:
        emulator.ledger.close()

    return Litestar(
        [models, chat, embeddings, add_fault, add_script, ledger, reset],
        dependencies={"emulator": Provide(provide, sync_to_thread=False)},
        request_max_body_size=config.max_body,
        logging_config=None,
        openapi_config=None,
        on_shutdown=[close],
    )


def _decoded(raw: bytes, kind: Any) -> Any:  # noqa: ANN401 - msgspec takes any type form
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientException(f"bad body: {error}") from error
