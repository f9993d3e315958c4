"""Local accounts: people who sign in at this service itself, with e-mail and password. A subset of GoTrue."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from inbox.adapters.identity.attempts import Attempts, Limits
from inbox.adapters.identity.links import digest
from inbox.adapters.identity.local_tokens import LIFETIME, LocalTokens
from inbox.adapters.identity.newcomers import is_address, new_user, normal
from inbox.adapters.identity.passwords import Passwords, check_strength
from inbox.adapters.identity.refresh_tokens import RefreshTokens
from inbox.adapters.identity.tokens import Claims
from inbox.domain.access import ActorKind
from inbox.domain.audit import Action, AuditEntry
from inbox.domain.errors import InvalidToken, SignInRefused
from inbox.domain.ids import uuid7
from inbox.ports.database import Database, Transaction
from inbox.ports.identity import AuthUser, Client, Session
from inbox.ports.local_accounts import LocalAccounts, LocalSession, LocalUser, Purpose

SESSION_FOR: Final = timedelta(days=30)
"""A sign-in lasts no longer than this, however often it is refreshed."""
REUSE_FOR: Final = timedelta(seconds=10)
PASSWORD_SETTABLE_FOR: Final = timedelta(hours=1)
"""How long the session that a link began lasts, unless a password is set in it: until then nobody has proven more than
that they hold the link."""

_BY_LINK: Final = "otp"
_BY_PASSWORD: Final = "password"  # noqa: S105 - a word
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
        email = normal(email)
        now = self._clock()
        for _ in range(_TRIES):
            user = await self._proven(email, password, client, now)
            if (refusal := _refusal(user, now)) is not None:
                await self._note_failure(user, client, now, refusal)
                raise refusal
            session = await self._begin(user, password, client, now)
            if session is not None:
                return session
        raise _credentials_refused()

    async def verify(self, token: str, purpose: Purpose, client: Client) -> Session:
        now = self._clock()
        async with self._database.transaction() as tx:
            wait = await self._attempts.count_address(tx.local_accounts, client, now)
        _refuse_if_limited(wait)
        key = await self._tokens.signing_key()
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            user_id = await accounts.use_link(digest(token), purpose, now)
            if user_id is None:
                raise _link_refused()
            await accounts.confirm(user_id, now)
            await accounts.signed_in(user_id, now)
            user = await accounts.user(user_id)
            if user is None:
                raise _link_refused()
            if user.is_banned(now):  # and the link stays good: it may be used when the ban is over
                raise SignInRefused(403, "user_banned", "User is banned")
            session = await self._open(tx, user, _BY_LINK, client, now)
        access_token = self._tokens.issue(user, session, key, now)
        return self._answer(user, session, access_token, now)

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
                await tx.audit(_line(Action.SESSION_REPLAYED, user, is_theirs=False))
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
            user, _ = await self._signed_in(tx.local_accounts, claims)
        return _shown(user)

    async def change_password(self, token: str, new: str, current: str | None, client: Client) -> AuthUser:
        claims = await self._claims(token)
        now = self._clock()
        async with self._database.transaction() as tx:
            user, session = await self._signed_in(tx.local_accounts, claims)
            wait = await self._attempts.count(tx.local_accounts, user.email, client, now)
        _refuse_if_limited(wait)
        is_by_link = _may_set_password(session, now)
        if not is_by_link:
            await self._check_current(user, new, current)
        check_strength(new)
        password_hash = await self._passwords.hash(new)
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            # The write locks the person's row. Whoever changed the password meanwhile has ended this session, or, if it
            # was in this session, has made it an ordinary one.
            await accounts.set_password(user.id, password_hash, now)
            user, session = await self._signed_in(accounts, claims)
            if is_by_link and not _may_set_password(session, now):
                raise _current_password_required()
            await accounts.end_sessions(user.id, keep=session.id)
            await accounts.set_method(session.id, _BY_PASSWORD, now + SESSION_FOR)
            await accounts.end_links(user.id)
            how = _BY_LINK if is_by_link else _BY_PASSWORD
            await tx.audit(_line(Action.PASSWORD_CHANGED, user, address=client.address, method=how))
        return _shown(user)

    async def sign_out(self, token: str, scope: str) -> None:
        claims = await self._claims(token)
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            user, _ = await self._signed_in(accounts, claims)
            match scope:
                case "local":
                    await accounts.end_sessions(user.id, only=claims.session_id)
                case "others":
                    await accounts.end_sessions(user.id, keep=claims.session_id)
                case "global":
                    await accounts.end_sessions(user.id)
                case _:
                    raise SignInRefused(400, "validation_failed", "Unsupported logout scope")
            await tx.audit(_line(Action.SIGNED_OUT, user, scope=scope))

    async def jwks(self) -> list[dict[str, Any]]:
        return await self._tokens.jwks()

    async def _proven(self, email: str, password: str, client: Client, now: datetime) -> LocalUser:
        """The account whose password this is. Every refusal takes one password check, and reads the same."""
        async with self._database.transaction() as tx:
            wait = await self._attempts.count(tx.local_accounts, email, client, now)
            user = await tx.local_accounts.user_by_email(email) if is_address(email) else None
        _refuse_if_limited(wait)
        is_right = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not is_right:
            refusal = _credentials_refused()
            await self._note_failure(user, client, now, refusal)
            raise refusal
        return user

    async def _note_failure(
        self, user: LocalUser | None, client: Client, now: datetime, refusal: SignInRefused
    ) -> None:
        """A line of the trail for who has an account. For others a counter: as many writes, so that it takes as long.

        Strangers get no line: nobody may fill the trail, which is kept forever, without knowing as much as an address.
        """
        async with self._database.transaction() as tx:
            if user is None:
                await self._attempts.count_stranger(tx.local_accounts, client, now)
                return
            reason = refusal.error_code
            line = _line(Action.SIGN_IN_FAILED, user, is_theirs=False, address=client.address, reason=reason)
            await tx.audit(line)

    async def _check_current(self, user: LocalUser, new: str, current: str | None) -> None:
        if not current:
            raise _current_password_required()
        if not await self._passwords.verify(user.password_hash, current):
            raise SignInRefused(400, "current_password_invalid", "Current password is not correct.")
        if new == current:
            message = "New password should be different from the old password."
            raise SignInRefused(422, "same_password", message)

    async def _begin(self, user: LocalUser, password: str, client: Client, now: datetime) -> Session | None:
        """A session for `user` with a proven password. None if the account changed meanwhile."""
        stored = user.password_hash or ""
        replacement = await self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        key = await self._tokens.signing_key()
        async with self._database.transaction() as tx:
            accounts = tx.local_accounts
            await accounts.signed_in(user.id, now)  # locks the row: from here on the password does not change
            latest = await accounts.user(user.id)
            if latest is None or latest.password_hash != user.password_hash or latest.is_banned(now):
                return None
            if replacement is not None:
                await accounts.set_password(user.id, replacement, now)
            session = await self._open(tx, latest, _BY_PASSWORD, client, now)
        access_token = self._tokens.issue(latest, session, key, now)
        return self._answer(latest, session, access_token, now)

    async def _open(self, tx: Transaction, user: LocalUser, method: str, client: Client, now: datetime) -> LocalSession:
        """A new session. Those of the person that are over go by the way."""
        session = LocalSession(
            id=uuid7(),
            user_id=user.id,
            refresh_counter=0,
            created_at=now,
            refreshed_at=now,
            not_after=now + (PASSWORD_SETTABLE_FOR if method == _BY_LINK else SESSION_FOR),
            method=method,
        )
        await tx.local_accounts.add_session(session, user_agent=_user_agent(client), address=client.address)
        await tx.local_accounts.forget_sessions(user.id, now)
        await tx.audit(_line(Action.SIGNED_IN, user, address=client.address, method=method))
        return session

    async def _locked(self, accounts: LocalAccounts, session_id: UUID, now: datetime) -> tuple[LocalSession, LocalUser]:
        """The session of a refresh, locked, with its person."""
        session = await accounts.lock_session(session_id)
        user = await accounts.user(session.user_id) if session else None
        if session is None or user is None:
            raise _refresh_token_unknown()
        if user.is_banned(now):
            raise SignInRefused(400, "user_banned", "Invalid Refresh Token: User Banned")
        if session.not_after is not None and session.not_after <= now:
            raise SignInRefused(400, "session_expired", "Invalid Refresh Token: Session Expired")
        return session, user

    async def _claims(self, token: str) -> Claims:
        try:
            return await self._tokens.verify(token)
        except InvalidToken as error:
            raise SignInRefused(403, "bad_jwt", f"invalid JWT: {error}") from None

    async def _signed_in(self, accounts: LocalAccounts, claims: Claims) -> tuple[LocalUser, LocalSession]:
        user = await accounts.user(claims.sub)
        if user is None:
            raise SignInRefused(403, "user_not_found", "User from sub claim in JWT does not exist")
        session = await accounts.session(claims.session_id)
        if session is None or session.user_id != user.id:
            raise SignInRefused(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        if user.is_banned(self._clock()):
            raise SignInRefused(403, "user_banned", "User is banned")
        return user, session

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


def _refusal(user: LocalUser, now: datetime) -> SignInRefused | None:
    """Why somebody who knows the password may not sign in."""
    if user.is_banned(now):
        return SignInRefused(400, "user_banned", "User is banned")
    if user.email_confirmed_at is None:
        return SignInRefused(400, "email_not_confirmed", "Email not confirmed")
    return None


def _may_set_password(session: LocalSession, now: datetime) -> bool:
    """True in a session that a link began a short while ago: the link stands for the password that nobody knows."""
    return session.method == _BY_LINK and now - session.created_at <= PASSWORD_SETTABLE_FOR


def _line(action: Action, user: LocalUser, *, is_theirs: bool = True, **details: str | None) -> AuditEntry:
    """A line about the account of `user`; `is_theirs` if surely they themselves did it."""
    if not is_theirs:
        return AuditEntry(action=action, target=str(user.id), details={**details})
    return AuditEntry(
        action=action, actor_kind=ActorKind.PERSON, actor_id=user.id, target=str(user.id), details={**details}
    )


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


def _current_password_required() -> SignInRefused:
    return SignInRefused(400, "current_password_required", "Current password required when setting new password.")


def _link_refused() -> SignInRefused:
    return SignInRefused(403, "otp_expired", "Email link is invalid or has expired")
