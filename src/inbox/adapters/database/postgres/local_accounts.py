"""Accounts of people who sign in here, their sessions, and the keys that sign their tokens."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.kit.sealing import Sealer
from inbox.ports.local_accounts import LocalSession, LocalUser, OneTimeLink, Purpose, SigningKey

SIGNING_KEYS: Final = "signing_keys"
PRIVATE_KEY: Final = "private_key"

_USER: Final = """
select id, email, password_hash, user_metadata, email_confirmed_at, last_sign_in_at, banned_until, created_at,
       updated_at
from local_users
"""
_USER_BY_EMAIL: Final = text(f"{_USER} where email = :email")
_USER_BY_ID: Final = text(f"{_USER} where id = :id")

_ADD_USER: Final = text("""
insert into local_users (id, email, password_hash, user_metadata, email_confirmed_at, last_sign_in_at, banned_until,
                         created_at, updated_at)
values (:id, :email, :password_hash, cast(:user_metadata as jsonb), :email_confirmed_at, :last_sign_in_at,
        :banned_until, :created_at, :updated_at)
on conflict (email) do nothing
returning id
""")
_CONFIRM: Final = text("""
update local_users set email_confirmed_at = :now, updated_at = :now where id = :id and email_confirmed_at is null
""")
_SET_PASSWORD: Final = text("""
update local_users set password_hash = :password_hash, updated_at = :now where id = :id
""")
_SIGNED_IN: Final = text("update local_users set last_sign_in_at = :now where id = :id")

_ADD_SESSION: Final = text("""
insert into local_sessions (id, user_id, refresh_counter, created_at, refreshed_at, not_after, method, user_agent,
                            ip)
