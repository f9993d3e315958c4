"""Message templates of an account's WABA: what Meta said of each, and when its list was read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.reading import AnyRow, Reader, position
from inbox.adapters.database.postgres.times import shown
from inbox.domain.events import Event, TemplateUpdated
from inbox.domain.ids import AccountId, uuid7
from inbox.domain.templates import KnownTemplate, Standing, TemplateNews, TemplateStatus, told
from inbox.ports.queries import Before
from inbox.ports.templates import DueSync, Reading, TemplateFilter, TemplateRow

_KNOWN: Final = (
    "t.name, t.language, t.meta_id, t.parameter_format, t.status, t.status_at, t.reason, t.details, t.quality, "
    "t.quality_at, t.category, t.category_at, t.components::text as components, t.components_at"
)
# What an account knows of another WABA than its own is not its own.
_OWN: Final = "join whatsapp_accounts a on a.id = t.account_id and a.waba_id = t.waba_id"

_ADD: Final = text("""
insert into message_templates (id, account_id, waba_id, name, language)
select u.id, :account_id, :waba_id, u.name, u.language
from unnest(cast(:ids as uuid[]), cast(:names as text[]), cast(:languages as text[])) u(id, name, language)
order by u.name, u.language
on conflict (account_id, waba_id, name, language) do nothing
""")

_LOCK: Final = text(f"""
select t.id, {_KNOWN}
from message_templates t
join unnest(cast(:names as text[]), cast(:languages as text[])) u(name, language)
  on u.name = t.name and u.language = t.language
where t.account_id = :account_id and t.waba_id = :waba_id
order by t.name, t.language
for update of t
""")  # noqa: S608 - column names of ours

_WRITE: Final = text("""
update message_templates t
set meta_id = u.meta_id, parameter_format = u.parameter_format, status = u.status, status_at = u.status_at,
    reason = u.reason, details = u.details, quality = u.quality, quality_at = u.quality_at, category = u.category,
    category_at = u.category_at, components = u.components::jsonb, components_at = u.components_at
from unnest(cast(:ids as uuid[]), cast(:meta_ids as text[]), cast(:formats as text[]), cast(:statuses as text[]),
            cast(:statuses_at as timestamptz[]), cast(:reasons as text[]), cast(:details as text[]),
            cast(:qualities as text[]), cast(:qualities_at as timestamptz[]), cast(:categories as text[]),
            cast(:categories_at as timestamptz[]), cast(:components as text[]), cast(:components_at as timestamptz[]))
  u(id, meta_id, parameter_format, status, status_at, reason, details, quality, quality_at, category, category_at,
    components, components_at)
where t.id = u.id and t.account_id = :account_id
""")
_COLUMNS: Final[Mapping[str, str]] = {
    "meta_ids": "meta_id",
    "formats": "parameter_format",
    "statuses": "status",
    "statuses_at": "status_at",
    "reasons": "reason",
    "details": "details",
    "qualities": "quality",
    "qualities_at": "quality_at",
    "categories": "category",
    "categories_at": "category_at",
    "components_at": "components_at",
}
"""The parameters of `_WRITE`, and which value each holds."""

# Two readings may overlap: the later one decides what is gone.
_SEEN: Final = text("""
update message_templates t set seen_at = greatest(t.seen_at, cast(:begun as timestamptz))
where t.account_id = :account_id and t.id = any(:ids)
""")
_GONE: Final = text("""
update message_templates
set status = :deleted, status_at = :at, reason = null, details = null
where account_id = :account_id and waba_id = :waba_id and (seen_at is null or seen_at < :begun)
  and status is distinct from :deleted and (status_at is null or status_at < :at)
returning id, name, language
""")
_COUNT: Final = text("""
select count(*) from message_templates
where account_id = :account_id and waba_id = :waba_id and status is distinct from :deleted
""")
# Whoever changes something while the list is read has to move `due_at`: so it lies late enough meanwhile.
_BEGIN: Final = text("""
insert into template_syncs (account_id, waba_id, due_at)
values (:account_id, :waba_id, now() + cast(:hold as interval))
on conflict (account_id) do update
set due_at = greatest(template_syncs.due_at, excluded.due_at), waba_id = excluded.waba_id,
    synced_at = case when template_syncs.waba_id = excluded.waba_id then template_syncs.synced_at end
returning due_at
""")
_SYNCED: Final = text("""
insert into template_syncs (account_id, waba_id, synced_at, due_at)
values (:account_id, :waba_id, :begun, coalesce(now() + cast(:next_in as interval), 'infinity'))
on conflict (account_id) do update
set waba_id = excluded.waba_id, synced_at = excluded.synced_at, failures = 0,
    due_at = case when template_syncs.due_at = :held_until then excluded.due_at
                  else least(template_syncs.due_at, excluded.due_at) end
