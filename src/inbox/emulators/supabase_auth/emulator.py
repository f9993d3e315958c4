"""The state of one Supabase Auth emulator: users, auth sessions, keys, mails, and a clock that can be moved."""

import hashlib
import secrets
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import msgspec

from inbox.emulators.faults import Faults
from inbox.emulators.ledger import Ledger
from inbox.emulators.supabase_auth import refresh_tokens
from inbox.emulators.supabase_auth.config import RefreshForm, SeedUser, SupabaseAuthConfig
from inbox.emulators.supabase_auth.errors import email_exists, no_such_user, unexpected
from inbox.emulators.supabase_auth.keys import KeyRing, signed_with_secret
from inbox.emulators.supabase_auth.records import Json, Password, Session, User, merged

MAX_MAILS: Final = 1_000
LINK_LIFETIME: Final = timedelta(hours=1)
LEGACY_LIFETIME: Final = timedelta(days=3650)


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that a real project would have sent, with the one-time link in it."""

    to: str
    type: str  # invite, signup, recovery, magiclink
    action_link: str
    email_otp: str
    hashed_token: str
    sent_at: datetime


class OneTimeLink(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    type: str
    email_otp: str
    expires_at: datetime


class AuthEmulator:
    """Everything a test can change. All of it is bounded by the configuration."""

    def __init__(self, config: SupabaseAuthConfig) -> None:
        self.config = config
        self.keys = KeyRing(config.signing, config.jwt_secret)
        self.ledger = Ledger(config.ledger_path, capacity=config.ledger_capacity)
        self.anon_key = self._legacy_key("anon")
        self.service_role_key = self._legacy_key("service_role")
        self.reset()

    def reset(self) -> None:
        """Back to the configuration: its users, no auth sessions, no faults, the real time. Keys stay."""
        self.faults = Faults(self.config.seed)
        self.offset = timedelta()
        self.users: dict[UUID, User] = {}
        self.sessions: dict[UUID, Session] = {}
        self.old_tokens: dict[str, tuple[UUID, int]] = {}
        self.mails: deque[Mail] = deque(maxlen=MAX_MAILS)
        self.links: dict[str, OneTimeLink] = {}
        self._by_email: dict[str, UUID] = {}
        self.ledger.clear()
        for seed in self.config.users:
            self.add_seed_user(seed)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def move_clock(self, seconds: float) -> None:
        """Run so many seconds ahead of the real time; negative runs behind."""
        self.offset = timedelta(seconds=seconds)

    # users

    def add_seed_user(self, seed: SeedUser) -> User:
        user = self.add_user(
            seed.email, password=seed.password, confirmed=seed.confirmed, user_id=UUID(seed.id) if seed.id else None
        )
        user.app_metadata |= seed.app_metadata
        user.user_metadata |= seed.user_metadata
        return user

    def add_user(
        self, email: str, *, password: str | None = None, confirmed: bool = False, user_id: UUID | None = None
    ) -> User:
        """Raises AuthError 422 `email_exists`, or 500 when the emulator is full."""
        email = email.strip().lower()
        if email in self._by_email or user_id in self.users:
            raise email_exists()
        if len(self.users) >= self.config.max_users:
            raise unexpected()
        now = self.now()
        user = User(
            id=user_id or uuid4(),
            identity_id=uuid4(),
            email=email,
            created_at=now,
            updated_at=now,
            password=Password.of(password) if password else None,
            email_confirmed_at=now if confirmed else None,
            app_metadata={"provider": "email", "providers": ["email"]},
        )
        self.users[user.id] = user
        self._by_email[email] = user.id
        return user

    def find(self, email: str) -> User | None:
        user_id = self._by_email.get(email.strip().lower())
        return None if user_id is None else self.users[user_id]

    def user(self, user_id: UUID | None) -> User:
        """Raises AuthError 404."""
        if user_id is None or user_id not in self.users:
            raise no_such_user()
        return self.users[user_id]

    def rename(self, user: User, email: str) -> None:
        """Raises AuthError 422 `email_exists`."""
        email = email.strip().lower()
        if self._by_email.get(email, user.id) != user.id:
            raise email_exists()
        self._by_email.pop(user.email, None)
        user.email = email
        self._by_email[email] = user.id

    def delete(self, user: User, *, softly: bool = False) -> None:
        """Auth sessions end at once; access tokens stay valid for local verification until they expire."""
        self.end_sessions(user.id)
        self._by_email.pop(user.email, None)
        if softly:
            user.deleted_at = self.now()
            user.email = hashlib.sha256(user.email.encode()).hexdigest()
        else:
            del self.users[user.id]

    # auth sessions

    def start_session(self, user: User, method: str) -> Session:
        now = self.now()
        while len(self.sessions) >= self.config.max_sessions:
            self.end_session(next(iter(self.sessions)))
        lifetime = self.config.session_lifetime
        session = Session(
            id=uuid4(),
            user_id=user.id,
            created_at=now,
            refreshed_at=now,
            key=secrets.token_bytes(32),
            not_after=None if lifetime is None else now + timedelta(seconds=lifetime),
            method=method,
        )
        self.sessions[session.id] = session
        if self.config.refresh_form is RefreshForm.OLD:
            self._issue_old_form(session)
        user.last_sign_in_at = user.updated_at = now
        return session

    def active_refresh_token(self, session: Session) -> str:
        if self.config.refresh_form is RefreshForm.OLD:
            return session.tokens[-1]
        return refresh_tokens.encode(session.id, session.counter, session.key)

    def rotate_refresh_token(self, session: Session) -> None:
        session.counter += 1
        session.refreshed_at = self.now()
        if self.config.refresh_form is RefreshForm.OLD:
            self._issue_old_form(session)

    def end_session(self, session_id: UUID) -> bool:
        session = self.sessions.pop(session_id, None)
        for token in session.tokens if session else ():
            self.old_tokens.pop(token, None)
        return session is not None

    def end_sessions(self, user_id: UUID, *, keep: UUID | None = None) -> int:
        """End all auth sessions of a user, but for one; returns how many."""
        ended = [item.id for item in self.sessions.values() if item.user_id == user_id and item.id != keep]
        for session_id in ended:
            self.end_session(session_id)
        return len(ended)

    def _issue_old_form(self, session: Session) -> None:
        if len(session.tokens) == session.tokens.maxlen:
            self.old_tokens.pop(session.tokens[0], None)
        token = refresh_tokens.new_old_form()
        session.tokens.append(token)
        self.old_tokens[token] = (session.id, session.counter)

    # tokens and links

    def claims(self, user: User, session: Session, issuer: str) -> Json:
        """The claims of an access token issued now."""
        now = int(self.now().timestamp())
        return {
            "iss": issuer,
            "sub": str(user.id),
            "aud": "authenticated",
            "exp": now + self.config.access_token_ttl,
            "iat": now,
            "email": user.email,
            "phone": "",
            "app_metadata": user.app_metadata,
            "user_metadata": user.user_metadata,
            "role": user.role,
            "aal": "aal1",
            "amr": [{"method": session.method, "timestamp": int(session.created_at.timestamp())}],
            "session_id": str(session.id),
            "is_anonymous": user.is_anonymous,
        }

    def send_link(self, user: User, kind: str, issuer: str, redirect_to: str | None, *, by_mail: bool = True) -> Mail:
        """Make a one-time link; unless `by_mail` it is only handed back. Oldest links give way above the bound."""
        hashed, otp = secrets.token_hex(28), f"{secrets.randbelow(1_000_000):06}"
        while len(self.links) >= self.config.max_users:
            del self.links[next(iter(self.links))]
        self.links[hashed] = OneTimeLink(
            user_id=user.id, type=kind, email_otp=otp, expires_at=self.now() + LINK_LIFETIME
        )
        target = self.allowed_redirect(redirect_to)
        link = f"{issuer}/verify?token={hashed}&type={kind}&redirect_to={target}"
        mail = Mail(to=user.email, type=kind, action_link=link, email_otp=otp, hashed_token=hashed, sent_at=self.now())
        if by_mail:
            self.mails.append(mail)
        return mail

    def allowed_redirect(self, wanted: str | None) -> str:
        """What is not on the list becomes the site's URL, silently."""
        allowed = (self.config.site_url, *self.config.redirect_urls)
        if wanted and any(wanted == url or wanted.startswith(f"{url.rstrip('/')}/") for url in allowed):
            return wanted
        return self.config.site_url

    def change_metadata(self, user: User, change: Json) -> None:
        """Merge `user_metadata` and `app_metadata` of an admin's change."""
        user.user_metadata = merged(user.user_metadata, change.get("user_metadata") or {})
        user.app_metadata = merged(user.app_metadata, change.get("app_metadata") or {})
        user.updated_at = self.now()

    def _legacy_key(self, role: str) -> str:
        """The old kind of API key, itself a JWT without `sub`; "" without a shared secret."""
        if not self.config.jwt_secret:
            return ""
        now = datetime.now(UTC)
        claims = {
            "iss": "supabase",
            "ref": "emulator",
            "role": role,
            "iat": int(now.timestamp()),
            "exp": int((now + LEGACY_LIFETIME).timestamp()),
        }
        return signed_with_secret({}, claims, self.config.jwt_secret.encode())
