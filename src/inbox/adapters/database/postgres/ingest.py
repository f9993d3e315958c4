"""Webhooks become rows: a whole batch in about a dozen statements, in the lock order of the house.

Effects come from rows that were really inserted, so a repetition changes nothing; times only move forward, so the order
does not matter.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import (
    arrivals,
    delivery_outcomes,
    effects,
    identities,
    merging,
    number_changes,
    paces,
    statuses,
    threads,
    undelivered,
    windows,
)
from inbox.adapters.database.postgres.arrivals import Arrival, Fresh
from inbox.adapters.database.postgres.contact_news import ContactNews
from inbox.adapters.database.postgres.delivery_outcomes import Closed, DeliveryOutcomes
from inbox.adapters.database.postgres.identities import People, Sighting
from inbox.adapters.database.postgres.lanes import ENQUEUE_TIMERS
from inbox.adapters.database.postgres.merging import Merged
from inbox.adapters.database.postgres.notices import HeardNotice
from inbox.adapters.database.postgres.own_secrets import PORTFOLIO
from inbox.adapters.database.postgres.statuses import Heard, NewStatus
from inbox.adapters.database.postgres.threads import Threads
from inbox.domain.bot import wakes_bot
from inbox.domain.contacts import Address
from inbox.domain.content import message_type
from inbox.domain.events import Cause, Event, MessageCreated, MessageStep, MessageUpdated
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.inbound import (
    Amendment,
    ContactName,
    Effect,
    IdentityChange,
    IdentityLink,
    InboundMessage,
    Preference,
    Reaction,
    Source,
)
from inbox.domain.messages import Author
from inbox.domain.outbound import OpId
from inbox.domain.signals import Signal, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.records import Applied, InboundBatch, Placed

# A number is marked as alive every ten seconds at most: its row must not be what everybody waits for.
_ACCOUNTS: Final = text(f"""
select phone_number_id, id, {PORTFOLIO} as portfolio, now() as now,
       coalesce(last_webhook_at < now() - interval '10 s', true) as is_stale
from whatsapp_accounts a where phone_number_id = any(cast(:numbers as text[]))
""")  # noqa: S608 - a constant of ours

_ALIVE: Final = text("""
with stale as (
  select id from whatsapp_accounts where id = any(cast(:ids as uuid[])) order by id for no key update skip locked
), heard as (
  select coalesce(max(received_at), now()) as at from deliveries where id = any(cast(:deliveries as bigint[]))
)
update whatsapp_accounts a set last_webhook_at = greatest(a.last_webhook_at, heard.at)
from stale, heard where a.id = stale.id
""")


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch changed, and whom to tell. `set_aside` are new items that cannot be applied."""

    applied: Applied
    heard: Sequence[NewStatus]
    set_aside: int
    notices: Sequence[HeardNotice]
    events: list[Event]
    signals: list[Signal]


class Ingested(msgspec.Struct, kw_only=True):
    """What a transaction did with deliveries, to be counted after its commit. Only news, never repetitions."""

    messages: int = 0
    unrouted: int = 0
    set_aside: int = 0
    statuses: list[NewStatus] = []
    notices: list[HeardNotice] = []
    deliveries: list[Closed] = []

    def add(self, done: Effects) -> None:
        self.messages += done.applied.new_messages
        self.unrouted += done.applied.unrouted
        self.set_aside += done.set_aside
        self.statuses += done.heard
        self.notices += done.notices


