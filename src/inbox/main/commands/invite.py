"""`inbox invite`."""

import rich_click as click


@click.command("invite")
@click.argument("email")
@click.option("--role", metavar="SLUG", help="A role that counts for all accounts, like `admin` or `viewer`.")
@click.option("--name", help="The person's name.")
def invite(*, email: str, role: str | None, name: str | None) -> None:
    """Invite EMAIL, who signs in at this service itself.

    Prints a link once, which opens the page where the person sets a password. It works once, for 24 hours; whoever has
    it can use it, and no mail is sent. Who has not set a password yet may be invited again.
    """
    from inbox.main import administrators  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.failures import explained  # noqa: PLC0415
    from inbox.main.starting import prepared_here, run_loop  # noqa: PLC0415

    with explained(), prepared_here() as runtime:
        from inbox.main import serve  # noqa: PLC0415

        serve.bring_schema_up(runtime)
        handed = run_loop(administrators.invite(runtime, email, name, role))
    click.echo(f"{email} is invited. The link, shown once, good until {handed.expires_at:%Y-%m-%d %H:%M} UTC:")
    click.echo(handed.url)
