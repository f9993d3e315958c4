"""`/auth/v1`: sign-in of local accounts, the subset of GoTrue that its clients need.

GoTrue's rules of the wire: the grant is in the query, bodies may have any content type and unknown members, every
success but logout is 200, errors come in two shapes (the newer one from `X-Supabase-Api-Version: 2024-01-01` on), their
code is also in `x-sb-error-code`. An `apikey` is accepted and not asked for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post, put
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from inbox.domain.errors import InboxError, Kind, SignInRefused
from inbox.entrypoints.http.problems import TITLES
from inbox.kit.json_depth import depth_exceeds
from inbox.ports.identity import AuthUser, Client, Session, SignIn
from inbox.ports.local_accounts import Purpose

T = TypeVar("T", bound=msgspec.Struct)

BODY_LIMIT: Final = 64 * 1024
_VERSION_HEADER: Final = "X-Supabase-Api-Version"
_NEWER_SHAPE: Final = "2024-01-01"
_COMPATIBLE_WITH: Final = "v2.196.0"
_NOT_STORED: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}
_FOR_TEN_MINUTES: Final[Mapping[str, str]] = {"Cache-Control": "public, max-age=600"}

_GRANTS: Final = QueryParameter(schema_extra={"enum": ["password", "refresh_token"]})
_SCOPE: Final = QueryParameter(name="scope", schema_extra={"enum": ["global", "local", "others", ""]})
_EMAIL: Final = msgspec.Meta(extra_json_schema={"format": "email"})

_FAILURES: Final[Mapping[Kind, tuple[int, str, str]]] = {
    Kind.TIMEOUT: (504, "request_timeout", "Processing this request timed out, please retry after a moment."),
    Kind.UNAVAILABLE: (503, "unexpected_failure", "The service is not available, please retry after a moment."),
    Kind.UNCERTAIN: (503, "unexpected_failure", "The service is not available, please retry after a moment."),
}
_UNEXPECTED: Final = (500, "unexpected_failure", "Unexpected failure, please check server logs for more information")


class Credentials(msgspec.Struct, frozen=True):
    email: Annotated[str, _EMAIL] | None = None
    phone: str | None = None
    password: str | None = None


class Refresh(msgspec.Struct, frozen=True):
    refresh_token: str | None = None


class Verification(msgspec.Struct, frozen=True):
    type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(Purpose)})] | None = None
    token_hash: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})] | None = None


class UserChange(msgspec.Struct, frozen=True):
    password: str | None = None
    current_password: str | None = None
    email: str | None = None
    phone: str | None = None
    data: Any = None
    app_metadata: Any = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """GoTrue's user. Times that are not set are left out."""

    id: str
    aud: str = "authenticated"
    role: str = "authenticated"
    email: str
    email_confirmed_at: datetime | msgspec.UnsetType = msgspec.UNSET
    phone: str = ""
    confirmed_at: datetime | msgspec.UnsetType = msgspec.UNSET
    last_sign_in_at: datetime | msgspec.UnsetType = msgspec.UNSET
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    identities: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    is_anonymous: bool = False


class WeakPassword(msgspec.Struct, frozen=True):
    """`reasons` are `length`, `characters` or `pwned`."""

    reasons: list[str]


class AuthProblem(msgspec.Struct, frozen=True, kw_only=True):
    """GoTrue's error, in its newer or its older shape."""

    code: str | int
    message: str | msgspec.UnsetType = msgspec.UNSET
    error_code: str | msgspec.UnsetType = msgspec.UNSET
    msg: str | msgspec.UnsetType = msgspec.UNSET
    weak_password: WeakPassword | msgspec.UnsetType = msgspec.UNSET