""")
_POSTPONE: Final = text("""
update template_syncs set due_at = now() + :wait, failures = failures + 1 where account_id = :account_id
""")
_HURRY: Final = text("""
update template_syncs set due_at = least(due_at, now() + cast(:wait as interval))
where account_id = :account_id and waba_id = :waba_id
""")

_CLAIM: Final = text("""
with due as (
  select a.id, a.waba_id
  from whatsapp_accounts a left join template_syncs s on s.account_id = a.id
  where a.is_active and a.paused_at is null and a.waba_id <> '' and a.access_token_sealed is not null
    and (s.account_id is null or s.waba_id <> a.waba_id or s.due_at <= now())
  order by s.due_at nulls first, a.id
  limit :limit
)
insert into template_syncs (account_id, waba_id, due_at)
select id, waba_id, now() + :hold from due order by id
on conflict (account_id) do update
set due_at = excluded.due_at, waba_id = excluded.waba_id,
    synced_at = case when template_syncs.waba_id = excluded.waba_id then template_syncs.synced_at end,
    failures = case when template_syncs.waba_id = excluded.waba_id then template_syncs.failures else 0 end
where template_syncs.due_at <= now() or template_syncs.waba_id <> excluded.waba_id
returning account_id, failures
""")

_GET: Final = text(f"""
select {_KNOWN} from message_templates t {_OWN}
where t.id = :id and t.account_id = :account_id and t.status is distinct from :deleted
for update of t
""")  # noqa: S608 - column names of ours

_STANDING: Final = text(f"""
select s.synced_at is not null as is_listed, t.id, {_KNOWN}
from whatsapp_accounts a
left join template_syncs s on s.account_id = a.id and s.waba_id = a.waba_id
left join message_templates t
  on t.account_id = a.id and t.waba_id = a.waba_id and t.name = :name and t.language = :language
where a.id = :account_id
""")  # noqa: S608 - column names of ours

_ITEM: Final = f"""
select t.id, t.account_id, t.meta_id, t.name, t.language, t.category, t.status, t.reason, t.details, t.quality,
       t.parameter_format, coalesce(t.components, '[]')::text as components, {shown("t.created_at")} as created_at,
       {shown("t.seen_at")} as synced_at
from message_templates t {_OWN}
where t.account_id = :account_id and t.status is distinct from 'DELETED'
"""  # noqa: S608 - a constant of ours
_LIST: Final = text(f"""{_ITEM}
  and (cast(:status as text) is null or t.status = :status)
  and (cast(:category as text) is null or t.category = :category)
  and (cast(:language as text) is null or t.language = :language)
  and (cast(:search as text) is null or strpos(t.name, :search) > 0)
  and (t.created_at, t.id) < (:at, :id)
order by t.created_at desc, t.id desc limit :limit
""")
_ONE: Final = text(f"{_ITEM} and t.id = :id")
_SYNCED_AT: Final = text("""
select s.synced_at from template_syncs s join whatsapp_accounts a on a.id = s.account_id and a.waba_id = s.waba_id
where s.account_id = :account_id
""")

_DELETED: Final = TemplateStatus.DELETED.value


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that news were about, and what is to be told of those that changed."""

    ids: list[UUID]
    events: list[TemplateUpdated]


