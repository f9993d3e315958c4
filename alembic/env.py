"""How a revision meets the database, for `inbox migrate` and for the command `alembic` alike.

Values come through `config.attributes` (a URL with `%` breaks the ini file); `inbox.main.migrating` fills them. Without
a connection there this file was started by `alembic` itself, and takes URL and keys from the settings.

    connection            SQLAlchemy connection that holds the migration lock, without open transaction
    sealer                inbox.kit.sealing.Sealer, for the revision that seals tokens
    naive_times_are_utc   True: the operator says that times without zone are UTC (`-x naive_times_are_utc=yes`)
    on_version_apply      called after each revision, as Alembic defines it
    adopt                 set here: the check of a database that the old scripts made
"""

import os
from collections.abc import MutableMapping
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from inbox.adapters.database.postgres import (  # noqa: F401 - they complete the metadata
    inbound_tables,
    knowledge_tables,
    process_tables,
    tables,
    team_tables,
    work_tables,
)
from inbox.adapters.database.postgres.adoption import adopt, recognise
from inbox.adapters.database.postgres.schema_session import run
from inbox.domain.errors import InboxError
from inbox.kit.sealing import Sealer
from inbox.main.settings import SettingsError, load

attributes = context.config.attributes


def is_ours(name: str | None, kind: str, parents: MutableMapping[Any, str | None]) -> bool:
    """Tables that the metadata does not know belong to the operator or to a newer version of the old system."""
    if kind == "table":
        return name in tables.metadata.tables
    return kind == "schema" or parents.get("table_name") in tables.metadata.tables


def is_compared(_: object, __: str | None, kind: str, is_reflected: bool, ours: object) -> bool:  # noqa: FBT001
    """The same for columns, indexes and constraints that somebody added to our tables."""
    return kind == "table" or not (is_reflected and ours is None)


def migrate(connection: Connection) -> None:
    # First and by itself: Alembic makes its version table before the first revision, and a database that is refused
    # must stay as it was.
    recognise(connection)
    connection.rollback()
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        include_name=is_ours,
        include_object=is_compared,
        compare_server_default=True,
        transaction_per_migration=True,
        on_version_apply=attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        context.run_migrations()


def from_settings() -> str:
    """The URL for a run of the command `alembic`; fills the other attributes."""
    settings = load(os.environ)  # noqa: TID251 - started by alembic, there is no other source
    if settings.database.url is None:
        raise CommandError("Set INBOX_DATABASE_URL, or use `inbox migrate`, which can start a PostgreSQL of its own.")
    if settings.encryption.keys is not None:
        attributes.setdefault("sealer", Sealer.from_setting(settings.encryption.keys.reveal()))
    wish = context.get_x_argument(as_dictionary=True).get("naive_times_are_utc")
    attributes.setdefault("naive_times_are_utc", wish == "yes")
    return str(settings.database.url.reveal())


if context.is_offline_mode():
    raise CommandError("A script of SQL (--sql) is not possible: stored tokens are sealed on the way.")
attributes["adopt"] = lambda connection: attributes.setdefault("adopted", adopt(connection))
if "connection" in attributes:
    migrate(attributes["connection"])
else:
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    try:
        run(from_settings(), migrate, alone=True, within=3600.0)
    except (InboxError, SettingsError, ValueError) as error:
        raise CommandError(str(error)) from error
