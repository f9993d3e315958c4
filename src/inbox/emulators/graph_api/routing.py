"""Which object an id names and what can be done to it: `/[version/]{node}[/{edge}]` (Graph API addressing)."""

from inbox.emulators.graph_api import media, nodes, resumable, sending, templates
from inbox.emulators.graph_api.calls import Answer, Call
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.errors import GraphError, unknown_alias, unknown_object, unknown_path
from inbox.emulators.graph_api.objects import Media, Number, Scope, Template, Token, Waba

Route = tuple[str, str]
"""Method and edge; the edge is empty for the object itself."""


class Routes:
    """Raises GraphError for whatever Meta would refuse."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._world = emulator.world

    async def answer(self, call: Call, *, failed_code: int = 0) -> Answer:
        """Do what the call asks. `failed_code` makes an accepted message fail later."""
        node, *edge = call.segments
        if tuple(call.segments) == media.DOWNLOAD_PATH and call.method == "GET":
            return media.download(self._world, call)
        token = self._token(call)
        if node == "debug_token" and not edge and call.method == "GET":
            return nodes.debug_token(self._emulator, call)
        if not node or len(edge) > 1:
            raise unknown_path("/".join(edge))
        route = (call.method, edge[0] if edge else "")
        if node == self._world.app.id:
            return await self._app(route, call)
        if node.startswith(resumable.PREFIX):
            return self._upload(route, call)
        number = self._world.numbers.get(node)
        if number is not None:
            self._check_access(token, number.waba_id, call, node)
            return await self._number(route, number, call, (token, failed_code))
        return await self._other(route, node, call, token)

    async def _app(self, route: tuple[str, str], call: Call) -> Answer:
        match route:
            case ("POST", "subscriptions"):
                return await nodes.set_callback(self._emulator, call)
            case ("POST", "uploads"):
                return self._emulator.uploads.begin(call)
        raise unknown_path(route[1])

    def _upload(self, route: tuple[str, str], call: Call) -> Answer:
        match route:
            case ("POST", ""):
                return self._emulator.uploads.take(call)
            case ("GET", ""):
                return self._emulator.uploads.progress(call)
        raise unknown_path(route[1])

    async def _other(self, route: tuple[str, str], node: str, call: Call, token: Token) -> Answer:
        waba = self._world.wabas.get(node)
        if waba is not None:
            self._check_access(token, waba.id, call, node)
            return await self._waba(route, waba, call, token)
        template = self._world.templates.get(node)
        if template is not None:
            self._check_access(token, template.waba_id, call, node)
            return self._template(route, template, call, token)
        found = media.find(self._world, node)
        if found is not None:
            self._check_access(token, self._world.numbers[found.number_id].waba_id, call, node)
            return self._media(route, found, call)
        if call.method == "GET" and not node.isdigit():
            raise unknown_alias(node)
        raise unknown_object(call.method, node)

    async def _number(self, route: tuple[str, str], number: Number, call: Call, given: tuple[Token, int]) -> Answer:
        token, failed_code = given
        match route:
            case ("POST", "messages"):
                _require(token, Scope.MESSAGING)
                return await self._messages(number, call, failed_code)
            case ("POST", "media"):
                _require(token, Scope.MESSAGING)
                return media.upload(self._world, number, call)
        usage = self._management(token, number.waba_id)
        match route:
            case ("GET", ""):
                return _with(nodes.number_object(self._emulator, number, call), usage)
            case ("POST", ""):
                return _with(await nodes.change_number(self._emulator, number, call), usage)
        raise unknown_path(route[1])

    async def _messages(self, number: Number, call: Call, failed_code: int) -> Answer:
        if "status" in call.json():
            return sending.mark_read(self._world, number, call)
        if self._emulator.is_full:
            raise GraphError(131016)
        accepted = sending.accept(self._world, self._emulator.rates, number, call, failed_code=failed_code)
        await self._emulator.follow_up(accepted.send)
        return accepted.answer

    async def _waba(self, route: tuple[str, str], waba: Waba, call: Call, token: Token) -> Answer:
        usage = self._management(token, waba.id)
        emulator = self._emulator
        match route:
            case ("GET", ""):
                answer = nodes.waba_object(emulator, waba, call)
            case ("GET", "phone_numbers"):
                answer = nodes.phone_numbers(emulator, waba, call)
            case (_, "subscribed_apps"):
                answer = await self._subscribed_apps(route[0], waba, call)
            case (_, "message_templates"):
                answer = self._message_templates(route[0], waba, call)
            case _:
                raise unknown_path(route[1])
        return _with(answer, usage)

    async def _subscribed_apps(self, method: str, waba: Waba, call: Call) -> Answer:
        match method:
            case "GET":
                return nodes.subscriptions_of(self._emulator, waba, call)
            case "POST":
                return await nodes.subscribe(self._emulator, waba, call)
            case "DELETE":
                return nodes.unsubscribe(self._emulator, waba, call)
        raise unknown_object(method, waba.id)

    def _message_templates(self, method: str, waba: Waba, call: Call) -> Answer:
        match method:
            case "GET":
                return templates.listing(waba, call)
            case "POST":
                return templates.create(self._world, waba, call, self._emulator.review)
            case "DELETE":
                return templates.delete(self._world, waba, call)
        raise unknown_object(method, waba.id)

    def _template(self, route: tuple[str, str], template: Template, call: Call, token: Token) -> Answer:
        usage = self._management(token, template.waba_id)
        match route:
            case ("GET", ""):
                return _with(Answer(template.describe()), usage)
            case ("POST", ""):
                return _with(templates.edit(template, call, self._emulator.review), usage)
        raise unknown_path(route[1])

    def _media(self, route: tuple[str, str], found: Media, call: Call) -> Answer:
        match route:
            case ("GET", ""):
                return media.describe(self._world, found, call)
            case ("DELETE", ""):
                return media.delete(self._world, found, call)
        raise unknown_path(route[1])

    def _token(self, call: Call) -> Token:
        value = call.bearer()
        if not value:
            if call.method == "GET":
                raise GraphError(200, message="(#200) Provide valid app ID", status=400)
            raise GraphError(104)
        return self._world.authenticate(value)

    def _check_access(self, token: Token, waba_id: str, call: Call, node: str) -> None:
        if not token.reaches((waba_id,)):
            raise unknown_object(call.method, node)

    def _management(self, token: Token, waba_id: str) -> dict[str, str]:
        _require(token, Scope.MANAGEMENT)
        return self._emulator.rates.check_management(waba_id)


def _require(token: Token, scope: Scope) -> None:
    if scope in token.scopes:
        return
    if scope is Scope.MESSAGING:
        raise GraphError(
            200,
            message="(#200) You do not have the necessary permissions to send messages on behalf of this WhatsApp "
            "Business Account",
        )
    raise GraphError(10)


def _with(answer: Answer, headers: dict[str, str]) -> Answer:
    return Answer(answer.document, answer.status, answer.content, answer.content_type, {**answer.headers, **headers})
