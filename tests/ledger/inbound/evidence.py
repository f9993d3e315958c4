"""What the database holds, read slice by slice for the books."""

from datetime import datetime
from typing import Final

from crash.evidence import Database

from .books import Books, Fault, Found, HeardRow, ReactedRow, SaidRow, Talk
from .items import BLOCK, OWN, Plan, own_wamid

_SLICE: Final = 20_000

_SAID: Final = """
select m.wa_message_id as wamid, a.phone_number_id as number, o.phone_number_id as talk, c.client_number as customer,
       k.whatsapp_number as contact, m."timestamp" as at, m.message_type as kind, m.content_text as text
from messages m left join whatsapp_accounts a on a.id = m.account_id
left join conversations c on c.id = m.conversation_id left join whatsapp_accounts o on o.id = c.account_id
left join contacts k on k.id = c.contact_id
where m.direction = 'inbound' and m.wa_message_id >= $1 and m.wa_message_id < $2
"""
_HEARD: Final = """
select s.wamid, s.phone_number_id as number, s.recipient as customer, s.occurred_at as at, s.status as word,
       m.wa_message_id as own
from message_statuses s left join messages m on m.id = s.message_id
where s.wamid >= $1 and s.wamid < $2
"""
_REACTED: Final = """
select r.target_wamid as target, a.phone_number_id as number, k.whatsapp_number as customer, r.wamid, r.emoji,
       r.reacted_at as at
from reactions r join whatsapp_accounts a on a.id = r.account_id left join contacts k on k.id::text = r.reactor
where r.target_wamid >= $1 and r.target_wamid < $2
"""
_SHOWN: Final = """
select wa_message_id, status from messages
where direction = 'outbound' and wa_message_id >= $1 and wa_message_id < $2
"""
_TALKS: Final = """
select a.phone_number_id as number, c.client_number as customer, k.whatsapp_number as contact, c.unread_count as unread,
       c.updated_at, c.last_inbound_at, c.window_expires_at
from conversations c join whatsapp_accounts a on a.id = c.account_id left join contacts k on k.id = c.contact_id
where a.phone_number_id = any($1)
"""
_STORED: Final = """
select (select count(*) from messages where direction = 'inbound') + (select count(*) from message_statuses)
       + (select count(*) from reactions)
"""
# What screens were told: the status of a message never falls from one event to the next.
_FALLS: Final = """
with told as (
  select body ->> 'message_id' as message, r.rank,
         lag(r.rank) over (partition by body ->> 'message_id' order by e.id) as before
  from event_log e
  join (values ('sent', 1), ('failed', 2), ('delivered', 3), ('read', 4)) r(word, rank) on r.word = e.body ->> 'status'
  where e.kind = 'message.status'
)
select message from told where rank < before limit 1000
"""


async def compared(plan: Plan, database: Database, numbers: list[str], quiet: datetime) -> Found:
    """Everything that is wrong. The database must be drained; `numbers` are our phone number ids."""
    books = Books(plan)
    for start in range(0, plan.items, _SLICE):
        end = min(start + _SLICE, plan.items)
        owns = range(start // BLOCK * OWN, end // BLOCK * OWN)
        mine = own_wamid(owns.start), own_wamid(owns.stop)
        said = await database.ask(_SAID, f"wamid.in.{start:09d}", f"wamid.in.{end:09d}")
        heard = await database.ask(_HEARD, *mine)
        reacted = await database.ask(_REACTED, *mine)
        books.compare_slice(
            range(start, end),
            (SaidRow(**row) for row in said),
            (HeardRow(**row) for row in heard),
            (ReactedRow(**row) for row in reacted),
        )
        books.compare_shown(owns, dict(await database.ask(_SHOWN, *mine)))
    books.strangers(await database.value(_STORED))
    books.compare_talks([Talk(**row) for row in await database.ask(_TALKS, numbers)], quiet)
    for row in await database.ask(_FALLS):
        books.found.add(Fault.REGRESSION, f"the status of {row['message']} was told to fall")
    return books.found
