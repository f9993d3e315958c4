"""`inbox reset-password`."""

import rich_click as click


@click.command("reset-password")
@click.argument("email")
def reset_password(*, email: str) -> None:
    """Make a link with which EMAIL, who signs in at this service itself, sets a new password.

    Prints it once. It works once, for 24 hours; whoever has it can use it, and no mail is sent. The old password stays
    good until then.
    """
    from inbox.main import administrators  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.failures import explained  # noqa: PLC0415
    from inbox.main.starting import prepared_here, run_loop  # noqa: PLC0415

    with explained(), prepared_here() as runtime:
        from inbox.main import serve  # noqa: PLC0415

        serve.bring_schema_up(runtime)
        handed = run_loop(administrators.reset_password(runtime, email))
    click.echo(f"The link for {email}, shown once, good until {handed.expires_at:%Y-%m-%d %H:%M} UTC:")
    click.echo(handed.url)
