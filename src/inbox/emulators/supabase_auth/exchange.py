"""One request from its arrival to its answer: fault, gateway, operation, error shape, ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.response import Response

from inbox.emulators.faults import FaultRule, RequestFacts
from inbox.emulators.serving import abort_connection
from inbox.emulators.supabase_auth import administration, open_routes, own_account, sign_in
from inbox.emulators.supabase_auth.callers import Caller, Kind, through_gateway
from inbox.emulators.supabase_auth.calls import Call, Reply
from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import AuthError, GatewayError, timed_out
from inbox.emulators.supabase_auth.knobs import KNOBS, knob_of, refusal, rule_from

AnyRequest = Request[Any, Any, State]
Answer = Response[bytes | None]
Operation = Callable[[Call], Awaitable[Reply]]

JSON: Final = "application/json"
FAULT_HEADER: Final = "x-emu-fault"
VERSION_HEADER: Final = "x-supabase-api-version"
FIRST_NEWER: Final = "2024-01-01"
USER_PATH: Final = "/admin/users/"
HTML_502: Final = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"
GARBAGE: Final = b"\x00\xff<<<not json>>>"
OPEN: Final = frozenset({"/.well-known/jwks.json", "/.well-known/openid-configuration", "/verify"})

# (method, path) -> what the ledger calls it, and who answers.
OPERATIONS: Final[Mapping[tuple[str, str], tuple[str, Operation]]] = {
    ("POST", "/token"): ("token", sign_in.token),
    ("GET", "/user"): ("user", own_account.get_user),
    ("PUT", "/user"): ("user", own_account.change_user),
    ("POST", "/logout"): ("logout", own_account.log_out),
    ("GET", "/verify"): ("verify", sign_in.follow_link),
    ("POST", "/verify"): ("verify", sign_in.verify),
    ("GET", "/health"): ("health", open_routes.health),
    ("GET", "/settings"): ("settings", open_routes.settings),
    ("GET", "/.well-known/jwks.json"): ("jwks", open_routes.jwks),
    ("GET", "/.well-known/openid-configuration"): ("jwks", open_routes.openid_configuration),
    ("POST", "/invite"): ("invite", administration.invite),
    ("GET", "/admin/users"): ("admin", administration.list_users),
    ("POST", "/admin/users"): ("admin", administration.create_user),
    ("POST", "/admin/generate_link"): ("admin", administration.generate_link),
    ("GET", USER_PATH): ("admin", administration.get_user),
    ("PUT", USER_PATH): ("admin", administration.change_user),
    ("DELETE", USER_PATH): ("admin", administration.delete_user),
}


class Exchange:
    """`path` is what follows `/auth/v1`."""

    def __init__(self, emulator: AuthEmulator, request: AnyRequest, path: str) -> None:
        self._emulator = emulator
        self._request = request
        self._path = path
        named = USER_PATH if path.startswith(USER_PATH) else path
        known = OPERATIONS.get((str(request.method), named))
        self._kind: str = known[0] if known else "unknown"
        self._operation: Operation | None = known[1] if known else None
        self._fault: FaultRule | None = None
        self._version = request.headers.get(VERSION_HEADER, "")

    async def answer(self) -> Answer:
        try:
            self._fault = self._armed()
            answer = await self._faulty() or await self._served()
        except AuthError as error:
            answer = self._refused(error)
            self._note(error.status, code=error.code)
            return answer
        except GatewayError as error:
            self._note(error.status, code="gateway")
            return _json(error.body(), error.status)
        self._note(answer.status_code or 200)
        return answer

    def _refused(self, error: AuthError) -> Answer:
        newer = self._version >= FIRST_NEWER
        headers = {**error.headers, **(self._fault.headers if self._fault else {})}
        if newer:
            headers[VERSION_HEADER] = self._version
        if not (newer and error.reasons):  # observed: the newer weak_password answer lacks the header
            headers["x-sb-error-code"] = error.code
        return _json(error.body(newer=newer), error.status, headers)

    def _armed(self) -> FaultRule | None:
        """The fault of this request: its own header's knob, else the first armed rule that fits."""
        named = self._request.headers.get(FAULT_HEADER)
        if named is not None:
            if named not in KNOBS:
                raise AuthError(400, "validation_failed", f"{FAULT_HEADER}: unknown knob")
            return rule_from({"knob": named})
        facts = RequestFacts(
            kind=self._kind,
            method=self._request.method,
            path=self._request.scope["path"],
            type=self._request.query_params.get("grant_type", ""),
        )
        return self._emulator.faults.pick(facts)

    async def _faulty(self) -> Answer | None:
        """What a fault answers before anything is looked at; None when the request may go on."""
        fault = self._fault
        if fault is None:
            return None
        await asyncio.sleep(fault.delay)
        knob = knob_of(fault)
        if knob == "timeout":
            await self._hang()
        if knob in ("timeout", "connection_reset"):
            return self._reset()
        if knob == "http_error" and fault.body is not None:
            return Response(bytes(fault.body), status_code=fault.status, media_type=JSON, headers=fault.headers)
        error = refusal(fault)
        if error is not None:
            raise error
        return _FRONT_END[knob]() if knob in _FRONT_END else None

    async def _served(self) -> Answer:
        request, emulator = self._request, self._emulator
        caller = Caller(Kind.NOBODY)
        if self._path not in OPEN:
            caller = through_gateway(
                emulator,
                request.headers.get("apikey", "") or request.query_params.get("apikey", ""),
                request.headers.get("authorization", ""),
                request.headers.get("user-agent", ""),
            )
        if self._operation is None:
            return Response(b"404 page not found\n", status_code=404, media_type="text/plain")
        call = Call(
            emulator=emulator,
            caller=caller,
            issuer=issuer_of(emulator, request),
            query=dict(request.query_params),
            raw=await request.body(),
            target=_target(self._path),
        )
        return self._spoiled(await self._operation(call))

    def _spoiled(self, reply: Reply) -> Answer:
        """The answer, cut short or thrown away when the fault says so: what was done stays done."""
        knob = knob_of(self._fault) if self._fault else ""
        if knob == "connection_reset_late":
            return self._reset()
        if reply.value is None:
            return Response(None, status_code=reply.status, media_type=JSON, headers=reply.headers)
        body = msgspec.json.encode(reply.value)
        if knob == "bad_json":
            body = body[: len(body) * 2 // 3]
        return Response(body, status_code=reply.status, media_type=JSON, headers=reply.headers)

    async def _hang(self) -> None:
        """No answer until the caller leaves, or 504 after the longest wait."""
        try:
            async with asyncio.timeout(self._emulator.config.longest_wait):
                while (await self._request.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError as error:
            raise timed_out() from error

    def _reset(self) -> Answer:
        abort_connection(self._request.scope)
        return Response(b"", media_type=JSON)

    def _note(self, status: int, **more: object) -> None:
        """One entry per request: no body, no key, no token, no address."""
        fault = {"fault": knob_of(self._fault)} if self._fault else {}
        grant = self._request.query_params.get("grant_type", "")
        named = {"grant": grant} if self._kind == "token" and grant in ("password", "refresh_token", "pkce") else {}
        self._emulator.ledger.add(self._kind, method=self._request.method, status=status, **named, **fault, **more)


def issuer_of(emulator: AuthEmulator, request: AnyRequest) -> str:
    """The `iss` of tokens: the configured base URL, else the address that this request came to."""
    base = emulator.config.base_url.rstrip("/") or f"http://{request.headers.get('host', 'localhost')}"
    return base if base.endswith("/auth/v1") else f"{base}/auth/v1"


def _target(path: str) -> UUID | None:
    if not path.startswith(USER_PATH):
        return None
    try:
        return UUID(path.removeprefix(USER_PATH))
    except ValueError:
        return None


def _json(value: object, status: int, headers: dict[str, str] | None = None) -> Answer:
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON, headers=headers)


_FRONT_END: Final[Mapping[str, Callable[[], Answer]]] = {
    "html_502": lambda: Response(HTML_502, status_code=502, media_type="text/html"),
    "garbage": lambda: Response(GARBAGE, media_type=JSON),
    "jwks_empty": lambda: _json({"keys": []}, 200, {"cache-control": "public, max-age=600"}),
}
