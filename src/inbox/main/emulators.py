"""The emulators of Meta, models and Supabase Auth as running servers, for `inbox emulator`, the demo and tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from inbox.emulators import gemini, openai, supabase_auth
from inbox.emulators.graph_api.app import create_app as create_graph_api
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig
from inbox.emulators.serving import Served, serve
from inbox.main.listening import free_address


class Emulators(msgspec.Struct, frozen=True, kw_only=True):
    """Where each one listens."""

    graph_api: Served
    gemini: Served
    supabase_auth: Served
    openai: Served | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the emulators are told at the start. Port 0 takes a free one; `ledgers` is a folder for ledger files.

    There is an OpenAI-compatible model only with `openai_port`.
    """

    callback_url: str
    app_secret: str
    access_token: str
    gemini_key: str
    supabase_keys: tuple[str, str]
    verify_token: str = "emulator-verify-token"  # noqa: S105 - made up, for local use
    seed: int = 0
    behaviour: Behaviour = Behaviour()
    ports: tuple[int, int, int] = (0, 0, 0)
    openai_port: int | None = None
    host: str = "127.0.0.1"
    ledgers: Path | None = None


@asynccontextmanager
async def emulating(plan: Plan) -> AsyncIterator[Emulators]:
    """All of them while the block runs. Raises `SettingsError` for a port that cannot be had."""
    for port in filter(None, (*plan.ports, plan.openai_port)):
        free_address(plan.host, port)
    graph = create_graph_api(
        GraphApiConfig(
            app_secret=plan.app_secret,
            access_token=plan.access_token,
            callback_url=plan.callback_url,
            verify_token=plan.verify_token,
            behaviour=plan.behaviour,
            seed=plan.seed,
            ledger_file=_ledger(plan, "graph_api"),
            ledger_fsync=plan.ledgers is not None,
        )
    )
    model = gemini.create_app(
        gemini.GeminiConfig(api_keys=(plan.gemini_key,), seed=plan.seed, ledger_path=_ledger(plan, "gemini"))
    )
    publishable, secret = plan.supabase_keys
    auth = supabase_auth.create_app(
        supabase_auth.SupabaseAuthConfig(
            publishable_keys=(publishable,),
            secret_keys=(secret,),
            seed=plan.seed,
            ledger_path=_ledger(plan, "supabase_auth"),
        )
    )
    async with AsyncExitStack() as stack:
        other: Served | None = None
        if plan.openai_port is not None:
            config = openai.OpenAiConfig(seed=plan.seed, ledger_path=_ledger(plan, "openai"))
            other = await stack.enter_async_context(serve(openai.create_app(config), plan.host, plan.openai_port))
        yield Emulators(
            graph_api=await stack.enter_async_context(serve(graph, plan.host, plan.ports[0])),
            gemini=await stack.enter_async_context(serve(model, plan.host, plan.ports[1])),
            supabase_auth=await stack.enter_async_context(serve(auth, plan.host, plan.ports[2])),
            openai=other,
        )


def _ledger(plan: Plan, name: str) -> Path | None:
    return plan.ledgers / f"{name}.jsonl" if plan.ledgers is not None else None
