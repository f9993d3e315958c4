"""Whose words these are: a contact for each customer of a batch, found by any of their identities.

Keys that nobody knows are claimed first, in their order: a second transaction with one of them waits, and finds the
contact that was made. Then the contacts are locked, in the order of their ids. Two contacts that turn out to be one
person are merged.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import identity_rows, merging, own_secrets
from inbox.adapters.database.postgres.contact_news import ContactNews
from inbox.adapters.database.postgres.identity_rows import Key, Naming, is_of_secret
from inbox.adapters.database.postgres.joining import Joined
from inbox.adapters.database.postgres.merging import Merged
from inbox.adapters.database.postgres.own_secrets import Ties
from inbox.domain.contacts import Address, IdentityKind
from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.ids import uuid7

_ROUNDS: Final = 8

_IS_NEWS: Final = """(u.name_at is not null and not c.is_named_by_person
   and (c.name_at is null or (u.name_at, coalesce(u.name, '')) > (c.name_at, coalesce(c.display_name, ''))))"""
_TOLD: Final = f"""
display_name = case when {_IS_NEWS} then u.name else c.display_name end,
name_at = case when {_IS_NEWS} then u.name_at else c.name_at end,
is_listed = c.is_listed or u.is_listed,
created_at = case when u.is_listed and not c.is_listed then now() else c.created_at end
"""
_IS_OTHER: Final = """coalesce(t.is_listed > h.is_listed, false) as is_new,
t.id is not null and t.display_name is distinct from h.display_name as is_renamed"""
# Names are told in the same breath: most batches change nothing else about people they know.
_LOCK: Final = text(f"""
with held as (
  select id, xmin::text as version, whatsapp_number, created_at, display_name, is_listed
  from contacts where id = any(cast(:ids as uuid[])) order by id for no key update
), told as (
  update contacts c set {_TOLD}
  from (
    select n.*, n.id = any(cast(:listed as uuid[])) as is_listed
    from unnest(cast(:ids as uuid[]), cast(:versions as text[]), cast(:names as text[]), cast(:times as timestamptz[]))
      n(id, version, name, name_at)
  ) u join held h on h.id = u.id and h.version = u.version
  where c.id = u.id and ({_IS_NEWS} or (u.is_listed and not c.is_listed))
  returning c.id, c.display_name, c.is_listed
)
select h.id, h.version, h.whatsapp_number, h.created_at, {_IS_OTHER} from held h left join told t on t.id = h.id
""")  # noqa: S608 - constants of ours

_TELL: Final = text(f"""
with h as (
  select id, display_name, is_listed from contacts where id = any(cast(:told as uuid[]))
), t as (
  update contacts c set {_TOLD}
  from unnest(cast(:told as uuid[]), cast(:names as text[]), cast(:times as timestamptz[]), cast(:listed as boolean[]))
    u(id, name, name_at, is_listed)
  where c.id = u.id and ({_IS_NEWS} or (u.is_listed and not c.is_listed))
  returning c.id, c.display_name, c.is_listed
)
select h.id, {_IS_OTHER} from h join t on t.id = h.id
""")  # noqa: S608 - constants of ours

# The update that changes nothing returns an old contact that has the number and no identity.
_ADD: Final = text("""
insert into contacts (id, whatsapp_number, display_name, name_at, is_listed)
select u.id, u.number, u.name, u.name_at, u.is_listed
from unnest(cast(:told as uuid[]), cast(:numbers as text[]), cast(:names as text[]), cast(:times as timestamptz[]),
            cast(:listed as boolean[]))
  u(id, number, name, name_at, is_listed)
