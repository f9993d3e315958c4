"""Who may send now: the claim of send lanes, which takes a token of the number for each, and what numbers learn.

The arithmetic is that of `domain.pacing`. The row of a number is locked while one statement runs, so that its limit
holds for all processes together. A lane that finds no token is not touched: it stays due, and its place in the queue.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.times import timed
from inbox.domain.pacing import BURST, COEXISTENCE, DEAF, FLOOR, OLDEST_EVERY, RECOVERY, STANDARD, UPGRADED, Priority


def rate(pace: str, time: str) -> str:
    """SQL for `pacing.rate` of the row `pace`; the standard if there is no row."""
    risen = f"extract(epoch from {time} - {pace}.learned_at) / {RECOVERY.total_seconds()}"
    learned = f"{pace}.learned + {pace}.ceiling * {risen}"
    return f"coalesce(least({pace}.ceiling, {learned}), {STANDARD})::float8"


def tokens(free_at: str, time: str, rate: str) -> str:
    """SQL for `pacing.tokens`."""
    room = f"({BURST.total_seconds()} - greatest(coalesce(extract(epoch from {free_at} - {time}), 0), 0)::float8)"
    return f"case when {room} >= 0 then floor({room} * {rate})::int + 1 else 0 end"


UNHURRIED: Final = "(select set_config('synchronous_commit', 'off', true)) as unhurried"
"""A column that lets the commit of its statement reach the disk a moment later: with the fence, or with any other one.

