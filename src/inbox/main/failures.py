"""How a command fails: one line on standard error that says what to do, and an exit code that means something."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich_click as click

BAD_SETTING = 2
FAILED = 1


@contextmanager
def explained() -> Iterator[None]:
    """Turns the failures that have words into one line and an exit code. Anything else keeps its traceback."""
    from inbox.domain.errors import InboxError  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.embedded import EmbeddedPostgresError  # noqa: PLC0415
    from inbox.main.settings import SettingsError  # noqa: PLC0415

    try:
        yield
    except SettingsError as error:
        _fail(str(error), BAD_SETTING)
    except (EmbeddedPostgresError, InboxError) as error:
        _fail(f"{error}", FAILED)


def _fail(message: str, code: int) -> None:
    click.echo(f"inbox: {message}", err=True)
    sys.exit(code)


def env_file() -> Path:
    """The optional `.env` of the current folder."""
    return Path.cwd() / ".env"
