"""`inbox serve`."""

import rich_click as click


@click.command()
@click.option("--no-worker", is_flag=True, help="Only the web side; run `inbox worker` beside it.")
@click.option("--host", help="Address to listen on, instead of INBOX_HTTP_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of INBOX_HTTP_PORT.")
def serve(*, no_worker: bool, host: str | None, port: int | None) -> None:
    """Run the service: webhooks, REST, and the worker inside.

    Without INBOX_DATABASE_URL (or DATABASE_URL) an embedded PostgreSQL keeps the data in your user data folder.
    Stops on SIGTERM or Ctrl-C: what is on the wire is finished first.
    """
    from inbox.main.failures import explained  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.starting import start  # noqa: PLC0415

    with explained():
        start(web=True, worker=not no_worker, host=host, port=port)
