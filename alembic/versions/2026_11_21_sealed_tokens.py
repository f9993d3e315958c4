"""Tokens of WhatsApp accounts are sealed with a key that the database does not have.

`config.attributes["sealer"]` seals, opens and digests (see inbox.kit.sealing). An account is found by a keyed digest of
its verify token. The well-known verify token of the dummy account that old scripts made gets none: nobody can use it.

Afterwards the old service cannot use the database any more. Its clear text is gone from the table's file as well, which
DROP COLUMN alone does not do; older backups and archived WAL still have it, so renew the tokens some day.
"""

from typing import Any

from alembic import context, op
from alembic.util import CommandError
from sqlalchemy import text

revision = "sealed_tokens"
down_revision = "utc_times"
branch_labels = None
depends_on = None

TABLE = "whatsapp_accounts"
COLUMNS = ("access_token", "verify_token")
WELL_KNOWN = "legacy-verify"

SEALED = text("""
    update whatsapp_accounts
    set access_token_sealed = :access_token, verify_token_sealed = :verify_token, verify_token_digest = :digest
    where id = :id
""")
CLEAR = text("update whatsapp_accounts set access_token = :access_token, verify_token = :verify_token where id = :id")


def upgrade() -> None:
    op.execute("""
        alter table whatsapp_accounts
          add column access_token_sealed bytea,
          add column verify_token_sealed bytea,
          add column verify_token_digest bytea
    """)
    rows = op.get_bind().execute(text("select id, access_token, verify_token from whatsapp_accounts order by id")).all()
    for row in rows:
        tokens = {column: sealed(getattr(row, column), column, row.id) for column in COLUMNS}
        op.get_bind().execute(SEALED, {"id": row.id, "digest": digest(row.verify_token), **tokens})
    op.execute("alter table whatsapp_accounts drop column access_token, drop column verify_token")
    op.execute("create index whatsapp_accounts_verify_token_digest on whatsapp_accounts (verify_token_digest)")
    # Writes the table anew, without the dropped columns; VACUUM FULL cannot run in a transaction.
    op.execute("cluster whatsapp_accounts using whatsapp_accounts_pkey")
    op.execute("alter table whatsapp_accounts set without cluster")


def downgrade() -> None:
    """Tokens are clear again, for the old service; one that was not known becomes empty."""
    op.execute("alter table whatsapp_accounts add column access_token text, add column verify_token text")
    query = "select id, access_token_sealed, verify_token_sealed from whatsapp_accounts order by id"
    for row in op.get_bind().execute(text(query)).all():
        tokens = {column: opened(getattr(row, f"{column}_sealed"), column, row.id) for column in COLUMNS}
        op.get_bind().execute(CLEAR, {"id": row.id, **tokens})
    op.execute("""
        alter table whatsapp_accounts
          alter column access_token set not null,
          alter column verify_token set not null,
          drop column access_token_sealed,
          drop column verify_token_sealed,
          drop column verify_token_digest
    """)


def sealed(token: str, column: str, row_id: object) -> bytes | None:
    if not token:
        return None
    envelope: bytes = sealer().seal(token, table=TABLE, column=column, row_id=row_id)
    return envelope


def opened(envelope: bytes | None, column: str, row_id: object) -> str:
    if envelope is None:
        return ""
    token: str = sealer().open(envelope, table=TABLE, column=column, row_id=row_id)
    return token


def digest(token: str) -> bytes | None:
    if not token or token == WELL_KNOWN:
        return None
    found: bytes = sealer().digest(token, "verify_token")
    return found


def sealer() -> Any:  # noqa: ANN401 - a revision depends on nothing of the service
    given = context.config.attributes.get("sealer")
    if given is None:
        raise CommandError("The database holds tokens of accounts: set INBOX_ENCRYPTION_KEYS to seal or open them.")
    return given