def _refusals(*statuses: int) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(AuthProblem, description=TITLES[status], generate_examples=False) for status in statuses
    }


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """GoTrue's session. `expires_at` is in seconds since 1970."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    expires_at: int
    refresh_token: str
    user: User
    weak_password: msgspec.UnsetType | None = msgspec.UNSET


@post(
    "/token",
    status_code=200,
    summary="Sign in, or refresh a session",
    permission=None,
    bodies=(Credentials, Refresh),
    responses=_refusals(400, 429, 503, 504),
)
@inject
async def token(
    request: Request[Any, Any, Any], sign_in: FromDishka[SignIn], grant_type: Annotated[str | None, _GRANTS] = None
) -> Response[Tokens]:
    match grant_type:
        case "password":
            session = await _sign_in(request, sign_in)
            body = msgspec.structs.replace(_tokens(session), weak_password=None)
            return Response(body, headers=_session_headers(session))
        case "refresh_token":
            refresh_token = (await _body(request, Refresh)).refresh_token
            if not refresh_token:
                raise SignInRefused(400, "validation_failed", "refresh_token required")
            session = await sign_in.refresh(refresh_token)
            return Response(_tokens(session), headers=_session_headers(session) | _rotation_headers(session))
    raise SignInRefused(400, "invalid_credentials", "unsupported_grant_type")


@post(
    "/verify",
    status_code=200,
    summary="Use a one-time link",
    permission=None,
    bodies=(Verification,),
    responses=_refusals(400, 403, 429, 503, 504),
)
@inject
async def verify(request: Request[Any, Any, Any], sign_in: FromDishka[SignIn]) -> Response[Tokens]:
    """A session for the token of a link that an administrator made (`verifyOtp` of supabase-js).

    `type` is `invite` or `recovery`. For one hour the session may set a password without the current one.
    """
    asked = await _body(request, Verification)
    if not asked.token_hash or asked.type not in set(Purpose):
        raise SignInRefused(400, "validation_failed", "Verify requires a token_hash and a type: invite or recovery")
    session = await sign_in.verify(asked.token_hash, Purpose(asked.type), _client(request))
    return Response(_tokens(session), headers=_session_headers(session))


@get("/user", summary="The person behind the access token", permission=None, responses=_refusals(401, 403, 503, 504))
@inject
async def user(request: Request[Any, Any, Any], sign_in: FromDishka[SignIn]) -> Response[User]:
    return Response(_user(await sign_in.user(_bearer(request))), headers=_NOT_STORED)


@put(
    "/user",
    summary="Set a new password",
    permission=None,
    bodies=(UserChange,),
    responses=_refusals(400, 401, 403, 422, 429, 503, 504),
)
@inject
async def change_user(request: Request[Any, Any, Any], sign_in: FromDishka[SignIn]) -> Response[User]:
    bearer = _bearer(request)
    change = await _body(request, UserChange)
    if change.app_metadata is not None:
        raise SignInRefused(403, "not_admin", "Updating app_metadata requires admin privileges")
    if change.password is None or change.email or change.phone or change.data:
        # Nothing is ignored in silence that somebody wants to have changed.
        await sign_in.user(bearer)
        raise SignInRefused(400, "validation_failed", "Only the password can be changed here")
    changed = await sign_in.change_password(bearer, change.password, change.current_password, _client(request))
    return Response(_user(changed), headers=_NOT_STORED)


@post("/logout", status_code=204, summary="End sessions", permission=None, responses=_refusals(400, 401, 403, 503, 504))
@inject
async def logout(
    request: Request[Any, Any, Any],
    sign_in: FromDishka[SignIn],
    which: Annotated[str | None, _SCOPE] = None,
) -> Response[None]:
    await sign_in.sign_out(_bearer(request), which or "global")
    return Response(None, status_code=204, headers=_NOT_STORED)


@get("/.well-known/jwks.json", summary="Public keys of the access tokens", permission=None)
@inject
async def jwks(sign_in: FromDishka[SignIn]) -> Response[dict[str, list[dict[str, Any]]]]:
    return Response({"keys": await sign_in.jwks()}, headers=_FOR_TEN_MINUTES)


@get("/health", summary="Constant answer, as GoTrue gives it", permission=None)
async def health() -> dict[str, str]:
    return {
        "version": _COMPATIBLE_WITH,
        "name": "GoTrue",
        "description": "Sign-in of WhatsApp Inbox, compatible with a subset of GoTrue",
    }


@get("/settings", summary="What this sign-in offers", permission=None)
async def settings() -> dict[str, Any]:
    return {
        "external": {"email": True, "phone": False, "anonymous_users": False},
        "disable_signup": True,
        "mailer_autoconfirm": True,
        "phone_autoconfirm": False,
        "sms_provider": "",
        "saml_enabled": False,
    }


def refused(request: Request[Any, Any, Any], error: SignInRefused) -> Response[dict[str, Any]]:
    """A refusal, in the shape that the client asked for."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if error.error_code == "weak_password":
        extra: dict[str, Any] = {"weak_password": {"reasons": list(error.reasons)}}
        return _error(request, error.status, error.error_code, str(error), extra=extra, headers=headers)
    return _error(request, error.status, error.error_code, str(error), headers=headers)


