"""`inbox create-admin`."""

import sys

import rich_click as click


@click.command("create-admin")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of making one.")
def create_admin(*, email: str, password_stdin: bool) -> None:
    """Make EMAIL an administrator who signs in at this service itself.

    Prints a random password once. Somebody who exists already becomes an administrator and keeps the password.
    """
    if "@" not in email.strip("@"):
        raise click.BadParameter("an e-mail address, like you@example.org", param_hint="EMAIL")

    from inbox.main import administrators  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.failures import explained  # noqa: PLC0415
    from inbox.main.starting import prepared_here, run_loop  # noqa: PLC0415

    given = sys.stdin.readline().rstrip("\n") if password_stdin else None
    with explained(), prepared_here() as runtime:
        from inbox.main import serve  # noqa: PLC0415

        serve.bring_schema_up(runtime)
        made = run_loop(administrators.create_admin(runtime, email, given))
    if made is None:
        click.echo(f"{email} existed already and is an administrator now; the password is the old one.")
    else:
        click.echo(f"{email} is an administrator." + ("" if given else f" Password, shown once: {made}"))
