"""Edits and revokes: each is kept, and a message shows what all of them say together, whatever their order.

The newest edit is the content, the first content stays in `original_content`. A revoked message has no content and no
file for readers; what it said stays in the history. An amendment counts if it comes from the side that wrote the
message, in that very conversation. It may come before its message: then it waits.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain import outgoing
from inbox.domain.contacts import Address
from inbox.domain.content import REVOKED_PREVIEW, Content, Media, MediaKind, Other, message_type, preview
from inbox.domain.events import Event, MessageStep, MessageUpdated
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.inbound import Amendment
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import Document, File

Target: TypeAlias = tuple[UUID, str]
"""Account and wamid of the message that is meant."""

_STORE: Final = text("""
insert into message_amendments (account_id, wamid, target_wamid, contact_id, by_business, content, amended_at)
select u.account_id, u.wamid, u.target, u.contact_id, u.by_business, u.content::jsonb, u.at
from unnest(cast(:accounts as uuid[]), cast(:wamids as text[]), cast(:targets as text[]), cast(:contacts as uuid[]),
            cast(:sides as boolean[]), cast(:contents as text[]), cast(:times as timestamptz[]))
  u(account_id, wamid, target, contact_id, by_business, content, at)
order by u.account_id, u.wamid
on conflict do nothing
returning account_id, target_wamid
""")

_WAITING: Final = text("""
select distinct m.account_id, m.wa_message_id
from messages m join message_amendments a on a.account_id = m.account_id and a.target_wamid = m.wa_message_id
where m.id = any(cast(:ids as uuid[]))
""")

# Old rows may have no account: they are reached through their conversation.
_LOCK: Final = text("""
select m.id, c.account_id, m.conversation_id, c.contact_id, m.wa_message_id, m.direction = 'outbound' as by_business,
       coalesce(m.original_content, m.content)::text as original, m.content_text, m.message_type, m.media_id,
       m.media_mime_type, m.media_filename
from unnest(cast(:accounts as uuid[]), cast(:targets as text[])) u(account_id, target)
join messages m on m.wa_message_id = u.target
join conversations c on c.id = m.conversation_id and c.account_id = u.account_id
where m.account_id = c.account_id or m.account_id is null
order by m.id for no key update of m
""")

_SAID: Final = text("""
select a.account_id, a.target_wamid, a.contact_id, a.by_business, a.content::text as content, a.amended_at, a.wamid
from unnest(cast(:accounts as uuid[]), cast(:targets as text[])) u(account_id, target)
join message_amendments a on a.account_id = u.account_id and a.target_wamid = u.target
""")

_SHOW: Final = text("""
update messages m
set content = u.content::jsonb, content_text = u.content_text, message_type = u.message_type, media_id = u.media_id,
    media_mime_type = u.mime_type, media_filename = u.filename, amended_at = u.amended_at, revoked_at = u.revoked_at,
    original_content = coalesce(m.original_content, u.original::jsonb)
from unnest(cast(:ids as uuid[]), cast(:contents as text[]), cast(:texts as text[]), cast(:types as text[]),
            cast(:media_ids as text[]), cast(:mime_types as text[]), cast(:filenames as text[]),
            cast(:originals as text[]), cast(:amended as timestamptz[]), cast(:revoked as timestamptz[]))
  u(id, content, content_text, message_type, media_id, mime_type, filename, original, amended_at, revoked_at)
where m.id = u.id
  and (m.content, m.content_text, m.amended_at, m.revoked_at)
      is distinct from (u.content::jsonb, u.content_text, u.amended_at, u.revoked_at)
returning m.id, m.revoked_at is not null as is_revoked
""")

_FOLLOW: Final = text("update message_amendments set contact_id = :winner where contact_id = :loser")

_OF_CONTACTS: Final = text("""
select distinct account_id, target_wamid from message_amendments where contact_id = any(cast(:contacts as uuid[]))
""")

_CONTENT: Final[msgspec.json.Decoder[Content | Sendable]] = msgspec.json.Decoder(Content | Sendable)
_encode: Final = msgspec.json.Encoder().encode


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a message shows after all that was said about it."""

    original: Content | Sendable
    edited: Row[Any] | None
    revoked: Row[Any] | None

    @property
    def content(self) -> Content | Sendable:
        """An edit of a caption may come without the file: that stays."""
        if self.edited is None:
            return self.original
        content = _CONTENT.decode(self.edited.content)
        if isinstance(content, Media) and content.media_id is None and isinstance(self.original, Media):
            return msgspec.structs.replace(self.original, caption=content.caption)
        return content


async def apply(
    connection: AsyncConnection,
    amendments: Sequence[Amendment],
    accounts: Mapping[str, UUID],
    contacts: Mapping[tuple[str, Address, datetime], UUID],
) -> list[Event]:
    """Stores `amendments`; tells those that changed a message that is there."""
    if not amendments:
        return []
    columns = {
        "accounts": [accounts[one.phone_number_id] for one in amendments],
        "wamids": [one.wamid for one in amendments],
        "targets": [one.target for one in amendments],
        "contacts": [contacts[one.phone_number_id, one.customer, one.at] for one in amendments],
        "sides": [one.by_business for one in amendments],
        "contents": [None if one.content is None else _encode(one.content).decode() for one in amendments],
        "times": [one.at for one in amendments],
    }
    new = (await connection.execute(_STORE, columns)).all()
    return await _show(connection, {(row.account_id, row.target_wamid) for row in new})


