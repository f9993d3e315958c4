"""Local accounts: people who sign in at this service itself, with e-mail and password. A subset of GoTrue."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from inbox.adapters.identity.attempts import Attempts, Limits
from inbox.adapters.identity.local_tokens import LIFETIME, LocalTokens
from inbox.adapters.identity.passwords import Passwords, check_strength
from inbox.adapters.identity.refresh_tokens import RefreshTokens
from inbox.adapters.identity.tokens import Claims, display_name
from inbox.domain.access import Subject
from inbox.domain.errors import InvalidToken, SignInRefused
from inbox.domain.ids import UserId, uuid7
from inbox.ports.database import Database
from inbox.ports.identity import AuthUser, Client, Session
from inbox.ports.local_accounts import LocalAccounts, LocalSession, LocalUser

SESSION_FOR: Final = timedelta(days=30)
"""A sign-in lasts no longer than this, however often it is refreshed."""
REUSE_FOR: Final = timedelta(seconds=10)
REMEMBERED_FOR: Final = timedelta(seconds=30)
"""A logout, a ban and a password change take effect on access tokens within this time in every process."""

_REMEMBERED: Final = 10_000
_EMAIL_CHARACTERS: Final = 254
_USER_AGENT_CHARACTERS: Final = 300
_TRIES: Final = 3
_REPLAYED: Final = "replayed"


class LocalSignIn:
    """Implements `SignIn` on the database's local accounts."""

    def __init__(
        self,
        database: Database,
        tokens: LocalTokens,
        passwords: Passwords,
        *,
        secrets: Sequence[bytes],
        clock: Callable[[], datetime],
        limits: Limits | None = None,
    ) -> None:
        """`secrets`, newest first and of at least 32 bytes, sign refresh tokens and key the counters of attempts."""
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._refresh_tokens = RefreshTokens(secrets)
        self._attempts = Attempts(secrets[0], limits or Limits())
        self._clock = clock

    async def register(self, email: str, password: str, *, full_name: str | None = None) -> AuthUser:
        """Adds an account with a confirmed address; for administrators and commands, there is no sign-up.

        Raises `SignInRefused`: `validation_failed`, `weak_password`, `email_exists`.
        """
        user = await new_user(self._passwords, email, password, now=self._clock(), full_name=full_name)
        async with self._database.transaction() as tx:
            is_added = await tx.local_accounts.add_user(user)
        if not is_added:
            message = "A user with this email address has already been registered"
            raise SignInRefused(422, "email_exists", message)
        return _shown(user)

    async def password(self, email: str, password: str, client: Client) -> Session:
        email = _normal(email)
        now = self._clock()
        for _ in range(_TRIES):
            user = await self._proven(email, password, client, now)
            if _is_banned(user, now):
                raise SignInRefused(400, "user_banned", "User is banned")
            if user.email_confirmed_at is None:
                raise SignInRefused(400, "email_not_confirmed", "Email not confirmed")
            session = await self._begin(user, password, client, now)
            if session is not None:
                return session
        raise _credentials_refused()

    async def refresh(self, refresh_token: str) -> Session:
        try:
            claimed = self._refresh_tokens.read(refresh_token)
        except ValueError:
            raise SignInRefused(400, "validation_failed", "Refresh token is not valid") from None
        if not claimed.is_ours:
            raise _refresh_token_unknown()
        key = await self._tokens.signing_key()
        now = self._clock()
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            session, user = await self._locked(accounts, claimed.session_id, now)
            reuse = _reuse(session, claimed.counter, now)
            if reuse == _REPLAYED:
                # Committed, not raised from within: the error must not bring the session back.
                await accounts.end_sessions(user.id, only=session.id)
            elif reuse is None:
                session = msgspec.structs.replace(
                    session, refresh_counter=session.refresh_counter + 1, refreshed_at=now
                )
                await accounts.rotate_session(session.id, session.refresh_counter, now)
        if reuse == _REPLAYED:
            raise SignInRefused(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        access_token = self._tokens.issue(user, session, key, now)
        return self._answer(user, session, access_token, now, reuse=reuse)

    async def user(self, token: str) -> AuthUser:
        claims = await self._claims(token)
        async with self._database.transaction() as tx:
            user = await self._signed_in(tx.local_accounts, claims)
        return _shown(user)

    async def change_password(self, token: str, new: str, current: str | None, client: Client) -> AuthUser:
        claims = await self._claims(token)
        now = self._clock()
        async with self._database.transaction() as tx:
            user = await self._signed_in(tx.local_accounts, claims)
            wait = await self._attempts.count(tx.local_accounts, user.email, client, now)
        _refuse_if_limited(wait)
        if not current:
            message = "Current password required when setting new password."
            raise SignInRefused(400, "current_password_required", message)
        if not await self._passwords.verify(user.password_hash, current):
            raise SignInRefused(400, "current_password_invalid", "Current password is not correct.")
        if new == current:
            message = "New password should be different from the old password."
            raise SignInRefused(422, "same_password", message)
        check_strength(new)
        password_hash = await self._passwords.hash(new)
        async with self._database.transaction() as tx:
            # The write locks the person's row. Whoever changed the password meanwhile has ended this session.
            await tx.local_accounts.set_password(user.id, password_hash, now)
            user = await self._signed_in(tx.local_accounts, claims)
            await tx.local_accounts.end_sessions(user.id, keep=claims.session_id)
        return _shown(user)

    async def sign_out(self, token: str, scope: str) -> None:
        claims = await self._claims(token)
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            user = await self._signed_in(accounts, claims)
            match scope:
                case "local":
                    await accounts.end_sessions(user.id, only=claims.session_id)
                case "others":
                    await accounts.end_sessions(user.id, keep=claims.session_id)
                case "global":
                    await accounts.end_sessions(user.id)
                case _:
                    raise SignInRefused(400, "validation_failed", "Unsupported logout scope")

    async def jwks(self) -> list[dict[str, Any]]:
        return await self._tokens.jwks()

    async def _proven(self, email: str, password: str, client: Client, now: datetime) -> LocalUser:
        """The account whose password this is. Every refusal takes one password check, and reads the same."""
        async with self._database.transaction() as tx:
            wait = await self._attempts.count(tx.local_accounts, email, client, now)
            user = await tx.local_accounts.user_by_email(email) if _is_address(email) else None
        _refuse_if_limited(wait)
        is_right = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not is_right:
            raise _credentials_refused()
        return user

    async def _begin(self, user: LocalUser, password: str, client: Client, now: datetime) -> Session | None:
        """A session for `user` with a proven password. None if the account changed meanwhile."""
        stored = user.password_hash or ""
        replacement = await self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        key = await self._tokens.signing_key()
        session = LocalSession(
            id=uuid7(),
            user_id=user.id,
            refresh_counter=0,
            created_at=now,
            refreshed_at=now,
            not_after=now + SESSION_FOR,
        )
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            await accounts.signed_in(user.id, now)  # locks the row: from here on the password does not change
            latest = await accounts.user(user.id)
            if latest is None or latest.password_hash != user.password_hash or _is_banned(latest, now):
                return None
            if replacement is not None:
                await accounts.set_password(user.id, replacement, now)
            await accounts.add_session(session, user_agent=_user_agent(client), address=client.address)
        access_token = self._tokens.issue(latest, session, key, now)
        return self._answer(latest, session, access_token, now)

    async def _locked(self, accounts: LocalAccounts, session_id: UUID, now: datetime) -> tuple[LocalSession, LocalUser]:
        """The session of a refresh, locked, with its person."""
        session = await accounts.lock_session(session_id)
        user = await accounts.user(session.user_id) if session else None
        if session is None or user is None:
            raise _refresh_token_unknown()
        if _is_banned(user, now):
            raise SignInRefused(400, "user_banned", "Invalid Refresh Token: User Banned")
        if session.not_after is not None and session.not_after <= now:
            raise SignInRefused(400, "session_expired", "Invalid Refresh Token: Session Expired")
        return session, user

    async def _claims(self, token: str) -> Claims:
        try:
            return await self._tokens.verify(token)
        except InvalidToken as error:
            raise SignInRefused(403, "bad_jwt", f"invalid JWT: {error}") from None

    async def _signed_in(self, accounts: LocalAccounts, claims: Claims) -> LocalUser:
        user = await accounts.user(claims.sub)
        if user is None:
            raise SignInRefused(403, "user_not_found", "User from sub claim in JWT does not exist")
        session = await accounts.session(claims.session_id)
        if session is None or session.user_id != user.id:
            raise SignInRefused(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        if _is_banned(user, self._clock()):
            raise SignInRefused(403, "user_banned", "User is banned")
        return user

    def _answer(
        self, user: LocalUser, session: LocalSession, access_token: str, now: datetime, *, reuse: str | None = None
    ) -> Session:
        return Session(
            id=session.id,
            access_token=access_token,
            refresh_token=self._refresh_tokens.write(session.id, session.refresh_counter),
            expires_at=now + LIFETIME,
            lifetime=int(LIFETIME.total_seconds()),
            user=_shown(user),
            counter=session.refresh_counter,
            reuse=reuse,
        )


class LocalIdentity:
    """Implements `Identity` for tokens of `LocalSignIn`: genuine, and of a session that still exists."""

    def __init__(self, database: Database, tokens: LocalTokens, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def authenticate(self, token: str) -> Subject:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        known = self._remembered.get(digest)
        if known is not None and known.since <= now < known.until:
            return known.subject
        claims = await self._tokens.verify(token)
        subject = await self._checked(claims, now)
        expires_at = datetime.fromtimestamp(claims.exp, now.tzinfo)
        until = min(now + REMEMBERED_FOR, expires_at)
        self._remembered[digest] = _Remembered(subject=subject, since=now, until=until)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return subject

    async def _checked(self, claims: Claims, now: datetime) -> Subject:
        async with self._database.transaction() as tx:
            session = await tx.local_accounts.session(claims.session_id)
            user = await tx.local_accounts.user(claims.sub)
        if session is None or user is None or session.user_id != user.id:
            raise InvalidToken("The session has ended.")
        if session.not_after is not None and session.not_after <= now:
            raise InvalidToken("The session is over.")
        if _is_banned(user, now):
            raise InvalidToken("The user is banned.")
        return Subject(
            user_id=UserId(user.id),
            email=user.email,
            is_email_verified=user.email_confirmed_at is not None,
            display_name=display_name(user.user_metadata.get("full_name")),
        )


class _Remembered(msgspec.Struct, frozen=True, kw_only=True):
    subject: Subject
    since: datetime
    until: datetime


def _reuse(session: LocalSession, counter: int, now: datetime) -> str | None:
    """Why an old token may be used again; None for the current one, `_REPLAYED` if it may not."""
    lag = session.refresh_counter - counter
    if lag < 0:
        raise SignInRefused(400, "validation_failed", "Invalid Refresh Token: Not Issued By This Server")
    if lag == 0:
        return None
    if now - session.refreshed_at < REUSE_FOR:
        return "concurrent-refresh"
    return "fail-to-save" if lag == 1 else _REPLAYED


def _is_banned(user: LocalUser, now: datetime) -> bool:
    return user.banned_until is not None and user.banned_until > now


async def new_user(
    passwords: Passwords, email: str, password: str, *, now: datetime, full_name: str | None = None
) -> LocalUser:
    """Somebody who may sign in at once. Raises `SignInRefused`: `validation_failed`, `weak_password`."""
    email = _normal(email)
    if not _is_address(email):
        raise SignInRefused(400, "validation_failed", "Unable to validate email address: invalid format")
    check_strength(password)
    return LocalUser(
        id=uuid7(),
        email=email,
        password_hash=await passwords.hash(password),
        user_metadata={"full_name": name} if (name := display_name(full_name)) else {},
        email_confirmed_at=now,
        last_sign_in_at=None,
        banned_until=None,
        created_at=now,
        updated_at=now,
    )


def _normal(email: str) -> str:
    return email.strip().lower()


def _is_address(email: str) -> bool:
    """True if an account can have this address; anything else never reaches the database."""
    name, at, host = email.rpartition("@")
    return bool(name and at and host) and len(email) <= _EMAIL_CHARACTERS and email.isprintable() and " " not in email


def _user_agent(client: Client) -> str | None:
    if client.user_agent is None:
        return None
    return "".join(c for c in client.user_agent if c.isprintable())[:_USER_AGENT_CHARACTERS] or None


def _shown(user: LocalUser) -> AuthUser:
    return AuthUser(
        id=user.id,
        email=user.email,
        user_metadata=user.user_metadata,
        email_confirmed_at=user.email_confirmed_at,
        last_sign_in_at=user.last_sign_in_at,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )


def _refuse_if_limited(wait: float | None) -> None:
    if wait is not None:
        raise SignInRefused(429, "over_request_rate_limit", "Request rate limit reached", retry_after=wait)


def _credentials_refused() -> SignInRefused:
    return SignInRefused(400, "invalid_credentials", "Invalid login credentials")


def _refresh_token_unknown() -> SignInRefused:
    return SignInRefused(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
