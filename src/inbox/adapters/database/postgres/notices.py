"""What Meta says about WABAs, numbers and templates: stored once, for the account it is about, or for nobody's."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import paces, templates
from inbox.adapters.database.postgres.reading import AnyRow, Reader, position
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.contacts import digits_of, phone_key
from inbox.domain.events import AccountStep, AccountUpdated, Event, NoticeStored, TemplateUpdated
from inbox.domain.ids import AccountId, uuid7
from inbox.domain.inbound import AccountNotice, Severity
from inbox.domain.templates import TemplateNews
from inbox.kit.paging import format_time
from inbox.ports.queries import Before
from inbox.ports.views import NoticeItem

_ACCOUNTS: Final = text("""
select id, phone_number_id, waba_id, phone_number from whatsapp_accounts
where phone_number_id = any(cast(:numbers as text[])) or waba_id = any(cast(:wabas as text[]))
order by id
""")

_OF_WABAS: Final = text("""
select id, waba_id from whatsapp_accounts where waba_id = any(cast(:wabas as text[])) order by id
""")

_STORE: Final = text("""
insert into account_notices (id, account_id, waba_id, field, event, severity, text, raw, occurred_at, digest)
select u.id, u.account_id, u.waba_id, u.field, u.event, u.severity, u.line, u.raw::jsonb, u.at, u.digest
from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:wabas as text[]), cast(:fields as text[]),
            cast(:events as text[]), cast(:severities as text[]), cast(:lines as text[]), cast(:raws as text[]),
            cast(:times as timestamptz[]), cast(:digests as bytea[]))
  u(id, account_id, waba_id, field, event, severity, line, raw, at, digest)
order by u.digest
on conflict (digest) do nothing
returning digest
""")

_ITEM: Final = f"""
select id, account_id, waba_id, field, event, severity, text, {shown("occurred_at")} as occurred_at,
       {shown("received_at")} as received_at, raw::text as raw
from account_notices
"""  # noqa: S608 - a constant of ours
_NEWEST: Final = "and (occurred_at, id) < (:at, :id) order by account_notices.occurred_at desc, id desc limit :limit"

_OF_ACCOUNT: Final = text(f"{_ITEM} where account_id = :account_id {_NEWEST}")
# Those that are about nobody's number are within the reach of whoever may see everything.
_OF_ALL: Final = text(f"{_ITEM} where coalesce(account_id = any(:accounts), false) <> :everywhere {_NEWEST}")

_FASTER: Final = ("phone_number_quality_update", "THROUGHPUT_UPGRADE")
_AT_ONCE: Final = ("account_update", "phone_number_quality_update", "message_template_")
"""Fields, or their beginnings, that people are told of at once however little they mean."""


class HeardNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A new notice, without what it says."""

    severity: Severity
    field: str
    event: str
    account_id: UUID | None


async def apply(connection: AsyncConnection, notices: Sequence[AccountNotice]) -> tuple[list[HeardNotice], list[Event]]:
    """Stores those that are new and says which, and whom to tell."""
    if not notices:
        return [], []
    distinct = {_digest(notice): notice for notice in notices}
    owners = await _owners(connection, distinct)
    ids = {digest: uuid7() for digest in distinct}
    values = {
        "ids": list(ids.values()),
        "accounts": [owners[digest] for digest in distinct],
        "wabas": [notice.waba_id for notice in distinct.values()],
        "fields": [notice.field for notice in distinct.values()],
        "events": [notice.event for notice in distinct.values()],
        "severities": [notice.severity.value for notice in distinct.values()],
        "lines": [notice.text for notice in distinct.values()],
        "raws": [bytes(notice.raw).decode() for notice in distinct.values()],
        "times": [notice.at for notice in distinct.values()],
        "digests": list(distinct),
    }
    new = set((await connection.execute(_STORE, values)).scalars())
    heard = {
        digest: HeardNotice(severity=notice.severity, field=notice.field, event=notice.event, account_id=owners[digest])
        for digest, notice in distinct.items()
        if digest in new
    }
    faster = {one.account_id for one in heard.values() if one.account_id and (one.field, one.event) == _FASTER}
    await paces.upgrade(connection, faster)
    events: list[Event] = [*await _tell_templates(connection, list(distinct.values()))]
    events += [AccountUpdated(account_id=AccountId(one), change=AccountStep.LIMITS) for one in sorted(faster)]
    events += [
        _told(AccountId(one.account_id), ids[digest], distinct[digest])
        for digest, one in heard.items()
        if one.account_id is not None and _is_news(distinct[digest])
    ]
    return list(heard.values()), events