order by u.number
on conflict (whatsapp_number) do update set whatsapp_number = excluded.whatsapp_number
returning id, whatsapp_number
""")


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """An item that names a customer. `at` None: a person typed it.

    `name` counts from `at` on, if the item speaks of a name at all (`has_name`). `is_listed` False: nobody wrote, so
    that the contact is kept for its identities and not shown. Sightings with the same `person` are of one.
    """

    portfolio: str
    address: Address
    at: datetime | None
    name: str | None = None
    has_name: bool = False
    is_listed: bool = True
    person: str | None = None


class People(msgspec.Struct, frozen=True, kw_only=True):
    """The contact of each sighting, locked; the number that each one is shown under; what was merged, what changed."""

    contacts: Sequence[UUID]
    numbers: Mapping[UUID, str]
    merged: Merged
    news: ContactNews


_Node: TypeAlias = Key | UUID | str
_Names: TypeAlias = list[tuple[Key, str | None]]


class _Group(msgspec.Struct, kw_only=True):
    """What the batch says of one person. `known` are contacts that are stored, `pending` those that are claimed for.

    `alias` is a name that was said under a secret of an account's own, `portfolios` are those of all who speak here.
    """

    keys: dict[Key, Naming] = {}
    known: set[UUID] = set()
    pending: set[UUID] = set()
    name: tuple[datetime, str] | None = None
    alias: tuple[datetime, str] | None = None
    portfolios: set[str] = set()
    usernames: dict[tuple[str, str], datetime] = {}
    is_listed: bool = False
    contact: UUID | None = None
    is_hidden: bool = False
    has_heard: bool = False

    @property
    def is_settled(self) -> bool:
        """True if it is one stored contact and nothing else."""
        return len(self.known) == 1 and not self.pending

    @property
    def secret(self) -> str | None:
        """The portfolio, if it is that of a secret of an account's own and nobody else speaks here."""
        return next(filter(is_of_secret, self.portfolios), None) if len(self.portfolios) == 1 else None

    @property
    def id(self) -> UUID:
        """The contact; an id for it if there is none yet."""
        if self.contact is None:
            self.contact = min(self.known, default=None) or min(self.pending, default=None) or uuid7()
        return self.contact

    def meet(self, keys: _Names, found: Mapping[Key, Row[Any]]) -> None:
        """Whose `keys` are, as far as it was `found`."""
        for key, _ in keys:
            if (row := found.get(key)) is not None:
                (self.pending if row.version is None else self.known).add(row.contact_id)
                self.is_hidden |= row.is_listed is False

    def note(self, sighting: Sighting, keys: _Names) -> None:
        at = sighting.at
        for key, written in keys:
            naming, known = Naming(at, written), self.keys.get(key)
            if known is None or (at is not None and _is_earlier(naming, *known)):
                self.keys[key] = naming
        self.portfolios.add(sighting.portfolio)
        if at is None:
            self.is_listed |= sighting.is_listed
            return
        if sighting.has_name:
            named = (at, sighting.name or "")
            if is_of_secret(sighting.portfolio):
                self.alias = max(self.alias or named, named)
            else:
                self.name = max(self.name or named, named)
        if username := sighting.address.username:
            used = (sighting.portfolio, username)
            self.usernames[used] = max(self.usernames.get(used, at), at)
        self.is_listed |= sighting.is_listed

    def number(self) -> str:
        """What a new contact is shown under: the newest phone, else the newest BSUID."""
        shown = [
            (key.kind is IdentityKind.PHONE, naming.at.timestamp() if naming.at else 0.0, key.value, naming.written)
            for key, naming in self.keys.items()
            if key.kind in (IdentityKind.PHONE, IdentityKind.BSUID)
        ]
        *_, value, written = max(shown, key=lambda one: one[:3], default=(next(iter(self.keys)).value, None))
        return written or value


