"""`inbox emulator`."""

from pathlib import Path

import rich_click as click


@click.command()
@click.option(
    "--callback-url", default="http://127.0.0.1:8000/webhook/whatsapp", show_default=True, help="Where webhooks go."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--graph-port", type=click.IntRange(0, 65535), default=8101, show_default=True, help="Port of the Graph API."
)
@click.option("--gemini-port", type=click.IntRange(0, 65535), default=8102, show_default=True, help="Port of Gemini.")
@click.option(
    "--auth-port", type=click.IntRange(0, 65535), default=8103, show_default=True, help="Port of Supabase Auth."
)
@click.option(
    "--openai-port",
    type=click.IntRange(0, 65535),
    help="Port of a model that speaks OpenAI's protocol; without it there is none.",
)
@click.option("--app-secret", default="emulator-app-secret", show_default=True, help="Signs webhooks.")
@click.option("--access-token", default="EMULATOR-TOKEN", show_default=True, help="Opens every WABA.")
@click.option("--gemini-key", default="emulator-key", show_default=True, help="The API key that Gemini takes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same ids and same chances.")
@click.option(
    "--ledgers", type=click.Path(file_okay=False, path_type=Path), help="Folder for append-only ledger files."
)
def emulator(  # noqa: PLR0913 - an option each
    *,
    callback_url: str,
    host: str,
    graph_port: int,
    gemini_port: int,
    auth_port: int,
    openai_port: int | None,
    app_secret: str,
    access_token: str,
    gemini_key: str,
    seed: int,
    ledgers: Path | None,
) -> None:
    """Run the emulators alone: Meta's Graph API, models and Supabase Auth, to develop without any of their accounts.

    Each has a control API under /_emu: accounts, customers, messages, faults, clock, and a ledger of all it got and
    delivered. Stops on SIGTERM or Ctrl-C.
    """
    from inbox.main.emulators import Plan, emulating  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.failures import explained  # noqa: PLC0415
    from inbox.main.starting import run_loop  # noqa: PLC0415
    from inbox.main.stopping import stopped_by_signals  # noqa: PLC0415

    if ledgers is not None:
        ledgers.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        callback_url=callback_url,
        app_secret=app_secret,
        access_token=access_token,
        gemini_key=gemini_key,
        supabase_keys=("sb_publishable_emulator", "sb_secret_emulator"),
        seed=seed,
        ports=(graph_port, gemini_port, auth_port),
        openai_port=openai_port,
        host=host,
        ledgers=ledgers,
    )

    async def stay() -> None:
        async with emulating(plan) as running:
            click.echo(f"Graph API      INBOX_WHATSAPP_GRAPH_URL={running.graph_api.url}  control: /_emu")
            click.echo(f"Gemini         INBOX_GEMINI_URL={running.gemini.url}  INBOX_GEMINI_API_KEY={gemini_key}")
            if running.openai is not None:
                click.echo(
                    f"OpenAI         INBOX_OPENAI_URL={running.openai.url}/v1  INBOX_OPENAI_MODEL=emulated-large"
                )
            click.echo(f"Supabase Auth  INBOX_SUPABASE_URL={running.supabase_auth.url}")
            await stopped_by_signals().wait()

    with explained():
        run_loop(stay())