async def _tell_templates(connection: AsyncConnection, notices: Sequence[AccountNotice]) -> list[TemplateUpdated]:
    """Templates belong to the WABA: every account of it is told. Nothing changes if they were told before."""
    news: dict[str, list[TemplateNews]] = {}
    for notice in notices:
        if notice.waba_id and notice.template:
            news.setdefault(notice.waba_id, []).append(notice.template)
    told: list[TemplateUpdated] = []
    if not news:
        return told
    for account in (await connection.execute(_OF_WABAS, {"wabas": sorted(news)})).all():
        said = news[account.waba_id]
        told += (await templates.tell(connection, account.id, account.waba_id, said)).events
        if any(not one.is_whole for one in said):
            await templates.hurry(connection, account.id, account.waba_id)
    return told


class NoticeQueries:
    """What screens read of notices. Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def of_account(self, account_id: AccountId, *, limit: int, before: Before | None) -> list[NoticeItem]:
        rows = await self._read.rows(_OF_ACCOUNT, account_id=account_id, limit=limit, **position(before))
        return [_item(row) for row in rows]

    async def within(self, reach: Reach, *, limit: int, before: Before | None) -> list[NoticeItem]:
        scope = {"everywhere": reach.everywhere, "accounts": list(reach.accounts)}
        rows = await self._read.rows(_OF_ALL, limit=limit, **scope, **position(before))
        return [_item(row) for row in rows]


def _item(row: AnyRow) -> NoticeItem:
    return NoticeItem(**{**row._asdict(), "raw": msgspec.Raw(row.raw.encode())})


async def _owners(connection: AsyncConnection, notices: Mapping[bytes, AccountNotice]) -> dict[bytes, UUID | None]:
    scope = {
        "numbers": sorted({notice.phone_number_id for notice in notices.values() if notice.phone_number_id}),
        "wabas": sorted({notice.waba_id for notice in notices.values() if notice.waba_id}),
    }
    accounts = (await connection.execute(_ACCOUNTS, scope)).all()
    return {digest: _owner(notice, accounts) for digest, notice in notices.items()}


def _owner(notice: AccountNotice, accounts: Sequence[Row[Any]]) -> UUID | None:
    """By the id of its number, by its WABA and the digits of its number, or by its WABA alone if that has one account.

    A number that is named and not known belongs to nobody, unless the only account of the WABA says none of its own.
    """
    if notice.phone_number_id is not None:
        found = [row for row in accounts if row.phone_number_id == notice.phone_number_id]
        return found[0].id if found else None
    of_waba = [row for row in accounts if notice.waba_id is not None and row.waba_id == notice.waba_id]
    if notice.display_phone_number is not None:
        named = _key(notice.display_phone_number)
        same = [row for row in of_waba if row.phone_number and _key(row.phone_number) == named]
        of_waba = same or [row for row in of_waba if not row.phone_number and len(of_waba) == 1]
    return of_waba[0].id if len(of_waba) == 1 else None


def _key(number: str) -> str:
    return phone_key(digits_of(number) or number)


def _digest(notice: AccountNotice) -> bytes:
    about = (notice.field, notice.waba_id, notice.phone_number_id, notice.display_phone_number)
    return hashlib.sha256(msgspec.json.encode([*about, notice.event, format_time(notice.at), notice.raw])).digest()


def _is_news(notice: AccountNotice) -> bool:
    return notice.severity is not Severity.INFO or notice.field.startswith(_AT_ONCE)


def _told(account_id: AccountId, notice_id: UUID, notice: AccountNotice) -> NoticeStored:
    return NoticeStored(
        account_id=account_id,
        notice_id=notice_id,
        field=notice.field,
        event=notice.event,
        severity=notice.severity,
        text=notice.text,
    )
