"""Each example message all the way: our API, the queue, the worker, HTTP, and Meta's other side, which takes it.

Every example has an account, a number and a customer who has just written, here and at the emulator: so recipients,
quoted wamids and names of templates are those of the examples. Two things cannot be: WhatsApp makes the ids of files,
and we make `biz_opaque_callback_data`.
"""

import json
import time
from uuid import UUID

import httpx
import msgspec

from adapters.webhook_bodies import a_body, a_contact, a_message
from api.at_work import at_work
from api.conftest import APP_SECRET, a_caller
from api.test_upstream_answers import TOKEN
from applications import a_browser
from builders import an_account, execute, until
from contracts.trust import certificates
from inbox.domain.access import Permission
from inbox.domain.ids import MessageId
from inbox.domain.outbound import OpId
from inbox.emulators.graph_api.app import create_app as create_graph
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig, PayloadVersion
from inbox.emulators.serving import serve
from inbox.kit.signing import sign
from inbox.main.settings import Settings, WhatsApp
from payloads.sends import Example, Json, examples, template_for
from template_builders import set_waba

EXAMPLES = examples()
QUOTED = "wamid.HBgLMTU1NTAxNDIwMDEVAgASGBQ5ODJEOUUzRUI5OTZGNTU5RTYzMwA="
"""What the customer wrote: the message that examples quote and react to."""
FILES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg",
    "document": "application/pdf",
    "sticker": "image/webp",
}
MADE_HERE = "biz_opaque_callback_data"
BEHAVIOUR = Behaviour(latency=(0, 0), auto_statuses=False, payload_version=PayloadVersion.BSUID)
Taken = tuple[str, str, str, int]
"""Name of the example, its body, the operation, and the code that it would fail with after all."""


class OtherSide:
    """The emulator, by its control API and its Graph API."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    async def call(self, method: str, path: str, document: object = None) -> Json:
        answer = await self.http.request(method, f"{self.url}/_emu{path}", json=document)
        assert answer.is_success, answer.text
        found: Json = answer.json() if answer.content else {}
        return found

    async def has(self, example: Example) -> tuple[str, str]:
        """A WABA with a number that the customer has written to, and the template. Returns the ids of both."""
        waba = await self.call("POST", "/wabas", {"numbers": [{"phone": "15550100199"}]})
        number = waba["numbers"][0]["id"]
        who = {"phone": example.to.wa_id or "", "user_id": example.to.bsuid or ""}
        await self.call("PUT", "/personas", who)
        said = {"phone_number_id": number, "from": example.to.wa_id or example.to.bsuid, "message": {"id": QUOTED}}
        await self.call("POST", "/inbound", said)
        if "template" in example.body:
            await self.call("POST", "/templates", {"waba_id": waba["id"], **template_for(example.body["template"])})
        return waba["id"], number

    async def with_files(self, number: str, example: Example) -> tuple[Json, Json]:
        """Content and body of an example, with ids of files that the number has."""
        content, body = msgspec.json.encode(example.content).decode(), json.dumps(example.body)
        for made_up, kind in sorted(set(_files(example.body))):
            form = {"messaging_product": "whatsapp", "type": FILES[kind]}
            answer = await self.http.post(
                f"{self.url}/v24.0/{number}/media",
                headers={"authorization": f"Bearer {TOKEN}"},
                data=form,
                files={"file": ("file", b"\xff\xd8\xff\xd9", FILES[kind])},
            )
            content, body = (text.replace(made_up, answer.json()["id"]) for text in (content, body))
        return json.loads(content), json.loads(body)


def _files(part: object) -> list[tuple[str, str]]:
    """Ids of files, and what they are shown as."""
    if isinstance(part, list):
        return [found for element in part for found in _files(element)]
    if not isinstance(part, dict):
        return []
    here = [(value["id"], kind) for kind, value in part.items() if kind in FILES and "id" in value]
    return here + [found for value in part.values() for found in _files(value)]


class Service:
    """Ours, with a worker; somebody who may do all that the examples need."""

    def __init__(self, engine, browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.engine = engine
        self.browser = browser
        self.headers = headers

    async def knows(self, example: Example, waba: str, number: str) -> str:
        """The account, its templates, and what the customer wrote. Returns the account's id."""
        channel = await an_account(self.engine, phone_number_id=number, access_token=TOKEN)
        await set_waba(self.engine, channel, waba)
        if "template" in example.body:
            await self.post(f"/accounts/{channel.account_id}/templates/sync")
        wa_id, bsuid = example.to.wa_id, example.to.bsuid
        said = a_message(id=QUOTED, timestamp=str(int(time.time())), **{"from": wa_id, "from_user_id": bsuid})
        body = a_body(said, number=number, contacts=[a_contact(wa_id, user_id=bsuid)])
        signature = sign(APP_SECRET.encode(), body).decode()
        answer = await self.browser.post("/webhook/whatsapp", content=body, headers={"x-hub-signature-256": signature})
        assert answer.is_success, answer.text
        return str(channel.account_id)

    async def send(self, account: str, example: Example, content: Json) -> str:
        """Asks for one message, and returns its id."""
        row = f"from messages where account_id = '{account}' and direction = 'inbound'"
        await until(self.engine, f"select 1 {row}")
        (written,) = await execute(self.engine, f"select id, conversation_id {row}")
        body: Json = {"conversation_id": str(written.conversation_id), "content": content}
        if example.reply_to is not None:
            body["reply_to_message_id"] = str(written.id)
        return str((await self.post("/messages/send", body))["id"])

    async def post(self, path: str, body: Json | None = None) -> Json:
        answer = await self.browser.post(path, json=body, headers={**self.headers, "prefer": "respond-async"})
        assert answer.is_success, f"{path} {body}: {answer.text}"
        found: Json = answer.json()
        return found


