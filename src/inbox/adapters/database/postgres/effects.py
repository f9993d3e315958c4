"""What changes something and is no message of its own: reactions, amendments, preferences, notices about accounts.

`apply` is called once for each batch, after its messages were stored and with their conversations locked, before its
statuses. Identity links, changes of a number and names of contacts never come here: `identities` has dealt with them.
`amend` is told of each message that was stored or got another content, `follow` and `settle` of contacts that merge.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import amendments, notices, reactions
from inbox.adapters.database.postgres.contact_news import ContactNews
from inbox.adapters.database.postgres.notices import HeardNotice
from inbox.adapters.database.postgres.threads import Pair, Threads
from inbox.domain.contacts import Address
from inbox.domain.events import Cause, Event
from inbox.domain.inbound import AccountNotice, Amendment, Preference, Reaction
from inbox.domain.signals import Signal
from inbox.ports.records import Placed

# Ties are decided as Python compares texts, whatever the collation of the database.
_PREFER: Final = text("""
insert into contact_preferences (account_id, contact_id, category, value, detail, changed_at)
select u.account_id, u.contact_id, u.category, u.value, u.detail, u.at
from unnest(cast(:accounts as uuid[]), cast(:contacts as uuid[]), cast(:categories as text[]), cast(:values as text[]),
            cast(:details as text[]), cast(:times as timestamptz[]))
  u(account_id, contact_id, category, value, detail, at)
order by u.account_id, u.contact_id, u.category
on conflict (account_id, contact_id, category) do update
set value = excluded.value, detail = excluded.detail, changed_at = excluded.changed_at
where (excluded.changed_at, excluded.value collate "C", coalesce(excluded.detail, '') collate "C")
      > (contact_preferences.changed_at, contact_preferences.value collate "C",
         coalesce(contact_preferences.detail, '') collate "C")
returning account_id, contact_id
""")


class Done(msgspec.Struct, kw_only=True):
    """What effects changed and whom to tell. `unrouted` are those of numbers that nobody has."""

    unrouted: list[Placed] = []
    notices: list[HeardNotice] = []
    events: list[Event] = []
    news: ContactNews
    signals: list[Signal] = []


async def apply(
    connection: AsyncConnection,
    effects: Sequence[Placed],
    accounts: Mapping[str, UUID],
    contacts: Mapping[tuple[str, Address, datetime], UUID],
    threads: Threads,
) -> Done:
    """Applies `effects`, oldest and newest in any order, as often as they come.

    `accounts` says of a phone number id whose it is; a notice may name a number that is not in it, because it is found
    by WABA or display number. `contacts` says of (phone number id, customer, time) which contact it is, for every
    customer that an effect names, because a number changes hands; it is locked. Messages are locked in the order of
    their ids. `threads` has the conversations of those who tell preferences.
    """
    done = Done(news=ContactNews())
    known = []
    about = []
    for placed in effects:
        if isinstance(placed.effect, AccountNotice):
            about.append(placed.effect)
        elif placed.effect.phone_number_id in accounts:
            known.append(placed.effect)
        else:
            done.unrouted.append(placed)
    changes = [effect for effect in known if isinstance(effect, Amendment)]
    done.events += await amendments.apply(connection, changes, accounts, contacts)
    done.events += await reactions.apply(
        connection, [effect for effect in known if isinstance(effect, Reaction)], accounts, contacts
    )
    preferences = [effect for effect in known if isinstance(effect, Preference)]
    changed = await _prefer(connection, preferences, accounts, contacts)
    done.events += threads.told(changed, Cause.PREFERENCES)
    done.news.changed(contact for _, contact in changed)
    done.notices, told = await notices.apply(connection, about)
    done.events += told
    return done


async def amend(connection: AsyncConnection, message_ids: Sequence[UUID]) -> list[Event]:
    """Applies the amendments that came before their messages to `message_ids`, new ones or ones with new content."""
    return await amendments.catch_up(connection, message_ids)


async def follow(connection: AsyncConnection, loser: UUID, winner: UUID) -> None:
    """What a contact did that becomes part of another one is the other one's. Both are locked."""
    await reactions.follow(connection, loser, winner)
    await amendments.follow(connection, loser, winner)


async def settle(connection: AsyncConnection, contacts: Collection[UUID]) -> None:
    """To be called when the messages of merged contacts have moved, with those that stayed."""
    await amendments.settle(connection, contacts)


async def _prefer(
    connection: AsyncConnection,
    preferences: Sequence[Preference],
    accounts: Mapping[str, UUID],
    contacts: Mapping[tuple[str, Address, datetime], UUID],
) -> set[Pair]:
    """Account and contact of those that changed."""
    newest: dict[tuple[UUID, UUID, str], Preference] = {}
    for one in preferences:
        key = (accounts[one.phone_number_id], contacts[one.phone_number_id, one.customer, one.at], one.category)
        newest[key] = max(newest.get(key, one), one, key=lambda said: (said.at, said.value, said.detail or ""))
    if not newest:
        return set()
    columns = {
        "accounts": [account for account, _, _ in newest],
        "contacts": [contact for _, contact, _ in newest],
        "categories": [category for _, _, category in newest],
        "values": [one.value for one in newest.values()],
        "details": [one.detail for one in newest.values()],
        "times": [one.at for one in newest.values()],
    }
    rows = (await connection.execute(_PREFER, columns)).all()
    return {(row.account_id, row.contact_id) for row in rows}
