"""The audit trail: lines that are there exactly if what they tell is, and that nobody changes afterwards."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.audit import AuditEntry
from inbox.domain.ids import uuid7

# The time of the line, not of its transaction: who waited for somebody else's change comes behind it.
_WRITE: Final = text("""
insert into audit_entries (id, actor_kind, actor_id, action, target, account_id, details, at)
select u.*, clock_timestamp()
from unnest(cast(:ids as uuid[]), cast(:actor_kinds as text[]), cast(:actor_ids as uuid[]),
            cast(:actions as text[]), cast(:targets as text[]), cast(:account_ids as uuid[]),
            cast(:details as jsonb[])) u
""")


async def write(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Appends `entries` in their order, in one statement."""
    if not entries:
        return
    values = {
        "ids": sorted(uuid7() for _ in entries),  # lines of one moment are read in the order of their ids
        "actor_kinds": [entry.actor_kind.value for entry in entries],
        "actor_ids": [entry.actor_id for entry in entries],
        "actions": [entry.action.value for entry in entries],
        "targets": [entry.target for entry in entries],
        "account_ids": [entry.account_id for entry in entries],
        "details": [msgspec.json.encode(entry.details).decode() for entry in entries],
    }
    await connection.execute(_WRITE, values)