values (:id, :user_id, :refresh_counter, :created_at, :refreshed_at, :not_after, :method, :user_agent, :address)
""")
_SESSION_COLUMNS: Final = "id, user_id, refresh_counter, created_at, refreshed_at, not_after, method"
_SESSION: Final = text(f"select {_SESSION_COLUMNS} from local_sessions where id = :id")  # noqa: S608 - names of ours
_LOCK_SESSION: Final = text(f"select {_SESSION_COLUMNS} from local_sessions where id = :id for update")  # noqa: S608
_ROTATE: Final = text("""
update local_sessions set refresh_counter = :counter, refreshed_at = :now where id = :id
""")
_SET_METHOD: Final = text("update local_sessions set method = :method, not_after = :not_after where id = :id")
_END_SESSIONS: Final = text("""
delete from local_sessions
where user_id = :user_id and id = coalesce(cast(:only as uuid), id) and id is distinct from cast(:keep as uuid)
""")
_FORGET_SESSIONS: Final = text("delete from local_sessions where user_id = :user_id and not_after < :now")

# Whoever makes, uses or ends links holds the person's row first: two cannot wait for each other, nor miss a link that
# the other one makes.
_LOCK_USER: Final = text("select id from local_users where id = :user_id for update")
_LOCK_USER_OF_LINK: Final = text("""
select id from local_users
where id = (select user_id from one_time_links where digest = :digest and purpose = :purpose)
for update
""")
_REPLACE_LINKS: Final = text("delete from one_time_links where user_id = :user_id and purpose = :purpose")
_ADD_LINK: Final = text("""
insert into one_time_links (id, user_id, purpose, digest, created_by, created_at, expires_at)
values (:id, :user_id, :purpose, :digest, :created_by, :created_at, :expires_at)
""")
_USE_LINK: Final = text("""
update one_time_links set used_at = :now
where digest = :digest and purpose = :purpose and used_at is null and expires_at > :now
returning user_id
""")
_END_LINKS: Final = text("delete from one_time_links where user_id = :user_id")
_END_LINKS_OF_OTHERS: Final = text("delete from one_time_links where user_id = :user_id and created_by <> :maker")

_KEYS: Final = text("""
select kid, private_key_sealed, public_jwk, state from signing_keys order by created_at desc, kid
""")
_CURRENT_KEY: Final = text("""
select kid, private_key_sealed, public_jwk, state from signing_keys where state = 'current'
""")
_ADD_KEY: Final = text("""
insert into signing_keys (kid, private_key_sealed, public_jwk, state)
values (:kid, :private_key_sealed, cast(:public_jwk as jsonb), 'current')
on conflict (state) where state = 'current' do nothing
returning kid
""")

_COUNT_ATTEMPT: Final = text("""
insert into login_attempts (key, window_start, attempts) values (:key, :window_start, 1)
on conflict (key, window_start) do update set attempts = login_attempts.attempts + 1
returning attempts
""")
_FORGET_ATTEMPTS: Final = text("""
with old as (
  select ctid as row from login_attempts where window_start < :before limit 500 for update skip locked
)
delete from login_attempts using old where login_attempts.ctid = old.row
""")


class PostgresLocalAccounts:
    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def user_by_email(self, email: str) -> LocalUser | None:
        return await self._user(_USER_BY_EMAIL, email=email)

    async def user(self, user_id: UUID) -> LocalUser | None:
        return await self._user(_USER_BY_ID, id=user_id)

    async def add_user(self, user: LocalUser) -> bool:
        values = {**msgspec.structs.asdict(user), "user_metadata": msgspec.json.encode(user.user_metadata).decode()}
        return (await self._connection.execute(_ADD_USER, values)).one_or_none() is not None

    async def confirm(self, user_id: UUID, now: datetime) -> None:
        await self._connection.execute(_CONFIRM, {"id": user_id, "now": now})

    async def set_password(self, user_id: UUID, password_hash: str, now: datetime) -> None:
        await self._connection.execute(_SET_PASSWORD, {"id": user_id, "password_hash": password_hash, "now": now})

    async def signed_in(self, user_id: UUID, now: datetime) -> None:
        await self._connection.execute(_SIGNED_IN, {"id": user_id, "now": now})

    async def add_session(self, session: LocalSession, *, user_agent: str | None, address: str | None) -> None:
        values = {**msgspec.structs.asdict(session), "user_agent": user_agent, "address": address}
        await self._connection.execute(_ADD_SESSION, values)

    async def session(self, session_id: UUID) -> LocalSession | None:
        return await self._session(_SESSION, session_id)

    async def lock_session(self, session_id: UUID) -> LocalSession | None:
        return await self._session(_LOCK_SESSION, session_id)

    async def rotate_session(self, session_id: UUID, counter: int, now: datetime) -> None:
        await self._connection.execute(_ROTATE, {"id": session_id, "counter": counter, "now": now})

    async def end_sessions(self, user_id: UUID, *, only: UUID | None = None, keep: UUID | None = None) -> None:
        await self._connection.execute(_END_SESSIONS, {"user_id": user_id, "only": only, "keep": keep})

    async def forget_sessions(self, user_id: UUID, now: datetime) -> None:
        await self._connection.execute(_FORGET_SESSIONS, {"user_id": user_id, "now": now})

    async def set_method(self, session_id: UUID, method: str, not_after: datetime) -> None:
        values = {"id": session_id, "method": method, "not_after": not_after}
        await self._connection.execute(_SET_METHOD, values)

    async def add_link(self, link: OneTimeLink) -> None:
        values = msgspec.structs.asdict(link)
        await self._connection.execute(_LOCK_USER, {"user_id": link.user_id})
        await self._connection.execute(_REPLACE_LINKS, {"user_id": link.user_id, "purpose": link.purpose})
        await self._connection.execute(_ADD_LINK, values)

    async def use_link(self, digest: bytes, purpose: Purpose, now: datetime) -> UUID | None:
        link = {"digest": digest, "purpose": purpose}
        if (await self._connection.execute(_LOCK_USER_OF_LINK, link)).one_or_none() is None:
            return None
        return (await self._connection.execute(_USE_LINK, {**link, "now": now})).scalar_one_or_none()

    async def end_links(self, user_id: UUID) -> None:
        await self._connection.execute(_END_LINKS, {"user_id": user_id})

    async def end_links_of_others(self, user_id: UUID, maker: UUID) -> None:
        await self._connection.execute(_LOCK_USER, {"user_id": user_id})
        await self._connection.execute(_END_LINKS_OF_OTHERS, {"user_id": user_id, "maker": maker})

    async def signing_keys(self) -> list[SigningKey]:
        """All keys, newest first. Raises `SecretUnreadable`."""
        return [self._opened(row) for row in (await self._connection.execute(_KEYS)).all()]

    async def add_signing_key(self, key: SigningKey) -> SigningKey:
        """Raises `SecretUnreadable`."""
        sealed = self._sealer.seal(key.private_key_pem, table=SIGNING_KEYS, column=PRIVATE_KEY, row_id=key.kid)
        jwk = msgspec.json.encode(key.public_jwk).decode()
        values = {"kid": key.kid, "private_key_sealed": sealed, "public_jwk": jwk}
        if (await self._connection.execute(_ADD_KEY, values)).one_or_none() is not None:
            return msgspec.structs.replace(key, state="current")
        return self._opened((await self._connection.execute(_CURRENT_KEY)).one())

    async def count_attempt(self, key: bytes, window_start: datetime) -> int:
        values = {"key": key, "window_start": window_start}
        return int((await self._connection.execute(_COUNT_ATTEMPT, values)).scalar_one())

    async def forget_attempts(self, before: datetime) -> None:
        await self._connection.execute(_FORGET_ATTEMPTS, {"before": before})

    async def _user(self, statement: TextClause, **which: UUID | str) -> LocalUser | None:
        row = (await self._connection.execute(statement, which)).one_or_none()
        if row is None:
            return None
        return LocalUser(**{**row._asdict(), "user_metadata": msgspec.json.decode(row.user_metadata)})

    async def _session(self, statement: TextClause, session_id: UUID) -> LocalSession | None:
        row = (await self._connection.execute(statement, {"id": session_id})).one_or_none()
        return None if row is None else LocalSession(**row._asdict())

    def _opened(self, row: Row[Any]) -> SigningKey:
        pem = self._sealer.open(row.private_key_sealed, table=SIGNING_KEYS, column=PRIVATE_KEY, row_id=row.kid)
        jwk = msgspec.json.decode(row.public_jwk)
        return SigningKey(kid=row.kid, private_key_pem=pem, public_jwk=jwk, state=row.state)
