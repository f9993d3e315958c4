"""Accounts of people who sign in here, their sessions, and the keys that sign their tokens."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.kit.sealing import Sealer
from inbox.ports.local_accounts import LocalSession, LocalUser, SigningKey

_TABLE: Final = "signing_keys"
_COLUMN: Final = "private_key"

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
_SET_PASSWORD: Final = text("""
update local_users set password_hash = :password_hash, updated_at = :now where id = :id
""")
_SIGNED_IN: Final = text("update local_users set last_sign_in_at = :now where id = :id")

_ADD_SESSION: Final = text("""
insert into local_sessions (id, user_id, refresh_counter, created_at, refreshed_at, not_after, user_agent, ip)
values (:id, :user_id, :refresh_counter, :created_at, :refreshed_at, :not_after, :user_agent, :address)
""")
_SESSION_COLUMNS: Final = "id, user_id, refresh_counter, created_at, refreshed_at, not_after"
_SESSION: Final = text(f"select {_SESSION_COLUMNS} from local_sessions where id = :id")  # noqa: S608 - names of ours
_LOCK_SESSION: Final = text(f"select {_SESSION_COLUMNS} from local_sessions where id = :id for update")  # noqa: S608
_ROTATE: Final = text("""
update local_sessions set refresh_counter = :counter, refreshed_at = :now where id = :id
""")
_END_SESSIONS: Final = text("""
delete from local_sessions
where user_id = :user_id and id = coalesce(cast(:only as uuid), id) and id is distinct from cast(:keep as uuid)
""")

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

    async def signing_keys(self) -> list[SigningKey]:
        """All keys, newest first. Raises `SecretUnreadable`."""
        return [self._opened(row) for row in (await self._connection.execute(_KEYS)).all()]

    async def add_signing_key(self, key: SigningKey) -> SigningKey:
        """Raises `SecretUnreadable`."""
        sealed = self._sealer.seal(key.private_key_pem, table=_TABLE, column=_COLUMN, row_id=key.kid)
        jwk = msgspec.json.encode(key.public_jwk).decode()
        values = {"kid": key.kid, "private_key_sealed": sealed, "public_jwk": jwk}
        if (await self._connection.execute(_ADD_KEY, values)).one_or_none() is not None:
            return msgspec.structs.replace(key, state="current")
        return self._opened((await self._connection.execute(_CURRENT_KEY)).one())

    async def count_attempt(self, key: bytes, window_start: datetime) -> int:
        values = {"key": key, "window_start": window_start}
        return int((await self._connection.execute(_COUNT_ATTEMPT, values)).scalar_one())

    async def _user(self, statement: TextClause, **which: UUID | str) -> LocalUser | None:
        row = (await self._connection.execute(statement, which)).one_or_none()
        if row is None:
            return None
        return LocalUser(**{**row._asdict(), "user_metadata": msgspec.json.decode(row.user_metadata)})

    async def _session(self, statement: TextClause, session_id: UUID) -> LocalSession | None:
        row = (await self._connection.execute(statement, {"id": session_id})).one_or_none()
        return None if row is None else LocalSession(**row._asdict())

    def _opened(self, row: Row[Any]) -> SigningKey:
        pem = self._sealer.open(row.private_key_sealed, table=_TABLE, column=_COLUMN, row_id=row.kid)
        jwk = msgspec.json.decode(row.public_jwk)
        return SigningKey(kid=row.kid, private_key_pem=pem, public_jwk=jwk, state=row.state)
