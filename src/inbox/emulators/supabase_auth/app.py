"""The Litestar application of the Supabase Auth emulator."""

from typing import Final

import msgspec
from litestar import HttpMethod, Litestar, route
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response import Response

from inbox.emulators.supabase_auth import control
from inbox.emulators.supabase_auth.config import SupabaseAuthConfig
from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import AuthError
from inbox.emulators.supabase_auth.exchange import JSON, VERSION_HEADER, Answer, AnyRequest, Exchange

_TOO_LARGE: Final = 413
_METHODS: Final = (HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE)
_ALLOWED_HEADERS: Final = (
    "Accept",
    "Authorization",
    "Content-Type",
    "X-Client-IP",
    "X-Client-Info",
    "X-JWT-AUD",
    "X-Supabase-Api-Version",
    "apikey",
)


@route("/auth/v1/{path:path}", http_method=_METHODS, status_code=200)
async def auth(request: AnyRequest, path: FromPath[str], emulator: NamedDependency[AuthEmulator]) -> Answer:
    return await Exchange(emulator, request, path if path.startswith("/") else f"/{path}").answer()


def create_app(config: SupabaseAuthConfig) -> Litestar:
    """An emulator with a state of its own. Inject it by base URL; serve it with `inbox.emulators.serving`."""
    emulator = AuthEmulator(config)

    def provide() -> AuthEmulator:
        return emulator

    async def close() -> None:
        emulator.ledger.close()

    return Litestar(
        [
            auth,
            control.health,
            control.keys,
            control.rotate_keys,
            control.revoke_key,
            control.list_users,
            control.add_users,
            control.ban,
            control.unconfirm,
            control.log_out_user,
            control.delete_user,
            control.list_sessions,
            control.end_session,
            control.move_clock,
            control.mint_token,
            control.mails,
            control.list_faults,
            control.add_fault,
            control.clear_faults,
            control.ledger,
            control.reset,
        ],
        dependencies={"emulator": Provide(provide, sync_to_thread=False)},
        exception_handlers={HTTPException: _refused},
        request_max_body_size=config.max_body,
        cors_config=_cors(config.allowed_origins),
        logging_config=None,
        openapi_config=None,
        on_shutdown=[close],
    )


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(_ALLOWED_HEADERS),
        expose_headers=["X-Total-Count", "Link", "X-Supabase-Api-Version"],
    )


def _refused(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What the framework refuses, in the vendor's shape."""
    code = "request_entity_too_large" if error.status_code == _TOO_LARGE else "validation_failed"
    shaped = AuthError(error.status_code, code, error.detail)
    newer = bool(request.headers.get(VERSION_HEADER))
    return Response(
        msgspec.json.encode(shaped.body(newer=newer)),
        status_code=error.status_code,
        media_type=JSON,
        headers={"x-sb-error-code": code},
    )
