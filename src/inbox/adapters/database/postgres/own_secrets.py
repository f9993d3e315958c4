"""What is said under an app secret that an account has of its own counts for the accounts of that secret only.

Whoever holds the secret can say anything about people. So their ids, usernames and former numbers are kept in a
portfolio of their own, which nobody else reads; and a contact whom others know keeps the one number that it has: it is
neither merged nor reached elsewhere because of them. A name is taken from them for who is new, and for whom only they
write with; without its time, so that the first name that anybody else hears replaces it. Accounts of one WABA belong
together. While all accounts of the installation do, there is nobody to protect.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.identity_rows import OF_SECRET, Key, is_of_secret
from inbox.domain.contacts import Address, IdentityKind

_REALM: Final = f"""case when {{0}}.app_secret_sealed is null then ''
       else '{OF_SECRET}' || coalesce(nullif({{0}}.waba_id, ''), {{0}}.id::text) end"""
PORTFOLIO: Final = f"""case when a.app_secret_sealed is not null and exists (
         select from whatsapp_accounts other where ({_REALM.format("other")}) <> ({_REALM.format("a")})
       ) then {_REALM.format("a")} else coalesce(a.portfolio_id, '') end"""
"""The portfolio in which the identities count that `whatsapp_accounts a` hears of."""

# A conversation begins with a lock on its contact: what is found below stays so to the end of the transaction.
_HOLD: Final = text("""
select from contacts where id = any(cast(:ids as uuid[])) order by id for no key update
""")
_THEIRS: Final = text(f"""
select k.id from contacts k
where k.id = any(cast(:ids as uuid[])) and k.whatsapp_number <> all(cast(:others as text[]))
  and (cardinality(cast(:phones as text[])) = 0 or not k.is_named_by_person)
  and not exists (
    select from contact_identities i
    where i.contact_id = k.id and i.portfolio <> :portfolio
      and not (i.kind = 'phone' and i.value = any(cast(:phones as text[])))
  ) and not exists (
    select from conversations c join whatsapp_accounts a on a.id = c.account_id
    where c.contact_id = k.id and ({_REALM.format("a")}) <> :portfolio
  )
""")  # noqa: S608 - constants of ours

_OTHERS_WRITE: Final = f"""exists (
  select from conversations c join whatsapp_accounts a on a.id = c.account_id
  where c.contact_id = k.id and ({_REALM.format("a")}) <> u.portfolio
)"""
_REALM_OF: Final = text(f"select {_REALM.format('a')} from whatsapp_accounts a where id = :account_id")  # noqa: S608 - of ours
# What nobody else needs is forgotten there (`_LEAVE`). Who is known under the new portfolio already stays who they are.
_CARRY: Final = text(f"""
insert into contact_identities (portfolio, kind, value, contact_id, written, seen_at, valid_until)
select p.portfolio, i.kind, i.value, i.contact_id, i.written, i.seen_at, i.valid_until
from (
  select {_REALM.format("a")} as realm, {PORTFOLIO} as portfolio
  from whatsapp_accounts a where a.id = :account_id and a.app_secret_sealed is not null
) p join contact_identities i on i.portfolio in (:before, p.realm) and i.portfolio <> p.portfolio
order by i.kind, i.value, i.portfolio <> :before
on conflict do nothing
""")  # noqa: S608 - constants of ours
_LEAVE: Final = text(f"""
delete from contact_identities i
where i.portfolio = :before and exists (
  select from whatsapp_accounts a where a.id = :account_id and a.app_secret_sealed is not null
) and not exists (select from whatsapp_accounts a where ({_REALM.format("a")}) = :before)
""")  # noqa: S608 - constants of ours
# The contacts are locked: no other account begins a conversation with them meanwhile.
_RENAME: Final = text(f"""
update contacts t set display_name = n.name, name_at = null
from (
  select k.id, nullif(u.name, '') as name
  from unnest(cast(:ids as uuid[]), cast(:portfolios as text[]), cast(:names as text[])) u(id, portfolio, name)
  join contacts k on k.id = u.id
  where not k.is_named_by_person and not {_OTHERS_WRITE}
) n
where t.id = n.id and t.display_name is distinct from n.name
returning t.id, false as is_new, true as is_renamed
""")  # noqa: S608 - constants of ours
_HUSH: Final = text(f"""
update contacts t set display_name = null, name_at = null
from unnest(cast(:losers as uuid[]), cast(:ids as uuid[]), cast(:portfolios as text[])) u(loser, id, portfolio)
join contacts k on k.id = u.id
where t.id = u.loser and not t.is_named_by_person and {_OTHERS_WRITE}
""")  # noqa: S608 - constants of ours

_Names: TypeAlias = Sequence[tuple[Key, str | None]]


class Ties:
    """Which number and which id are believed to be one person's because one item names both."""

    def __init__(self, found: Mapping[Key, Row[Any]], theirs: AbstractSet[UUID]) -> None:
        """`theirs` are contacts without a number whom nobody else knows."""
        self._found = found
        self._theirs = theirs
        self._numbers: dict[Key | UUID, Key] = {}

    def believed(self, names: _Names) -> list[tuple[Key, str | None]]:
        """`names` without the id, if that would give somebody a second number."""
        if len(names) == 1 or not is_of_secret(names[1][0].portfolio):
            return list(names)
        number, other = names[0][0], names[1][0]
        owner, known = self._found.get(number), self._found.get(other)
        is_open = (
            known is None
            or known.version is None
            or known.contact_id in self._theirs
            or (owner is not None and owner.contact_id == known.contact_id)
        )
        place = other if known is None else known.contact_id
        return list(names) if is_open and self._numbers.setdefault(place, number) == number else [names[0]]