class _World(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that a batch names and the installation has, and the people it names."""

    accounts: dict[str, Row[Any]]
    people: People
    contacts: dict[tuple[str, Address, datetime], UUID]
    merged: list[Merged]
    news: ContactNews
    asked: set[UUID]
    """Who told what they want to get."""

    @property
    def heirs(self) -> set[UUID]:
        """Conversations that took in others, and are there still."""
        gone = {one for merged in self.merged for one in merged.conversations}
        return {thread for merged in self.merged for thread in merged.threads} - gone


class _Stored(msgspec.Struct, kw_only=True):
    """What the messages of a batch changed. `awake` are conversations that a bot has to look at."""

    fresh: list[Fresh] = []
    awake: list[Row[Any]] = []
    events: list[Event] = []
    signals: list[Signal] = []

    @property
    def new(self) -> int:
        return sum(one.is_new for one in self.fresh)


async def apply(connection: AsyncConnection, batch: InboundBatch, outcomes: DeliveryOutcomes) -> Effects:
    """Applies `batch` and leaves to `outcomes` what has to be written at the end of the transaction."""
    accounts = await _accounts(connection, batch)
    routes = {number: (row.id, row.portfolio) for number, row in accounts.items()}
    arrived = await arrivals.unknown(connection, batch.messages, routes) if batch.messages else []
    world = await _people(connection, accounts, arrived, batch.effects)
    held = await _threads(connection, arrived, world)
    ops = [OpId.parse(status.op_id) for status in batch.statuses]
    concerned, is_refused = await windows.lock(connection, batch.statuses, ops)
    stored = await _store(connection, arrived, held.owners, world.heirs)
    amended = await effects.amend(connection, [one.stored for one in stored.fresh]) if stored.fresh else []
    done = await effects.apply(
        connection, _others(batch.effects), {number: row.id for number, row in accounts.items()}, world.contacts, held
    )
    heard = await statuses.hear(connection, batch.statuses, ops)
    renewed = await windows.renew(connection, concerned)
    closed = await windows.close(connection, concerned) if is_refused else []
    signals = await _enqueue_files(connection, stored, accounts)
    events = held.events + stored.events + amended + done.events + heard.events + renewed + closed
    world.news.add(done.news)
    events += world.news.told.values()
    for merged in world.merged:
        told, woken = await merging.finish(connection, merged, world.heirs)
        events += told
        signals += woken
    stored.awake = await _awake(connection, stored, heard)
    signals += await _enqueue_turns(connection, stored, batch)
    unrouted = [received for received in batch.messages if received.message.phone_number_id not in accounts]
    unplaced = done.unrouted + [placed for placed in batch.effects if _is_lost(placed, accounts)]
    kept = await delivery_outcomes.quarantine(connection, batch.set_aside, unrouted, unplaced)
    await _alive(connection, accounts, batch)
    strangers = kept.count(delivery_outcomes.UNKNOWN_NUMBER)
    outcomes.add(batch)
    return Effects(
        applied=Applied(new_messages=stored.new, new_statuses=len(heard.new), unrouted=strangers),
        heard=heard.new,
        set_aside=len(kept) - strangers,
        notices=done.notices,
        events=events,
        signals=stored.signals + done.signals + heard.signals + signals,
    )


async def _accounts(connection: AsyncConnection, batch: InboundBatch) -> dict[str, Row[Any]]:
    """The accounts of the numbers that the batch names. An inactive one counts."""
    numbers = {received.message.phone_number_id for received in batch.messages}
    numbers |= {status.phone_number_id for status in batch.statuses}
    numbers |= {placed.effect.phone_number_id for placed in batch.effects if placed.effect.phone_number_id}
    if not numbers:
        return {}
    rows = (await connection.execute(_ACCOUNTS, {"numbers": sorted(numbers)})).all()
    return {row.phone_number_id: row for row in rows}


async def _people(
    connection: AsyncConnection, accounts: dict[str, Row[Any]], arrived: Sequence[Arrival], placed: Sequence[Placed]
) -> _World:
    """Changes of numbers first, then everybody whom the batch names."""
    known = [one.effect for one in placed if one.effect.phone_number_id in accounts]
    changes = [
        (accounts[effect.phone_number_id].portfolio, effect) for effect in known if isinstance(effect, IdentityChange)
    ]
    changed = await number_changes.apply(connection, changes) if changes else []
    sightings = [_sighting(arrival.portfolio, arrival.message) for arrival in arrived]
    named: list[tuple[str, Address, datetime]] = []
    for effect in known:
        if effect.phone_number_id is None or (address := _customer(effect)) is None:
            continue
        named.append((effect.phone_number_id, address, effect.at))
        sightings.append(_mention(accounts[effect.phone_number_id].portfolio, address, effect))
    sightings += [_sighting(arrival.portfolio, other) for arrival in arrived for other in arrival.others]
    people = await identities.resolve(connection, sightings)
    mentioned = people.contacts[len(arrived) : len(arrived) + len(named)]
    contacts = dict(zip(named, mentioned, strict=True))
    news = ContactNews()
    for one in [*changed, people]:
        news.add(one.news)
    return _World(
        accounts=accounts,
        people=people,
        contacts=contacts,
        merged=[one.merged for one in [*changed, people]],
        news=news,
        asked={contacts[e.phone_number_id, e.customer, e.at] for e in known if isinstance(e, Preference)},
    )


async def _threads(connection: AsyncConnection, arrived: Sequence[Arrival], world: _World) -> Threads:
    contacts, numbers = world.people.contacts[: len(arrived)], world.people.numbers
    return await threads.lock(connection, arrived, contacts, numbers, renamed=world.news.renamed, others=world.asked)


async def _store(
    connection: AsyncConnection, arrived: Sequence[Arrival], owners: Sequence[UUID], heirs: set[UUID]
) -> _Stored:
    """Stores what has arrived and counts it. `heirs` are conversations that took in others."""
    stored = _Stored()
    rows: Sequence[Row[Any]] = []
    if arrived:
        kept = await arrivals.store(connection, arrived, owners)
        stored.fresh = [one for one in kept if one.is_new or one.is_better]
        stored.events += [_told(one) for one in kept if _is_told(one)]
        rows = await arrivals.count(connection, arrived, owners, stored.fresh)
    changed = {one.owner for one in stored.fresh}
    past = {one.owner for one in stored.fresh if not _is_told(one)}
    stored.events += [
        windows.updated(row.account_id, row.id, Cause.HISTORY if row.id in past else Cause.MESSAGE)
        for row in rows
        if row.is_moved or row.id in changed
    ]
    awake = {one.owner for one in stored.fresh if _wakes(one)}
    stored.awake = [row for row in rows if row.has_bot and row.id in awake]
    if outgoing := [one for one in stored.fresh if not one.arrival.message.source.is_inbound]:
        adopted = await statuses.adopt(connection, [one.stored for one in outgoing])
        told, stored.signals = await statuses.show(connection, adopted)
        stored.events += told
    referring = {owner for arrival, owner in zip(arrived, owners, strict=True) if _may_be_free(arrival)}
    stored.events += await windows.renew(connection, referring | heirs)
    stored.events += await windows.close(connection, heirs)
    return stored


async def _awake(connection: AsyncConnection, stored: _Stored, heard: Heard) -> list[Row[Any]]:
    """Also those whose customer did not get what the bot said."""
    found = {row.id: row for row in [*await undelivered.find(connection, heard.events), *stored.awake]}
    return [found[one] for one in sorted(found, key=str)]


async def _enqueue_files(connection: AsyncConnection, stored: _Stored, accounts: dict[str, Row[Any]]) -> list[Signal]:
    if stored.fresh:
        now = next(iter(accounts.values())).now
        if await arrivals.fetch_files(connection, stored.fresh, now):
            return [WorkWaiting(WorkKind.MEDIA)]
    return []


async def _enqueue_turns(connection: AsyncConnection, stored: _Stored, batch: InboundBatch) -> list[Signal]:
    """Behind the lanes of sends: who settles a send holds its lane, and may then want that of a turn."""
    if not stored.awake:
        return []
    traces = {one.owner: one.arrival.received.traceparent for one in stored.fresh}
    values = {
        "kind": WorkKind.TURN.value,
        "keys": [str(row.id) for row in stored.awake],
        "account_ids": [row.account_id for row in stored.awake],
        "traces": [traces.get(row.id) for row in stored.awake],
        "due_in": batch.quiet_for,
        "at_most": max(batch.quiet_for, batch.gather_for),
    }
    await connection.execute(ENQUEUE_TIMERS, values)
    return [WorkWaiting(WorkKind.TURN)]


async def _alive(connection: AsyncConnection, accounts: dict[str, Row[Any]], batch: InboundBatch) -> None:
    """What a batch tells about the numbers themselves."""
    if stale := [row.id for row in accounts.values() if row.is_stale]:
        await connection.execute(_ALIVE, {"ids": stale, "deliveries": list(batch.done)})
    in_app = {one.message.phone_number_id for one in batch.messages if one.message.source is Source.PHONE}
    await paces.coexist(connection, [accounts[number].id for number in in_app & accounts.keys()])


def _sighting(portfolio: str, message: InboundMessage) -> Sighting:
    return Sighting(
        portfolio=portfolio,
        address=message.customer,
        at=message.sent_at,
        name=message.profile_name,
        has_name=bool(message.profile_name),
    )


def _customer(effect: Effect) -> Address | None:
    """Whom an effect speaks of."""
    if isinstance(effect, Reaction | Amendment | IdentityLink | ContactName | Preference):
        return effect.customer
    return None


def _mention(portfolio: str, address: Address, effect: Effect) -> Sighting:
    """Nobody wrote: a contact that is made for it is not shown, unless the owner named it."""
    named = effect.name if isinstance(effect, ContactName) else None
    profile = effect.profile_name if isinstance(effect, IdentityLink) else None
    return Sighting(
        portfolio=portfolio,
        address=address,
        at=effect.at,
        name=named or profile,
        has_name=isinstance(effect, ContactName) or bool(profile),
        is_listed=named is not None,
    )


def _others(placed: Sequence[Placed]) -> list[Placed]:
    return [one for one in placed if not isinstance(one.effect, _OF_IDENTITY)]


def _is_lost(placed: Placed, accounts: dict[str, Row[Any]]) -> bool:
    """True if it is about people of a number that nobody has."""
    return isinstance(placed.effect, _OF_IDENTITY) and placed.effect.phone_number_id not in accounts


def _wakes(one: Fresh) -> bool:
    return one.arrival.message.source.is_news and wakes_bot(one.arrival.message.content)


def _may_be_free(arrival: Arrival) -> bool:
    """True if it may begin a free entry point: a referral, or something that answers one."""
    return arrival.surroundings.referral is not None or not arrival.message.source.is_inbound


def _is_told(one: Fresh) -> bool:
    """What is new from the past is nobody's news: its conversation is told of once."""
    return not one.is_new or one.arrival.message.source in (Source.CUSTOMER, Source.PHONE)


def _told(one: Fresh) -> Event:
    message = one.arrival.message
    account_id, conversation_id = AccountId(one.arrival.account_id), ConversationId(one.owner)
    if not one.is_new:
        return MessageUpdated(
            account_id=account_id,
            conversation_id=conversation_id,
            message_id=MessageId(one.stored),
            change=MessageStep.CONTENT if one.is_better else MessageStep.CONTEXT,
        )
    return MessageCreated(
        account_id=account_id,
        conversation_id=conversation_id,
        message_id=MessageId(one.stored),
        direction="inbound" if message.source.is_inbound else "outbound",
        message_type=message_type(message.content),
        status=arrivals.status_of(message),
        author=Author.CONTACT if message.source.is_inbound else Author.PHONE,
    )


_OF_IDENTITY: Final = (IdentityLink, IdentityChange, ContactName)
