"""What the assistant used, per day, account and conversation: counted before a call, put right after it."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.ports.bot import Charge, Reservation

# Both rows are there and locked afterwards, the account's first: every call of it waits for this one's commit.
_HOLD: Final = text("""
insert into bot_spending (holder, day, account_id)
select u.holder, :day, :account_id from unnest(cast(:holders as uuid[])) with ordinality u(holder, place)
order by u.place
on conflict (holder, day) do update set turns = bot_spending.turns
returning holder = account_id and xmax = 0 as is_new_day
""")

_RESERVE: Final = text("""
with most as (
  select * from unnest(cast(:holders as uuid[]), cast(:turns as int[]), cast(:tokens as bigint[]),
                       cast(:costs as bigint[])) m(holder, turns, tokens, cost)
)
update bot_spending s
set turns = s.turns + :turn, tokens = s.tokens + :token, cost = s.cost + :cost
where s.holder = any(cast(:holders as uuid[])) and s.day = :day
  and not exists (
    select from bot_spending b join most m on m.holder = b.holder
    where b.day = :day and (b.turns >= m.turns or b.tokens >= m.tokens or b.cost >= m.cost))
""")

_SETTLE: Final = text("""
with held as (
  select s.holder from unnest(cast(:holders as uuid[])) with ordinality u(holder, place)
  join bot_spending s on s.holder = u.holder and s.day = :day and s.account_id = :account_id
  order by u.place for update of s
)
update bot_spending s
set turns = greatest(0, s.turns + :turn), tokens = greatest(0, s.tokens + :token), cost = greatest(0, s.cost + :cost)
from held where s.holder = held.holder and s.day = :day
""")

_FORGET: Final = text("delete from bot_spending where account_id = :account_id and day < cast(:day as date) - 90")


async def reserve(connection: AsyncConnection, call: Reservation, *, contact: Charge, account: Charge) -> bool:
    """Days that are long over are forgotten by the first call of a new one."""
    holders = {"holders": [call.account_id, call.conversation_id], "day": call.day}
    held = await connection.execute(_HOLD, {**holders, "account_id": call.account_id})
    if any(row.is_new_day for row in held):
        await connection.execute(_FORGET, {"account_id": call.account_id, "day": call.day})
    values = {
        **holders,
        "turns": [account.turns, contact.turns],
        "tokens": [account.tokens, contact.tokens],
        "costs": [account.cost, contact.cost],
        "turn": call.charge.turns,
        "token": call.charge.tokens,
        "cost": call.charge.cost,
    }
    return (await connection.execute(_RESERVE, values)).rowcount > 0


async def settle(connection: AsyncConnection, call: Reservation, used: Charge) -> None:
    values = {
        "holders": [call.account_id, call.conversation_id],
        "day": call.day,
        "account_id": call.account_id,
        "turn": used.turns - call.charge.turns,
        "token": used.tokens - call.charge.tokens,
        "cost": used.cost - call.charge.cost,
    }
    await connection.execute(_SETTLE, values)
