"""`inbox migrate`."""

import rich_click as click


@click.command()
@click.option("--to", "revision", default="head", show_default=True, help="Revision to upgrade to.")
@click.option("--down-to", help="Revision to go back to instead: a name, or `base` for an empty database.")
@click.option(
    "--naive-times-are-utc",
    is_flag=True,
    help="Says that the times in a database of the old system are UTC although its TimeZone is another.",
)
def migrate(*, revision: str, down_to: str | None, naive_times_are_utc: bool) -> None:
    """Bring the database to this version. Safe to run from ten replicas at once, and again.

    A database made by the scripts of the old system is recognised, stamped and upgraded in place with its data. One
    that is only partly there is refused with a list of what is missing, and left as it is.
    """
    from inbox.main.failures import explained  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.starting import prepared_here  # noqa: PLC0415

    with explained(), prepared_here() as runtime:
        from inbox.main import migrating  # noqa: PLC0415

        if down_to is not None:
            done = migrating.downgrade(runtime.database_url, down_to, sealer=runtime.sealer)
        else:
            done = migrating.upgrade(
                runtime.database_url,
                sealer=runtime.sealer,
                revision=revision,
                naive_times_are_utc=naive_times_are_utc,
                report=lambda step: click.echo(f"  {step}"),
            )
        if done.adopted:
            click.echo("The database of the old system was recognised and adopted.")
        click.echo(f"The database is at {done.after or 'nothing'} ({len(done.steps)} steps).")
