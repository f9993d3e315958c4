"""What is stored of an item that was delivered: each kind of item has a table, and values that name its row there.

Some rows say only what was said last: then it is enough that it was said at the same time or later. A row about a
customer is found by any of the customer's identities.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text

from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.contacts import Address, phone_key
from inbox.domain.inbound import (
    AccountNotice,
    Amendment,
    ContactName,
    IdentityChange,
    IdentityLink,
    InboundEvent,
    InboundMessage,
    InboundStatus,
    Preference,
    Reaction,
)
from inbox.ports.deliveries import Fate

_MESSAGES: Final = text("""
select u.n, false as is_parked
from unnest(cast(:numbers as text[]), cast(:wamids as text[])) with ordinality u(number, wamid, n)
join whatsapp_accounts a on a.phone_number_id = u.number
join messages m on m.wa_message_id = u.wamid and m.account_id = a.id
""")

_STATUSES: Final = text("""
select u.n, s.message_id is null as is_parked
from unnest(cast(:wamids as text[]), cast(:statuses as text[]), cast(:codes as bigint[]), cast(:recipients as text[]))
  with ordinality u(wamid, status, code, recipient, n)
join message_statuses s on s.wamid = u.wamid and s.status = u.status
  and coalesce(s.error_code, 0) = coalesce(u.code, 0) and coalesce(s.recipient, '') = coalesce(u.recipient, '')
""")

_REACTIONS: Final = text("""
select u.n, false as is_parked
from unnest(cast(:numbers as text[]), cast(:targets as text[]), cast(:times as timestamptz[]),
            cast(:ours as boolean[]))
  with ordinality u(number, target, at, is_ours, n)
join whatsapp_accounts a on a.phone_number_id = u.number
where exists (
  select from reactions r
  where r.account_id = a.id and r.target_wamid = u.target and r.reacted_at >= u.at
    and (r.reactor = 'business') = u.is_ours
)
""")

_AMENDMENTS: Final = text("""
select u.n, false as is_parked
from unnest(cast(:numbers as text[]), cast(:wamids as text[])) with ordinality u(number, wamid, n)
join whatsapp_accounts a on a.phone_number_id = u.number
join message_amendments m on m.account_id = a.id and m.wamid = u.wamid
""")

_PREFERENCES: Final = text("""
select u.n, false as is_parked
from unnest(cast(:numbers as text[]), cast(:categories as text[]), cast(:times as timestamptz[]),
            cast(:phones as text[]), cast(:bsuids as text[]))
  with ordinality u(number, category, at, phone, bsuid, n)
join whatsapp_accounts a on a.phone_number_id = u.number
where exists (
  select from contact_identities i join contact_preferences p on p.contact_id = i.contact_id and p.account_id = a.id
  where i.value in (u.phone, u.bsuid) and p.category = u.category and p.changed_at >= u.at
)
""")

# The portfolio of an account may have become known since: an identity counts in any.
_PEOPLE: Final = text("""
select u.n, false as is_parked
from unnest(cast(:phones as text[]), cast(:bsuids as text[])) with ordinality u(phone, bsuid, n)
where coalesce(u.phone, u.bsuid) is null or exists (
  select from contact_identities i where i.kind in ('phone', 'former_phone', 'bsuid') and i.value in (u.phone, u.bsuid)
)
""")

_NOTICES: Final = text("""
select u.n, false as is_parked
from unnest(cast(:fields as text[]), cast(:events as text[]), cast(:times as timestamptz[]), cast(:wabas as text[]))
  with ordinality u(field, event, at, waba, n)
where exists (
  select from account_notices o
  where o.occurred_at = u.at and o.field = u.field and o.event = u.event and o.waba_id is not distinct from u.waba
)
""")

Columns = dict[str, Callable[[Any], object]]
"""For each list of a statement how its value is taken out of an item."""


class _Lookup(msgspec.Struct, frozen=True):
    statement: TextClause
    columns: Columns


def _phone(address: Address) -> str | None:
    return phone_key(address.wa_id) if address.wa_id else None


_OF_CUSTOMER: Final[Columns] = {
    "phones": lambda item: _phone(item.customer),
    "bsuids": lambda item: item.customer.bsuid,
}
_BY_WAMID: Final[Columns] = {"numbers": lambda item: item.phone_number_id, "wamids": lambda item: item.wamid}

_LOOKUPS: Final[dict[type, _Lookup]] = {
    InboundMessage: _Lookup(_MESSAGES, _BY_WAMID),
    InboundStatus: _Lookup(
        _STATUSES,
        {
            "wamids": lambda item: item.wamid,
            "statuses": lambda item: item.status,
            "codes": lambda item: item.error_code,
            "recipients": lambda item: item.recipient,
        },
    ),
    Reaction: _Lookup(
        _REACTIONS,
        {
            "numbers": lambda item: item.phone_number_id,
            "targets": lambda item: item.target,
            "times": lambda item: item.at,
            "ours": lambda item: item.customer is None,
        },
    ),
    Amendment: _Lookup(_AMENDMENTS, _BY_WAMID),
    Preference: _Lookup(
        _PREFERENCES,
        {
            "numbers": lambda item: item.phone_number_id,
            "categories": lambda item: item.category,
            "times": lambda item: item.at,
            **_OF_CUSTOMER,
        },
    ),
    IdentityLink: _Lookup(_PEOPLE, _OF_CUSTOMER),
    ContactName: _Lookup(_PEOPLE, _OF_CUSTOMER),
    IdentityChange: _Lookup(_PEOPLE, {"phones": lambda item: _phone(item.new), "bsuids": lambda item: item.new.bsuid}),
    AccountNotice: _Lookup(
        _NOTICES,
        {
            "fields": lambda item: item.field,
            "events": lambda item: item.event,
            "times": lambda item: item.at,
            "wabas": lambda item: item.waba_id,
        },
    ),
}


async def look_up(read: Reader, events: Sequence[InboundEvent]) -> list[Fate]:
    """For each of `events` what is stored of it. One that nobody can read is stored nowhere."""
    fates = [Fate.MISSING] * len(events)
    for kind, lookup in _LOOKUPS.items():
        places = [place for place, event in enumerate(events) if isinstance(event, kind)]
        if not places:
            continue
        values = {name: [value(events[place]) for place in places] for name, value in lookup.columns.items()}
        for row in await read.rows(lookup.statement, **values):
            fates[places[row.n - 1]] = Fate.PARKED if row.is_parked else Fate.APPLIED
    return fates