async def resolve(connection: AsyncConnection, sightings: Sequence[Sighting]) -> People:
    """The contacts of `sightings`, made and merged where need be. `merging.finish` ends what was merged.

    Raises `DatabaseUnavailable` if others keep changing the same people meanwhile.
    """
    if not sightings:
        return People(contacts=(), numbers={}, merged=Merged(), news=ContactNews())
    claimed: set[Key] = set()
    news = ContactNews()
    named = {(sighting.portfolio, sighting.address) for sighting in sightings}
    for _ in range(_ROUNDS):
        found = await identity_rows.find(connection, identity_rows.asked(named))
        places = _grouped(sightings, found, await own_secrets.ties(connection, named, found))
        groups = list({id(group): group for group in places}.values())
        missing = {
            key: (group.id, naming) for group in groups for key, naming in group.keys.items() if key not in found
        }
        claimed |= missing.keys()
        if missing and not await identity_rows.claim(connection, missing):
            continue
        versions = {row.contact_id: str(row.version) for row in found.values() if row.version is not None}
        locked = await _locked(connection, groups, versions)
        news.heard(locked.values())
        if all(one in locked and locked[one].version == versions[one] for group in groups for one in group.known):
            break
    else:
        raise DatabaseUnavailable
    merged = await _settle(connection, groups, locked)
    news.merged(merged.contacts)
    grown = {group.id for group in groups if group.known and not claimed.isdisjoint(group.keys)}
    grown |= await _see(connection, groups, found)
    numbers = {one: row.whatsapp_number for one, row in locked.items()}
    numbers |= await _add(connection, [group for group in groups if not group.known])
    news.created(group.id for group in groups if not group.known and group.is_listed)
    news.heard(await _tell(connection, groups))
    grown |= set(merged.contacts.values())
    if merged.contacts:
        await identity_rows.show_usernames(connection, grown)
    if grown:
        renumbered = await identity_rows.renumber(connection, grown)
        news.changed(renumbered)
        numbers |= renumbered
    return People(contacts=[group.id for group in places], numbers=numbers, merged=merged, news=news)


def _grouped(sightings: Sequence[Sighting], found: Mapping[Key, Row[Any]], ties: Ties) -> list[_Group]:
    """The person of each sighting: sightings that share a key, or a stored contact, are of one."""
    same = Joined[_Node]()
    given_up = {key for key in found if key.kind is IdentityKind.FORMER_PHONE}
    known: dict[tuple[str, Address, bool], _Names] = {}
    entries: list[_Names] = []
    for sighting in sightings:
        was_given_up = bool(given_up) and _was_given_up(sighting, found)
        place = (sighting.portfolio, sighting.address, was_given_up)
        names = known.get(place)
        if names is None:
            names = known[place] = ties.believed(_names(sighting, was_given_up=was_given_up))
            _join(same, names, found)
        if sighting.person is not None:
            same.join(names[0][0], f"person {sighting.person}")
        entries.append(names)
    groups: dict[_Node, _Group] = {}
    for names in known.values():
        leader = same.leader(names[0][0])
        group = groups.get(leader)
        if group is None:
            group = groups[leader] = _Group()
        group.meet(names, found)
    places = [groups[same.leader(names[0][0])] for names in entries]
    for sighting, names, group in zip(sightings, entries, places, strict=True):
        group.note(sighting, names)
    return places


def _join(same: Joined[_Node], names: _Names, found: Mapping[Key, Row[Any]]) -> None:
    """All keys of an address are of one person, and so is the contact that one of them belongs to."""
    first = names[0][0]
    for key, _ in names:
        same.join(first, key)
        if (row := found.get(key)) is not None:
            same.join(first, row.contact_id)
        if key.kind is IdentityKind.BSUID and not is_of_secret(key.portfolio):
            same.join(first, key.value)


def _was_given_up(sighting: Sighting, found: Mapping[Key, Row[Any]]) -> bool:
    """True if the number belonged to somebody else when the item was made: to who gave it up later."""
    if sighting.at is None or not sighting.address.wa_id:
        return False
    row = found.get(identity_rows.former_phone(sighting.portfolio, sighting.address.wa_id))
    return row is not None and sighting.at <= row.valid_until


def _names(sighting: Sighting, *, was_given_up: bool) -> _Names:
    keys = identity_rows.keys_of(sighting.portfolio, sighting.address).items()
    return [
        (identity_rows.former_phone(sighting.portfolio, key.value), written)
        if was_given_up and key.kind is IdentityKind.PHONE
        else (key, written)
        for key, written in keys
    ]


async def _locked(
    connection: AsyncConnection, groups: Sequence[_Group], versions: Mapping[UUID, str]
) -> dict[UUID, Row[Any]]:
    """The stored contacts of `groups`; those that are alone in theirs hear their names."""
    ids = sorted({one for group in groups for one in group.known})
    if not ids:
        return {}
    named: dict[UUID, tuple[datetime, str]] = {}
    for group in groups:
        group.has_heard = group.is_settled
        if group.has_heard and group.name:
            named[group.id] = group.name
    values = {
        "ids": ids,
        "versions": [versions[one] for one in ids],
        "names": [(one in named and named[one][1]) or None for one in ids],
        "times": [named[one][0] if one in named else None for one in ids],
        "listed": [group.id for group in groups if group.has_heard and group.is_listed and group.is_hidden],
    }
    return {row.id: row for row in (await connection.execute(_LOCK, values)).all()}


