"""`inbox check-settings`."""

import sys

import rich_click as click


@click.command("check-settings")
@click.option("--new-key", is_flag=True, help="Print a new key for INBOX_ENCRYPTION_KEYS and do nothing else.")
def check_settings(*, new_key: bool) -> None:
    """Read the settings as `serve` would, and show what would be used. Values of secrets are never shown.

    Exits with 2 and names the variable if one is wrong. What is only missing yet is said at the end.
    """
    from inbox.main.failures import env_file, explained  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.runtime import missing, new_encryption_key, unseen  # noqa: PLC0415
    from inbox.main.settings import from_environment, overview  # noqa: PLC0415

    if new_key:
        click.echo(new_encryption_key())
        sys.exit(0)
    with explained():
        settings = from_environment(env_file())
        for line in overview(settings):
            click.echo(line)
        for line in filter(None, (*missing(settings), unseen(settings))):
            click.echo(f"inbox: {line}", err=True)