async def catch_up(connection: AsyncConnection, message_ids: Sequence[UUID]) -> list[Event]:
    """Applies what waited for these messages."""
    rows = (await connection.execute(_WAITING, {"ids": list(message_ids)})).all()
    return await _show(connection, {(row.account_id, row.wa_message_id) for row in rows})


async def follow(connection: AsyncConnection, loser: UUID, winner: UUID) -> None:
    """The amendments of a contact that becomes part of another one. Both are locked."""
    await connection.execute(_FOLLOW, {"loser": loser, "winner": winner})


async def settle(connection: AsyncConnection, contacts: Collection[UUID]) -> None:
    """Shows what contacts that took in others said of messages that are theirs now; their threads are told anyway."""
    rows = (await connection.execute(_OF_CONTACTS, {"contacts": list(contacts)})).all()
    await _show(connection, {(row.account_id, row.target_wamid) for row in rows})


async def _show(connection: AsyncConnection, targets: Collection[Target]) -> list[Event]:
    """Computes these messages anew. They are locked before the amendments are read, so that nobody misses one."""
    if not targets:
        return []
    scope = {"accounts": [account for account, _ in targets], "targets": [target for _, target in targets]}
    held = (await connection.execute(_LOCK, scope)).all()
    if not held:
        return []
    said: dict[Target, list[Row[Any]]] = {}
    for row in (await connection.execute(_SAID, scope)).all():
        said.setdefault((row.account_id, row.target_wamid), []).append(row)
    shown = {row.id: one for row in held if (one := _shown(row, said.get((row.account_id, row.wa_message_id), ())))}
    if not shown:
        return []
    changed = (await connection.execute(_SHOW, _columns(shown))).all()
    places = {row.id: row for row in held}
    return [_told(places[row.id], row) for row in sorted(changed, key=lambda row: str(row.id))]


def _shown(row: Row[Any], said: Sequence[Row[Any]]) -> _Shown | None:
    """None if nobody who may do so changed the message."""
    counting = [one for one in said if (one.by_business, one.contact_id) == (row.by_business, row.contact_id)]
    if not counting:
        return None
    edits = [one for one in counting if one.content is not None]
    revokes = [one for one in counting if one.content is None]
    return _Shown(
        original=_original(row),
        edited=max(edits, key=lambda one: (one.amended_at, one.wamid), default=None),
        revoked=min(revokes, key=lambda one: one.amended_at, default=None),
    )


def _original(row: Row[Any]) -> Content | Sendable:
    """What the message said first. Rows of the existing system have columns only."""
    if row.original is not None:
        return _CONTENT.decode(row.original)
    kind, said = row.message_type or "text", row.content_text or ""
    if row.media_id is None or kind not in set(MediaKind):
        return Other(kind=kind, text=said)
    return Media(
        kind=MediaKind(kind),
        media_id=row.media_id,
        mime_type=row.media_mime_type,
        filename=row.media_filename,
        caption=None if said == f"[{kind}]" else said,
    )


def _columns(shown: Mapping[UUID, _Shown]) -> dict[str, list[Any]]:
    contents = {one: what.content for one, what in shown.items()}
    gone = {one for one, what in shown.items() if what.revoked is not None}
    files = [None if one in gone else content for one, content in contents.items()]
    return {
        "ids": list(shown),
        "contents": [None if one in gone else _encode(content).decode() for one, content in contents.items()],
        "texts": [REVOKED_PREVIEW if one in gone else _preview(content) for one, content in contents.items()],
        "types": [_message_type(content) for content in contents.values()],
        "media_ids": [one.media_id if isinstance(one, File | Media) else None for one in files],
        "mime_types": [one.mime_type if isinstance(one, Media) else None for one in files],
        "filenames": [_filename(one) for one in files],
        "originals": [_encode(what.original).decode() for what in shown.values()],
        "amended": [what.edited and what.edited.amended_at for what in shown.values()],
        "revoked": [what.revoked and what.revoked.amended_at for what in shown.values()],
    }


def _preview(content: Content | Sendable) -> str:
    return outgoing.preview(content) if isinstance(content, Sendable) else preview(content)


def _message_type(content: Content | Sendable) -> str:
    return outgoing.message_type(content) if isinstance(content, Sendable) else message_type(content)


def _filename(content: Content | Sendable | None) -> str | None:
    match content:
        case Media(filename=filename, sha256=sha256):
            return filename or sha256
        case Document(filename=filename):
            return filename
        case _:
            return None


def _told(place: Row[Any], row: Row[Any]) -> MessageUpdated:
    return MessageUpdated(
        account_id=AccountId(place.account_id),
        conversation_id=ConversationId(place.conversation_id),
        message_id=MessageId(row.id),
        change=MessageStep.REVOKED if row.is_revoked else MessageStep.EDITED,
    )
