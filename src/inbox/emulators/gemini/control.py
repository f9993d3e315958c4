"""`/_emu`: what tests, the demo and operators may order from outside the vendor's API."""

from typing import Any, Final, TypeAlias

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromQuery

from inbox.emulators.faults import ArmedRule
from inbox.emulators.gemini.emulator import GeminiEmulator
from inbox.emulators.gemini.knobs import rule_from
from inbox.emulators.gemini.rules import Rule
from inbox.emulators.gemini.script import Scripted
from inbox.emulators.gemini.sending import AnyRequest

MAX_ENTRIES: Final = 1_000

Emulator: TypeAlias = NamedDependency[GeminiEmulator]


@get("/_emu/health")
async def health(emulator: Emulator) -> dict[str, object]:
    return {"emulator": "gemini", "ok": True, "counts": emulator.ledger.counts()}


@get("/_emu/faults")
async def list_faults(emulator: Emulator) -> list[ArmedRule]:
    return emulator.faults.list()


@post("/_emu/faults")
async def add_fault(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """A fault rule, or the same with `knob` in place of `action`; answers its serial."""
    try:
        return {"serial": emulator.faults.add(rule_from(await _object(request)))}
    except (ValueError, msgspec.ValidationError) as error:
        raise ClientException(str(error)) from error


@delete("/_emu/faults", status_code=200)
async def clear_faults(emulator: Emulator, name: FromQuery[str | None] = None) -> dict[str, int]:
    return {"removed": emulator.faults.clear(name)}


@get("/_emu/script")
async def script_length(emulator: Emulator) -> dict[str, int]:
    return {"waiting": len(emulator.script)}


@post("/_emu/script")
async def add_script(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """One scripted answer or a list of them, given in this order."""
    entries = _decoded(await request.body(), Scripted | list[Scripted])
    try:
        emulator.script.add(entries if isinstance(entries, list) else [entries])
    except ValueError as error:
        raise ClientException(str(error)) from error
    return {"waiting": len(emulator.script)}


@delete("/_emu/script", status_code=204)
async def clear_script(emulator: Emulator) -> None:
    emulator.script.clear()


@get("/_emu/rules")
async def list_rules(emulator: Emulator) -> list[Rule]:
    return list(emulator.rules)


@put("/_emu/rules", status_code=200)
async def replace_rules(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """All keyword rules anew; the first that fits wins. An empty list leaves the echo alone."""
    rules: list[Rule] = _decoded(await request.body(), list[Rule])
    if len(rules) > MAX_ENTRIES:
        raise ClientException(f"at most {MAX_ENTRIES} rules")
    emulator.rules = tuple(rules)
    return {"rules": len(rules)}


@get("/_emu/ledger")
async def ledger(
    emulator: Emulator,
    kind: FromQuery[str | None] = None,
    after: FromQuery[int] = 0,
    limit: FromQuery[int] = MAX_ENTRIES,
) -> dict[str, object]:
    """What was asked and answered: sizes, statuses, digests; no bodies and no keys."""
    kept = emulator.ledger
    return {
        "entries": kept.entries(kind, after=after, limit=max(0, min(limit, MAX_ENTRIES))),
        "counts": kept.counts(),
        "last_serial": kept.last_serial,
        "spilled": kept.spilled,
    }


@post("/_emu/reset", status_code=204)
async def reset(emulator: Emulator) -> None:
    emulator.reset()


async def _object(request: AnyRequest) -> dict[str, Any]:
    value: dict[str, Any] = _decoded(await request.body(), dict[str, Any])
    return value


def _decoded(raw: bytes, kind: Any) -> Any:  # noqa: ANN401 - msgspec takes any type form
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientException(f"bad body: {error}") from error