async def ties(
    connection: AsyncConnection, named: AbstractSet[tuple[str, Address]], found: Mapping[Key, Row[Any]]
) -> Ties:
    """`named` are addresses with the portfolio of who named them, `found` what is known of them.

    Whom others name at the same moment is not of one account alone.
    """
    doubtful: dict[str, set[UUID]] = {}
    for portfolio, address in named:
        if is_of_secret(portfolio) and address.wa_id and address.bsuid:
            row = found.get(Key(portfolio, IdentityKind.BSUID, address.bsuid))
            if row is not None and row.version is not None:
                doubtful.setdefault(portfolio, set()).add(row.contact_id)
    alone: set[UUID] = set()
    if doubtful:  # all at once: whoever locks more of them later has them already
        await _hold(connection, {row.contact_id for row in found.values() if row.version is not None})
    for portfolio, contacts in doubtful.items():
        others = {address.key for whose, address in named if whose != portfolio}
        alone |= await _theirs(connection, portfolio, contacts, others=others)
    return Ties(found, alone)


async def theirs(
    connection: AsyncConnection, portfolio: str, contacts: AbstractSet[UUID], *, phones: Iterable[str]
) -> set[UUID]:
    """Those of `contacts` whom nobody knows but who speaks in `portfolio`; all of them are locked.

    They have no number, or only one of the keys `phones`; then nobody named them either.
    """
    await _hold(connection, contacts)
    return await _theirs(connection, portfolio, contacts, phones=phones)


async def realm(connection: AsyncConnection, account_id: UUID) -> str:
    """In which portfolio the account speaks among strangers; empty without a secret of its own."""
    return str((await connection.execute(_REALM_OF, {"account_id": account_id})).scalar_one_or_none() or "")


async def carry_over(connection: AsyncConnection, account_id: UUID, before: str) -> None:
    """What an account heard in the realm `before` counts where it speaks now, if it still has a secret of its own."""
    if is_of_secret(before) and await realm(connection, account_id) != before:
        values = {"account_id": account_id, "before": before}
        await connection.execute(_CARRY, values)
        await connection.execute(_LEAVE, values)


async def rename(connection: AsyncConnection, said: Sequence[tuple[UUID, str, str]]) -> list[Row[Any]]:
    """What is news of locked contacts that have another name now. `said` is whom, in which portfolio, and the name."""
    if not said:
        return []
    ids, portfolios, names = zip(*said, strict=True)
    values = {"ids": list(ids), "portfolios": list(portfolios), "names": list(names)}
    return list((await connection.execute(_RENAME, values)).all())


async def hush(connection: AsyncConnection, merged: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Takes the names from contacts that are about to become part of others whom another account writes with.

    `merged` is which contact, of which one, because of whom.
    """
    if merged:
        losers, ids, portfolios = zip(*merged, strict=True)
        values = {"losers": list(losers), "ids": list(ids), "portfolios": list(portfolios)}
        await connection.execute(_HUSH, values)


async def _hold(connection: AsyncConnection, contacts: AbstractSet[UUID]) -> None:
    await connection.execute(_HOLD, {"ids": sorted(contacts)})


async def _theirs(
    connection: AsyncConnection,
    portfolio: str,
    contacts: AbstractSet[UUID],
    *,
    phones: Iterable[str] = (),
    others: Iterable[str] = (),
) -> set[UUID]:
    """`others` are numbers and ids under which somebody else is about to find a contact."""
    values = {"ids": list(contacts), "portfolio": portfolio, "phones": list(phones), "others": list(others)}
    return set((await connection.execute(_THEIRS, values)).scalars())