class PostgresTemplates:
    """What is known, inside a transaction. Rows are locked by name and language."""

    def __init__(self, connection: AsyncConnection, events: list[Event]) -> None:
        """`events` are those that the transaction records."""
        self._connection = connection
        self._events = events

    async def tell(self, account_id: AccountId, waba_id: str, news: Sequence[TemplateNews]) -> Sequence[UUID]:
        told = await tell(self._connection, account_id, waba_id, news)
        self._events += told.events
        return told.ids

    async def seen(self, account_id: AccountId, waba_id: str, news: Sequence[TemplateNews], begun: datetime) -> None:
        ids = await self.tell(account_id, waba_id, news)
        await self._connection.execute(_SEEN, {"account_id": account_id, "ids": ids, "begun": begun})

    async def begin_sync(self, account_id: AccountId, waba_id: str, hold: timedelta) -> datetime:
        scope = {"account_id": account_id, "waba_id": waba_id}
        held_until: datetime = (await self._connection.execute(_BEGIN, {**scope, "hold": hold})).scalar_one()
        return held_until

    async def finish_sync(
        self, account_id: AccountId, waba_id: str, reading: Reading, *, next_in: timedelta | None
    ) -> int:
        scope = {"account_id": account_id, "waba_id": waba_id}
        begun, at, held_until = reading.begun, reading.at, reading.held_until
        gone = await self._connection.execute(_GONE, {**scope, "deleted": _DELETED, "begun": begun, "at": at})
        self._events += [_updated(account_id, row.id, row.name, row.language, _DELETED) for row in gone]
        values = {"begun": begun, "held_until": held_until, "next_in": next_in}
        await self._connection.execute(_SYNCED, {**scope, **values})
        return int((await self._connection.execute(_COUNT, {**scope, "deleted": _DELETED})).scalar_one())

    async def postpone_sync(self, account_id: AccountId, wait: timedelta) -> None:
        await self._connection.execute(_POSTPONE, {"account_id": account_id, "wait": wait})

    async def claim_syncs(self, limit: int, hold: timedelta) -> list[DueSync]:
        rows = (await self._connection.execute(_CLAIM, {"limit": limit, "hold": hold})).all()
        return [DueSync(account_id=AccountId(row.account_id), failures=row.failures) for row in rows]

    async def hurry(self, account_id: AccountId, waba_id: str, wait: timedelta) -> None:
        await hurry(self._connection, account_id, waba_id, wait)

    async def get(self, account_id: AccountId, template_id: UUID) -> KnownTemplate | None:
        scope = {"account_id": account_id, "id": template_id, "deleted": _DELETED}
        row = (await self._connection.execute(_GET, scope)).one_or_none()
        return None if row is None else _known(row)

    async def standing(self, account_id: AccountId, name: str, language: str) -> Standing:
        scope = {"account_id": account_id, "name": name, "language": language}
        row = (await self._connection.execute(_STANDING, scope)).one_or_none()
        if row is None:
            return Standing(is_listed=False, template=None)
        return Standing(is_listed=row.is_listed, template=None if row.id is None else _known(row))


async def tell(connection: AsyncConnection, account_id: UUID, waba_id: str, news: Iterable[TemplateNews]) -> Told:
    """Applies `news`."""
    by_key: dict[tuple[str, str], list[TemplateNews]] = {}
    for one in news:
        by_key.setdefault((one.name, one.language), []).append(one)
    keys = {"names": [name for name, _ in by_key], "languages": [language for _, language in by_key]}
    scope = {"account_id": account_id, "waba_id": waba_id, **keys}
    await connection.execute(_ADD, {**scope, "ids": [uuid7() for _ in by_key]})
    rows = (await connection.execute(_LOCK, scope)).all()
    changed: dict[UUID, KnownTemplate] = {}
    for row in rows:
        before = now = _known(row)
        for one in by_key[row.name, row.language]:
            now = told(now, one)
        if now != before:
            changed[row.id] = now
    events = [_updated(account_id, one, now.name, now.language, now.status) for one, now in changed.items()]
    if changed:
        await connection.execute(_WRITE, {"account_id": account_id, "ids": list(changed), **_columns(changed.values())})
    return Told(ids=[row.id for row in rows], events=events)


async def hurry(connection: AsyncConnection, account_id: UUID, waba_id: str, wait: timedelta = timedelta()) -> None:
    """The list has more to say than what was told: it is due."""
    await connection.execute(_HURRY, {"account_id": account_id, "waba_id": waba_id, "wait": wait})


class TemplateQueries:
    """What screens read of templates. Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def within(
        self, account_id: AccountId, wanted: TemplateFilter, *, limit: int, before: Before | None
    ) -> list[TemplateRow]:
        scope = {"account_id": account_id, "limit": limit, **msgspec.structs.asdict(wanted)}
        return [_item(row) for row in await self._read.rows(_LIST, **scope, **position(before))]

    async def one(self, account_id: AccountId, template_id: UUID) -> TemplateRow | None:
        row = await self._read.row(_ONE, account_id=account_id, id=template_id)
        return None if row is None else _item(row)

    async def synced_at(self, account_id: AccountId) -> datetime | None:
        row = await self._read.row(_SYNCED_AT, account_id=account_id)
        return None if row is None else row.synced_at


def _updated(account_id: UUID, template_id: UUID, name: str, language: str, status: str | None) -> TemplateUpdated:
    return TemplateUpdated(
        account_id=AccountId(account_id), template_id=template_id, name=name, language=language, status=status
    )


def _item(row: AnyRow) -> TemplateRow:
    return TemplateRow(**{**row._asdict(), "components": msgspec.Raw(row.components.encode())})


def _known(row: Row[Any]) -> KnownTemplate:
    fields = {name: getattr(row, name) for name in KnownTemplate.__struct_fields__}
    components: str | None = fields.pop("components")
    return KnownTemplate(**fields, components=None if components is None else components.encode())


def _columns(templates: Iterable[KnownTemplate]) -> dict[str, list[Any]]:
    found = list(templates)
    return {
        **{parameter: [getattr(one, name) for one in found] for parameter, name in _COLUMNS.items()},
        "components": [None if one.components is None else one.components.decode() for one in found],
    }