def _told(groups: Sequence[_Group]) -> dict[str, list[Any]]:
    return {
        "told": [group.id for group in groups],
        "names": [(group.name and group.name[1]) or None for group in groups],
        "times": [group.name and group.name[0] for group in groups],
        "listed": [group.is_listed for group in groups],
    }


async def _settle(connection: AsyncConnection, groups: Sequence[_Group], locked: Mapping[UUID, Row[Any]]) -> Merged:
    """One contact for each group: claims go where they belong, and contacts that are one person become one."""
    winners: dict[UUID, UUID] = {}
    for group in groups:
        if group.is_settled:
            continue
        if group.known:
            group.contact = min(group.known, key=lambda one: _seniority(locked[one]))
        winners |= dict.fromkeys((group.pending | group.known) - {group.id}, group.id)
    if not winners:
        return Merged()
    await identity_rows.hand_over(connection, winners)
    said = [(one, group.id, group.secret) for group in groups if group.secret for one in group.known - {group.id}]
    await own_secrets.hush(connection, said)
    return await merging.merge(connection, {one: winner for one, winner in winners.items() if one in locked})


def _seniority(row: Row[Any]) -> tuple[bool, str, str]:
    """Who has a number survives a merge; else the older one."""
    return (Address.of(row.whatsapp_number).wa_id is None, str(row.created_at or ""), str(row.id))


async def _see(connection: AsyncConnection, groups: Sequence[_Group], found: Mapping[Key, Row[Any]]) -> set[UUID]:
    """Keeps when identities were first named; the contacts that may be shown under another number now."""
    seen: dict[Key, Naming] = {}
    changed: set[UUID] = set()
    for group in groups:
        for key, naming in group.keys.items():
            row = found.get(key)
            if row is None or naming.at is None:
                continue
            if _is_earlier(naming, row.seen_at, row.written):
                seen[Key(row.portfolio, key.kind, key.value)] = naming
                changed.add(group.id)
    if seen:
        await identity_rows.see(connection, seen)
    return changed


def _is_earlier(naming: Naming, at: datetime | None, written: str | None) -> bool:
    return at is None or (naming.at is not None and (naming.at, naming.written or "") < (at, written or ""))


async def _add(connection: AsyncConnection, groups: Sequence[_Group]) -> dict[UUID, str]:
    """Stores the contacts of `groups` and returns their numbers."""
    if not groups:
        return {}
    numbers = [group.number() for group in groups]
    first = dict(zip(reversed(numbers), reversed(groups), strict=True))
    values = {**_told(list(first.values())), "numbers": list(first)}
    values["names"] = [
        (alias[1] or None) if group.secret and (alias := group.alias) else name
        for group, name in zip(first.values(), values["names"], strict=True)
    ]
    stored = {row.whatsapp_number: row.id for row in (await connection.execute(_ADD, values)).all()}
    taken: dict[UUID, UUID] = {}
    for group, number in zip(groups, numbers, strict=True):
        if stored[number] != group.id:
            taken[group.id] = stored[number]
            group.contact = stored[number]
            group.known.add(stored[number])
    if taken:
        await identity_rows.hand_over(connection, taken)
    return {one: number for number, one in stored.items()}


async def _tell(connection: AsyncConnection, groups: Sequence[_Group]) -> Sequence[Row[Any]]:
    """Names and listings of contacts that did not hear them when they were locked; usernames of all."""
    told = [group for group in groups if group.known and not group.has_heard]
    aliases = [(one.id, one.secret, one.alias[1]) for one in groups if one.known and one.secret and one.alias]
    heard = await own_secrets.rename(connection, aliases)
    if told:
        heard += (await connection.execute(_TELL, _told(sorted(told, key=lambda group: group.id)))).all()
    used: dict[tuple[str, str], tuple[datetime, UUID]] = {}
    for group in groups:
        for username, at in group.usernames.items():
            used[username] = max(used.get(username, (at, group.id)), (at, group.id))
    if used:
        await identity_rows.use_usernames(connection, used)
    return heard
