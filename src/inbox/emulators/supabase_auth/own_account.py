"""What a signed-in user may do: read and change the own account, log out."""

from inbox.emulators.supabase_auth.callers import SignedIn, signed_in
from inbox.emulators.supabase_auth.calls import NO_STORE, Call, Reply, email_of, mapping, text
from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import AuthError, email_exists, invalid, not_admin, weak_password
from inbox.emulators.supabase_auth.records import LONGEST_PASSWORD, Json, Password, User, merged


async def get_user(call: Call) -> Reply:
    return Reply(value=signed_in(call.emulator, call.caller).user.shown(), headers=NO_STORE)


async def change_user(call: Call) -> Reply:
    """A new password ends all other auth sessions of the user."""
    who = signed_in(call.emulator, call.caller)
    body = call.body()
    if "app_metadata" in body:
        raise not_admin()
    if text(body, "password"):
        _change_password(call.emulator, who, body)
    if text(body, "email"):
        _change_email(call.emulator, who.user, email_of(body))
    who.user.user_metadata = merged(who.user.user_metadata, mapping(body, "data"))
    who.user.updated_at = call.emulator.now()
    return Reply(value=who.user.shown(), headers=NO_STORE)


async def log_out(call: Call) -> Reply:
    """`scope` local, others or global (default). A token without an auth session logs out everywhere."""
    who = signed_in(call.emulator, call.caller)
    scope = call.query.get("scope", "global")
    if scope not in ("local", "others", "global"):
        raise invalid(f'Unsupported logout scope "{scope}"')
    if scope == "global" or who.session is None:
        call.emulator.end_sessions(who.user.id)
    elif scope == "local":
        call.emulator.end_session(who.session.id)
    else:
        call.emulator.end_sessions(who.user.id, keep=who.session.id)
    return Reply(status=204, headers=NO_STORE)


def check_password(emulator: AuthEmulator, password: str) -> None:
    """Raises AuthError for a password that is too long (400) or too weak (422)."""
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
        raise invalid(f"Password cannot be longer than {LONGEST_PASSWORD} characters")
    if len(password) < emulator.config.shortest_password:
        raise weak_password(emulator.config.shortest_password)


def _change_password(emulator: AuthEmulator, who: SignedIn, body: Json) -> None:
    wanted, current, user = text(body, "password"), text(body, "current_password"), who.user
    if emulator.config.require_current_password and user.password is not None:
        if not current:
            raise AuthError(400, "current_password_required", "Current password required when setting new password.")
        if not user.password.fits(current):
            raise AuthError(400, "current_password_invalid", "Current password required when setting new password.")
    check_password(emulator, wanted)
    if user.password is not None and user.password.fits(wanted):
        raise AuthError(422, "same_password", "New password should be different from the old password.")
    user.password = Password.of(wanted)
    emulator.end_sessions(user.id, keep=who.session.id if who.session else None)


def _change_email(emulator: AuthEmulator, user: User, email: str) -> None:
    """At once with `autoconfirm`, else noted as wanted; an address that somebody has is refused either way."""
    if emulator.find(email) not in (None, user):
        raise email_exists()
    if emulator.config.autoconfirm:
        emulator.rename(user, email)
    else:
        user.new_email = email.strip().lower()