def failed(request: Request[Any, Any, Any], error: InboxError) -> Response[dict[str, Any]]:
    """A failure of ours; nothing of it is shown."""
    return _error(request, *_FAILURES.get(error.kind, _UNEXPECTED))


def unreadable(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework refuses: a body above the limit, a bad query."""
    if error.status_code == 413:  # noqa: PLR2004
        return _error(request, 413, "request_entity_too_large", "Request body is too large")
    status = error.status_code if 400 <= error.status_code < 500 else 500  # noqa: PLR2004
    return _error(request, status, "validation_failed" if status < 500 else "unexpected_failure", "Bad request")  # noqa: PLR2004


sign_in_router: Final = Router(
    "/auth/v1",
    route_handlers=[token, verify, user, change_user, logout, jwks, health, settings],
    exception_handlers={SignInRefused: refused, InboxError: failed, HTTPException: unreadable},
    request_max_body_size=BODY_LIMIT,
    tags=["sign-in"],
)
"""Every route checks its own bearer: none of them needs the middleware's sign-in."""


async def _sign_in(request: Request[Any, Any, Any], sign_in: SignIn) -> Session:
    credentials = await _body(request, Credentials)
    if credentials.email and credentials.phone:
        message = "Only an email address or phone number should be provided on login."
        raise SignInRefused(400, "validation_failed", message)
    if credentials.phone:
        raise SignInRefused(422, "phone_provider_disabled", "Phone logins are disabled")
    if not credentials.email:
        raise SignInRefused(400, "validation_failed", "missing email or phone")
    return await sign_in.password(credentials.email, credentials.password or "", _client(request))


async def _body(request: Request[Any, Any, Any], shape: type[T]) -> T:
    """The JSON body, whatever its content type. What was sent never comes back in an error."""
    body = await request.body()
    try:
        if depth_exceeds(body):
            raise SignInRefused(400, "bad_json", "Could not parse request body as JSON: nested too deep")
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise SignInRefused(400, "bad_json", "Could not parse request body as JSON") from None


def _bearer(request: Request[Any, Any, Any]) -> str:
    values = request.headers.getall("authorization", [])
    scheme, _, value = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not value.strip():
        raise SignInRefused(401, "no_authorization", "This endpoint requires a valid Bearer token")
    return value.strip()


def _client(request: Request[Any, Any, Any]) -> Client:
    """The address of the connection, or what a trusted proxy says of it (`middleware.behind`); nothing else."""
    address = request.client.host if request.client else None
    return Client(address=address or None, user_agent=request.headers.get("user-agent"))


def _tokens(session: Session) -> Tokens:
    return Tokens(
        access_token=session.access_token,
        expires_in=session.lifetime,
        expires_at=int(session.expires_at.timestamp()),
        refresh_token=session.refresh_token,
        user=_user(session.user),
    )


def _user(person: AuthUser) -> User:
    return User(
        id=str(person.id),
        email=person.email,
        email_confirmed_at=person.email_confirmed_at or msgspec.UNSET,
        confirmed_at=person.email_confirmed_at or msgspec.UNSET,
        last_sign_in_at=person.last_sign_in_at or msgspec.UNSET,
        app_metadata={"provider": "email", "providers": ["email"]},
        user_metadata=person.user_metadata,
        identities=[],
        created_at=person.created_at,
        updated_at=person.updated_at,
    )


def _session_headers(session: Session) -> dict[str, str]:
    return {**_NOT_STORED, "sb-auth-user-id": str(session.user.id), "sb-auth-session-id": str(session.id)}


def _rotation_headers(session: Session) -> dict[str, str]:
    headers = {"sb-auth-refresh-token-counter": str(session.counter)}
    if session.reuse is None:
        return headers | {"sb-auth-refresh-token-reuse": "false"}
    return headers | {"sb-auth-refresh-token-reuse": "true", "sb-auth-refresh-token-reuse-cause": session.reuse}


def _error(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    message: str,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, Any]]:
    version = request.headers.get(_VERSION_HEADER, "")
    sent = {**_NOT_STORED, "x-sb-error-code": code, **(headers or {})}
    if len(version) == len(_NEWER_SHAPE) and version >= _NEWER_SHAPE:
        body: dict[str, Any] = {"code": code, "message": message}
        sent[_VERSION_HEADER] = _NEWER_SHAPE
    else:
        body = {"code": status, "error_code": code, "msg": message}
    return Response({**body, **(extra or {})}, status_code=status, media_type="application/json", headers=sent)