For claims alone. One that a crash of the server undoes is a claim that the fence refuses.
"""

_WAITS: Final = "kind = 'send' and ver > done and parked is null and attempts = 0"
_PRIORITIES: Final = f"generate_series({min(Priority)}, {max(Priority)}) w(priority)"

IS_DUE: Final = f"""exists (
  select from {_PRIORITIES} where (
    select due from lanes where {_WAITS} and account_id = {{account}} and lanes.priority = w.priority
    order by due limit 1) <= {{time}})"""  # noqa: S608 - constants of ours
"""SQL: whether a message of the account waits for its turn. A probe of one index for each priority."""

# A lane whose worker died comes first and alone: its token was taken then. Otherwise each number with something due
# gets an equal share of what is asked for, never more than its tokens, and those go first that had their turn longest
# ago. Within a number priority decides, but each tenth message is the one that has waited longest. Numbers, priorities
# and lanes are found by probes of one index, however much waits. The planner must not see the values, or it makes a
# plan of its own for each claim, which takes longer than to run it.
CLAIM_SENDS: Final = timed(f"""
with recursive suspect as materialized (
  select key from lanes
  where kind = 'send' and ver > done and parked is null and attempts > 0 and due <= :time
    and (retries = 0 or not (select cast(:untried as boolean)))
  order by due limit 1 for update skip locked
), account(id) as (
  (select account_id from lanes where {_WAITS} order by account_id limit 1)
  union all
  select (select l.account_id from lanes l where {_WAITS} and l.account_id > a.id order by l.account_id limit 1)
  from account a where a.id is not null
), busy as materialized (
  select a.id from account a
  where a.id is not null and not exists (select from suspect) and {IS_DUE.format(account="a.id", time=":time")}
), pace as materialized (
  select p.* from number_paces p join busy b on b.id = p.account_id order by p.account_id for update of p
), bucket as materialized (
  select b.id, {rate("p", ":time")} as rate, p.free_at, coalesce(p.taken, 0) as taken
  from busy b left join pace p on p.account_id = b.id
), granted as materialized (
  select *, {tokens("free_at", ":time", "rate")} as tokens from bucket
), share as materialized (
  select *, least(tokens, greatest(1, ceil(cast(:limit as int)::float8 / count(*) over ())))::int as most
  from granted where tokens > 0
), waiting as materialized (
  select s.*, l.key, l.due, w.priority
  from share s cross join {_PRIORITIES}
  cross join lateral (
    select key, due from lanes
    where {_WAITS} and account_id = s.id and lanes.priority = w.priority and due <= :time
      and (retries = 0 or not (select cast(:untried as boolean)))
    order by due limit s.most for update skip locked
  ) l
), placed as (
  select *, row_number() over (partition by id order by due, key) as by_age,
         row_number() over (partition by id order by priority, due, key) as by_priority
  from waiting
), turned as (
  select *, row_number() over (
    partition by id
    order by (by_age = 1 and (taken + most) / {OLDEST_EVERY} > taken / {OLDEST_EVERY}) desc, by_priority
  ) as turn
  from placed
), chosen as materialized (
  select id, key, turn, free_at, taken, rate from turned where turn <= most
  order by turn, free_at nulls first, taken, id limit (select cast(:limit as int))
), paid as (
  insert into number_paces as p (account_id, free_at, taken)
  select id, :time + count(*) * interval '1 s' / max(rate), count(*) from chosen group by id order by id
  on conflict (account_id) do update
  set free_at = greatest(p.free_at, :time) + (excluded.free_at - :time), taken = p.taken + excluded.taken
), taken as (
  select key, 0::bigint as turn, cast(null as timestamptz) as free_at from suspect
  union all select key, turn, free_at from chosen
), claimed as (
  update lanes set due = now() + :lease, fence = fence + 1, attempts = attempts + 1
  where kind = 'send' and key = any(array(select key from taken))
  returning kind, key, ver, fence, attempts, retries, account_id, traceparent, pair_refusals
)
select claimed.*, {UNHURRIED} from claimed join taken using (key) order by turn, free_at nulls first, key
""")  # noqa: S608 - constants of ours

# What was under way when WhatsApp began to refuse is refused as well: that counts once. The bucket is empty then.
_SLOW: Final = text(f"""
with slow as (
  select a.id, p.ceiling, {rate("p", "now()")} as rate
  from unnest(cast(:accounts as uuid[])) a(id) left join number_paces p on p.account_id = a.id
)
insert into number_paces as p (account_id, learned, learned_at, free_at)
select id, greatest({FLOOR}, rate / 2), now(), now() + cast(:burst as interval) from slow order by id
on conflict (account_id) do update
set learned = excluded.learned, learned_at = excluded.learned_at, free_at = greatest(p.free_at, excluded.free_at)
where p.learned_at is null or p.learned_at <= now() - cast(:deaf as interval)
""").bindparams(burst=BURST, deaf=DEAF)  # noqa: S608 - constants of ours

# The number keeps its rate: it was not too fast. The bucket may run ahead by the burst, so that much is added. What was
# known last counts: a trial ends, or another rest begins.
_REST: Final = text("""
insert into number_paces (account_id, free_at)
select a.id, now() + case when a.rest > interval '0' then a.rest + cast(:burst as interval) else a.rest end
from unnest(cast(:accounts as uuid[]), cast(:rests as interval[])) a(id, rest) order by a.id
on conflict (account_id) do update set free_at = excluded.free_at
""").bindparams(burst=BURST)

_SET: Final = text("""
insert into number_paces (account_id, ceiling)
select a.id, :ceiling from unnest(cast(:accounts as uuid[])) a(id) order by a.id
on conflict (account_id) do update set ceiling = excluded.ceiling, learned = null, learned_at = null
""")

# The account is locked.
_SET_ONE: Final = text(f"""
with before as (
  select a.id, coalesce(p.ceiling, {STANDARD}) as ceiling
  from whatsapp_accounts a left join number_paces p on p.account_id = a.id
  where a.id = :id
), after as (
  insert into number_paces (account_id, ceiling) select id, :ceiling from before
  on conflict (account_id) do update set ceiling = excluded.ceiling, learned = null, learned_at = null
)
select ceiling from before
""")  # noqa: S608 - constants of ours

# Such a number never gets more.
_COEXIST: Final = text("""
insert into number_paces as p (account_id, ceiling)
select a.id, :ceiling from unnest(cast(:accounts as uuid[])) a(id) order by a.id
on conflict (account_id) do update set ceiling = excluded.ceiling, learned = null, learned_at = null
where p.ceiling > excluded.ceiling
""")


async def slow(connection: AsyncConnection, accounts: Collection[UUID]) -> None:
    """WhatsApp refused messages of these numbers because they came too fast."""
    if accounts:
        await connection.execute(_SLOW, {"accounts": sorted(accounts)})


async def rest(connection: AsyncConnection, rests: Mapping[UUID, timedelta]) -> None:
    """Nothing of these numbers leaves for so long from now on; 0 ends a rest."""
    if rests:
        accounts = sorted(rests)
        await connection.execute(_REST, {"accounts": accounts, "rests": [rests[one] for one in accounts]})


async def upgrade(connection: AsyncConnection, accounts: Collection[UUID]) -> None:
    """WhatsApp lets these numbers send faster from now on."""
    if accounts:
        await connection.execute(_SET, {"accounts": sorted(accounts), "ceiling": UPGRADED})


async def set_ceiling(connection: AsyncConnection, account_id: UUID, ceiling: float) -> float:
    """An administrator knows what WhatsApp allows the number. Returns the ceiling of before."""
    before: float = (await connection.execute(_SET_ONE, {"id": account_id, "ceiling": ceiling})).scalar_one()
    return before


async def coexist(connection: AsyncConnection, accounts: Collection[UUID]) -> None:
    """Somebody writes from the WhatsApp Business app with these numbers."""
    if accounts:
        await connection.execute(_COEXIST, {"accounts": sorted(accounts), "ceiling": COEXISTENCE})
