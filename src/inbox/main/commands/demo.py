"""`inbox demo`."""

import sys

import rich_click as click

FAULTS = {"send-500": {"action": "http_error", "kind": "send", "status": 500}}


@click.command()
@click.option(
    "--once", is_flag=True, help="Play one scripted conversation, print a table and one line of JSON, and end."
)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port of the service; 0 takes a free one.")
@click.option(
    "--every", type=click.FloatRange(0.5, 3600), default=8.0, show_default=True, help="Seconds between customers."
)
@click.option(
    "--fault", type=click.Choice(sorted(FAULTS)), help="With --once: make WhatsApp fail, to see a failing run."
)
def demo(*, once: bool, port: int | None, every: float, fault: str | None) -> None:
    """Show the whole product on this machine: nothing to install, configure or pay.

    Starts an embedded PostgreSQL, emulators of WhatsApp and Gemini, and the service; seeds two accounts, people of
    every role and some history; then customers write now and then. With --once it exits with 0 only if every step of
    a conversation was seen from outside.
    """
    from inbox.main.demo.showing import play_on, play_once  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.failures import explained  # noqa: PLC0415
    from inbox.main.settings import Settings  # noqa: PLC0415
    from inbox.main.starting import configure_process, run_loop  # noqa: PLC0415
    from inbox.main.stopping import stopped_by_signals  # noqa: PLC0415
    from inbox.main.watching_settings import Log  # noqa: PLC0415

    configure_process(Settings(log=Log(level="error")))
    with explained():
        if once:
            sys.exit(0 if run_loop(play_once(port=port or 0, fault=FAULTS.get(fault or ""))) else 1)

        async def stay() -> None:
            await play_on(port=8000 if port is None else port, every=every, stop=stopped_by_signals())

        run_loop(stay())
