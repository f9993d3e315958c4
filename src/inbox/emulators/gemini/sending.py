"""How answers go out: pretty printed JSON, server-sent events, one JSON array; and how they are spoiled on the way."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from inbox.emulators.faults import FaultRule
from inbox.emulators.gemini.errors import ApiError, deadline, high_demand
from inbox.emulators.gemini.knobs import knob_of
from inbox.emulators.gemini.request import Json
from inbox.emulators.serving import abort_connection

AnyRequest = Request[Any, Any, State]
JSON: Final = "application/json; charset=UTF-8"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html; charset=UTF-8"
HTML_502: Final = (
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 502 (Server Error)!!1</title>\n"
    b"<p><b>502.</b> <ins>That's an error.</ins>\n<p>The server encountered a temporary error and could not complete "
    b"your request.<p>Please try again in 30 seconds.\n"
)
GARBAGE: Final = b"\x1f\x8b\x08\x00<<<not json>>>\xff\xfe"
DRIP_PIECES: Final = 16
DRIP_INTERVAL: Final = 0.05
EVENTS_BEFORE_ERROR: Final = 1
UTF8_LEAD: Final = 0xC0  # the first byte of a multi-byte character is at least this


def pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


class Answer:
    """One HTTP response, written to ASGI directly: litestar's own stream waits for the caller to leave at its end."""

    def __init__(
        self,
        body: bytes | AsyncGenerator[bytes, None],
        *,
        status: int = 200,
        media_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self._body = body
        self._headers = {"content-type": media_type, **(headers or {})}
        if isinstance(body, bytes):
            self._headers["content-length"] = str(len(body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
        await send(HTTPResponseStartEvent(type="http.response.start", status=self.status, headers=headers))
        if isinstance(self._body, bytes):
            await send(HTTPResponseBodyEvent(type="http.response.body", body=self._body, more_body=False))
            return
        async with aclosing(self._body) as chunks:
            try:
                async for chunk in chunks:
                    await send(HTTPResponseBodyEvent(type="http.response.body", body=chunk, more_body=True))
            except ConnectionError:
                return  # the caller left in the middle; nobody is there to be told
        await send(HTTPResponseBodyEvent(type="http.response.body", body=b"", more_body=False))


def json_answer(value: object) -> Answer:
    return Answer(pretty(value))


def error_answer(error: ApiError, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(pretty(error.body()), status=error.code, headers=headers)


async def wait(request: AnyRequest, seconds: float) -> None:
    """Take so long. Raises ApiError 504 when the caller's `X-Server-Timeout` (seconds) is over first."""
    patience = _patience(request)
    if patience is not None and patience < seconds:
        await asyncio.sleep(patience)
        raise deadline()
    if seconds > 0:
        await asyncio.sleep(seconds)


async def hang(request: AnyRequest, longest: float) -> None:
    """No answer until the caller leaves. Raises ApiError 504 after the caller's server timeout, or after `longest`."""
    patience = _patience(request)
    try:
        async with asyncio.timeout(longest if patience is None else min(patience, longest)):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError as error:
        raise deadline() from error


def reset(request: AnyRequest) -> Answer:
    abort_connection(request.scope)
    return Answer(b"")


def whole(request: AnyRequest, response: Json, fault: FaultRule | None) -> Answer:
    """One JSON answer."""
    match knob_of(fault) if fault else "":
        case "bad_json":
            body = pretty(response)
            return Answer(body[: len(body) * 2 // 3])
        case "connection_reset_late":
            return reset(request)
        case "drip" if fault:
            return Answer(_drip(pretty(response), fault))
        case _:
            return json_answer(response)


def streamed(
    request: AnyRequest,
    pieces: Iterable[Json],
    fault: FaultRule | None,
    closed: Callable[[int, bool], None],
    *,
    as_events: bool,
) -> Answer:
    """A stream of responses, as events or as one JSON array. `closed(pieces sent, whole)` is called at its end."""
    content = _stream(request, pieces, fault, closed, _Events() if as_events else _Array())
    return Answer(content, media_type=EVENTS if as_events else JSON)


class _Events:
    """`data: {...}` and a blank line with CRLF; no event names, no [DONE]."""

    head = b""
    tail = b""

    def piece(self, at: int, value: object) -> bytes:  # noqa: ARG002 - the array form needs it
        return b"data: " + msgspec.json.encode(value) + b"\r\n\r\n"


class _Array:
    """One pretty printed JSON array that grows element by element."""

    head = b"["
    tail = b"]\n"

    def piece(self, at: int, value: object) -> bytes:
        return (b",\r\n" if at else b"") + pretty(value).rstrip()


async def _stream(
    request: AnyRequest,
    pieces: Iterable[Json],
    fault: FaultRule | None,
    closed: Callable[[int, bool], None],
    form: _Events | _Array,
) -> AsyncGenerator[bytes, None]:
    knob = knob_of(fault) if fault else ""
    pause = float(fault.options.get("interval", DRIP_INTERVAL)) if fault and knob == "drip" else 0.0
    spoils = knob.startswith("stream_") or knob in ("connection_reset_late", "bad_json")
    sent = 0
    finished = False
    try:
        if form.head:
            yield form.head
        for at, value in enumerate(pieces):
            if spoils and at == EVENTS_BEFORE_ERROR:
                yield _spoiled_tail(request, form, knob, at)
                return
            for part in _split(form.piece(at, value), small=knob == "drip"):
                yield part
                await asyncio.sleep(pause)
            sent += 1
        yield form.tail
        finished = True
    finally:
        closed(sent, finished)


def _spoiled_tail(request: AnyRequest, form: _Events | _Array, knob: str, at: int) -> bytes:
    """What comes instead of the rest. `stream_eof` is the clean end that lacks a finish reason."""
    match knob:
        case "stream_error_data":
            return form.piece(at, high_demand().body()) + form.tail
        case "stream_error_raw":
            return pretty(high_demand().body())
        case "bad_json":
            return form.piece(at, {"candidates": []})[:9]
        case "connection_reset_late":
            abort_connection(request.scope)
            return b""
        case _:
            return form.tail


def _split(data: bytes, *, small: bool) -> list[bytes]:
    """Network chunks that end inside a multi-byte character when there is one, and inside the JSON otherwise."""
    middle = next((at + 1 for at, byte in enumerate(data) if byte >= UTF8_LEAD), len(data) // 2)
    if not small:
        return [data[:middle], data[middle:]]
    step = max(1, len(data) // DRIP_PIECES)
    return [data[start : start + step] for start in range(0, len(data), step)]


async def _drip(body: bytes, fault: FaultRule) -> AsyncGenerator[bytes, None]:
    pieces = max(1, int(fault.options.get("pieces", DRIP_PIECES)))
    step = max(1, -(-len(body) // pieces))
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(float(fault.options.get("interval", DRIP_INTERVAL)))


def _patience(request: AnyRequest) -> float | None:
    given = request.headers.get("x-server-timeout", "")
    return float(given) if given.replace(".", "", 1).isdecimal() else None
