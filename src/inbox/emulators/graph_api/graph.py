"""The API's front: reads calls, lets faults strike, answers."""

import asyncio
import re
from typing import Final, cast
from urllib.parse import parse_qsl

from litestar.types import HTTPScope, Receive, Scope, Send

from inbox.emulators.faults import Action, FaultRule, RequestFacts
from inbox.emulators.graph_api import media, resumable
from inbox.emulators.graph_api.calls import Answer, Call
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.routing import Routes
from inbox.emulators.serving import abort_connection

MAX_BODY: Final = 2_097_152
MAX_MEDIA_BODY: Final = 105_906_176  # 100 MB and the multipart around it
HANG_SECONDS: Final = 600.0
DEFAULT_VERSION: Final = "v24.0"
_VERSION: Final = re.compile(r"v\d{1,2}\.\d")
_GARBAGE: Final = b"\x00\xff<!doctype garbage>{]"
_BAD_GATEWAY: Final = Answer(status=502, content=b"<html><body>Bad Gateway</body></html>", content_type="text/html")
_LOST_BEFORE: Final = frozenset({Action.HTTP_ERROR, Action.HTML_502, Action.HANG, Action.RESET_BEFORE_ACCEPT})


class Graph:
    """An ASGI application of its own, mounted beside the control API."""

    def __init__(self, emulator: Emulator) -> None:
        self._world = emulator.world
        self._routes = Routes(emulator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = cast("HTTPScope", scope)  # mounted for HTTP only
        call = await self._read(http, receive)
        if call is None:
            await self._reply(send, Answer(status=413, content_type="text/html"), DEFAULT_VERSION)
            return
        facts = _facts(call)
        rule = self._world.faults.pick(facts)
        latency = self._world.ids.draw(self._world.behaviour.latency) + (0 if rule is None else rule.delay)
        if latency:
            await asyncio.sleep(latency)
        if rule is not None:
            self._world.ledger.add("fault", action=rule.action, name=rule.name, kind=facts.kind, path=call.path)
            if rule.action in _LOST_BEFORE:
                await self._refuse(rule, call, http, receive, send)
                return
        answer = await self._answer(call, rule)
        if rule is not None and rule.action is Action.RESET_AFTER_ACCEPT:
            abort_connection(scope)
        await self._reply(send, _spoiled(answer, rule), call.version)

    async def _read(self, scope: HTTPScope, receive: Receive) -> Call | None:
        """The call with its whole body; None if the body is over the limit or the caller went away."""
        path = scope["path"].strip("/")
        is_file = path.endswith("/media") or resumable.PREFIX in path
        most = MAX_MEDIA_BODY if is_file else MAX_BODY
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            chunks.append(message["body"])
            size += len(message["body"])
            more = message["more_body"]
            if size > most:
                return None
        return self._call(scope, path, b"".join(chunks))

    def _call(self, scope: HTTPScope, path: str, body: bytes) -> Call:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        first, _, rest = path.partition("/")
        version = first if _VERSION.fullmatch(first) else ""
        own_path = rest if version else path
        return Call(
            method=scope["method"],
            version=version,
            path=own_path,
            segments=tuple(own_path.split("/")),
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=headers,
            body=body,
            base_url=self._world.config.base_url.rstrip("/") or f"http://{headers.get('host', '')}",
        )

    async def _answer(self, call: Call, rule: FaultRule | None) -> Answer:
        code = rule.code or 131000 if rule is not None and rule.action is Action.FAILED_STATUS else 0
        try:
            return await self._routes.answer(call, failed_code=code)
        except GraphError as error:
            return self._refused(call, error)

    def _refused(self, call: Call, error: GraphError) -> Answer:
        self._world.counts["refused"] += 1
        self._world.ledger.add("refused", method=call.method, path=call.path, status=error.status, code=error.code)
        return Answer(error.envelope(self._world.ids.trace()), status=error.status)

    async def _refuse(self, rule: FaultRule, call: Call, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """A fault before anything is stored."""
        if rule.action is Action.RESET_BEFORE_ACCEPT:
            abort_connection(scope)
        elif rule.action is Action.HANG:
            await _hang(receive)
            abort_connection(scope)
        await self._reply(send, self._fault_answer(rule), call.version)

    def _fault_answer(self, rule: FaultRule) -> Answer:
        if rule.action is Action.HTML_502:
            return _BAD_GATEWAY
        if rule.body is not None:
            return Answer(status=rule.status, content=bytes(rule.body), headers=rule.headers)
        error = GraphError(131000 if rule.code is None else rule.code, status=rule.status)
        return Answer(error.envelope(self._world.ids.trace()), status=rule.status, headers=rule.headers)

    async def _reply(self, send: Send, answer: Answer, version: str) -> None:
        body = answer.body()
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"facebook-api-version", (version or DEFAULT_VERSION).encode()),
            *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _facts(call: Call) -> RequestFacts:
    """What the call is about, as far as it can be read."""
    edge = call.segments[1] if len(call.segments) > 1 else ""
    path = f"/{call.path}"
    if call.method != "POST" or edge != "messages":
        kind = {"media": "media", "message_templates": "template", "uploads": "template"}.get(edge, "account")
        if call.segments[0].startswith(resumable.PREFIX):
            kind = "template"
        if call.segments == media.DOWNLOAD_PATH:
            kind = "media"
        return RequestFacts(kind=kind, method=call.method, path=path)
    try:
        message = call.json()
    except GraphError:
        message = {}
    kind = "read" if "status" in message else "send"
    to = "".join(character for character in str(message.get("to", "")) if character.isalnum())
    return RequestFacts(kind=kind, method="POST", path=path, to=to, type=str(message.get("type", "")))


def _spoiled(answer: Answer, rule: FaultRule | None) -> Answer:
    if rule is None:
        return answer
    if rule.action is Action.TRUNCATED_JSON:
        whole = answer.body()
        return Answer(status=answer.status, content=whole[: len(whole) // 2], headers=answer.headers)
    if rule.action is Action.GARBAGE:
        return Answer(status=200, content=_GARBAGE, content_type="application/octet-stream")
    return answer


async def _hang(receive: Receive) -> None:
    """Wait until the caller gives up, for ten minutes at most."""
    try:
        async with asyncio.timeout(HANG_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
