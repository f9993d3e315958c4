"""`inbox worker`."""

import rich_click as click


@click.command()
def worker() -> None:
    """Run the worker alone: ingest, sends and the bot. As many as you like, on as many machines.

    The web side runs as `inbox serve --no-worker` beside it, on the same database.
    """
    from inbox.main.failures import explained  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.starting import start  # noqa: PLC0415

    with explained():
        start(web=False, worker=True)