def at(url: str, settings: Settings) -> Settings:
    """WhatsApp is the emulator, with the times of production."""
    return msgspec.structs.replace(settings, whatsapp=WhatsApp(graph_url=url, app_secret=settings.whatsapp.app_secret))


def written(body: Json) -> str:
    """As JSON: 1 is neither 1.0 nor true; the order of names says nothing."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True)


async def test_every_example_reaches_whatsapp_as_exactly_metas_json(
    applications, settings, database_url, engine, tmp_path
):
    rights = (Permission.MESSAGES_SEND, Permission.SETTINGS_MANAGE)
    headers = await a_caller(engine, None, *rights)
    numbers: dict[str, str] = {}
    wanted: list[Taken] = []
    async with (
        serve(create_graph(GraphApiConfig(access_token=TOKEN, behaviour=BEHAVIOUR))) as served,
        httpx.AsyncClient(verify=certificates()) as http,
        at_work(applications, at(served.url, settings), database_url, tmp_path) as app,
        a_browser(app) as browser,
    ):
        whatsapp, service = OtherSide(served.url, http), Service(engine, browser, headers)
        for name, example in EXAMPLES.items():
            waba, number = await whatsapp.has(example)
            account = await service.knows(example, waba, number)
            content, body = await whatsapp.with_files(number, example)
            message = MessageId(UUID(await service.send(account, example, content)))
            numbers[number] = name
            wanted.append((name, written(body), str(OpId(message, 1)), 0))
        unsent = "select 1 from outbox where state in ('queued', 'claimed', 'wire') having count(*) = 0"
        await until(engine, unsent)
        sends = (await whatsapp.call("GET", "/sends"))["sends"]

    taken: list[Taken] = []
    for send in sends:
        op = send["message"].pop(MADE_HERE)
        taken.append((numbers[send["phone_number_id"]], written(send["message"]), op, send["failed_code"]))
    assert sorted(taken) == sorted(wanted)
    assert len(taken) == 52
