"""The sender of the Cloud API against the emulated Graph API: answers, silence, broken connections, blame."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from litestar import Litestar

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.adapters.messaging.cloud_api.errors import NotTried
from inbox.domain.contacts import Address
from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.inbound import InboundStatus
from inbox.domain.outbound import OpId
from inbox.domain.upstream_errors import (
    AccountProblem,
    FenceRefused,
    NothingSent,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from inbox.emulators.graph_api.config import GraphApiConfig, WindowRefusal
from inbox.emulators.serving import serve
from inbox.kit.breaker import Breakers
from inbox.kit.http import Timeouts
from inbox.kit.resilience import Policy
from inbox.ports.messaging import Accepted

from .sending import Passing, Sending, StartSender
from .whatsapp_side import BUSINESS, CUSTOMER, TOKEN, GraphSide, Webhooks

Start = Callable[..., tuple[Sending, Breakers]]


@pytest.fixture
def start(graph: GraphSide, start_sender: StartSender) -> Start:
    def starting(url: str = "", *, token: str = TOKEN, number: str = "", **wiring: object) -> tuple[Sending, Breakers]:
        wired = start_sender(url, **wiring)
        return Sending(wired.sender, number or graph.phone_number_id, token), wired.breakers

    return starting


@pytest.fixture
def send(start: Start) -> Sending:
    return start()[0]


async def test_a_refusing_fence_leaves_no_trace_at_the_other_side(send: Sending, graph: GraphSide) -> None:
    with pytest.raises(FenceRefused):
        await send(fence=Passing(FenceRefused()))
    assert await graph.entries("send", "refused", "fault") == []


async def test_our_operation_comes_back_in_the_statuses(send: Sending, graph: GraphSide, webhooks: Webhooks) -> None:
    accepted = await send()
    await graph.call("POST", "/statuses", {"wamid": accepted.wamid, "status": "delivered"})
    async with asyncio.timeout(10):
        signature, body = await webhooks.get()
    codec = CloudApiCodec([GraphApiConfig().app_secret.encode()])
    assert codec.authentic(signature, body)
    (status,) = codec.decode(body, datetime.now(UTC))
    assert isinstance(status, InboundStatus)
    assert (status.wamid, status.status) == (accepted.wamid, "delivered")
    assert OpId.parse(status.op_id) == send.op
    assert status.recipient == CUSTOMER


@pytest.mark.parametrize(
    ("rule", "error", "code"),
    [
        ({"status": 400, "code": 4}, TryLater, 4),
        ({"status": 400, "code": 80007}, TryLater, 80007),
        ({"status": 400, "code": 131056}, TryLater, 131056),
        ({"status": 500, "code": 2}, TryLater, 2),
        ({"status": 500, "code": 131016}, TryLater, 131016),
        ({"status": 503, "code": 133004}, TryLater, 133004),
        ({"status": 500, "code": 1}, OutcomeUnknown, 1),
        ({"status": 500, "code": 131000}, OutcomeUnknown, 131000),
        ({"status": 503, "code": 777_777}, OutcomeUnknown, 777_777),
        ({"status": 502, "body": {"error": {"message": "no code"}}}, OutcomeUnknown, None),
        ({"status": 504, "body": ""}, OutcomeUnknown, None),
        ({"status": 408, "body": {}}, OutcomeUnknown, None),
        ({"status": 403, "code": 200}, AccountProblem, 200),
        ({"status": 403, "code": 131031}, AccountProblem, 131031),
        ({"status": 302, "body": {}, "headers": {"location": "/elsewhere"}}, AccountProblem, None),
        ({"status": 400, "code": 131051}, Refused, 131051),
        ({"status": 404, "body": {}}, AccountProblem, None),
    ],
    ids=str,
)
async def test_an_answer_is_read_by_its_code(
    send: Sending, graph: GraphSide, rule: dict[str, object], error: type[InboxError], code: int | None
) -> None:
    await graph.arm(action="http_error", **rule)
    with pytest.raises(error) as caught:
        await send()
    assert getattr(caught.value, "graph_code", None) == code
    assert await graph.arrived() == []


async def test_a_named_wait_reaches_the_caller(send: Sending, graph: GraphSide) -> None:
    await graph.arm(action="http_error", status=429, code=130429, headers={"retry-after": "7"})
    with pytest.raises(TryLater) as caught:
        await send()
    assert (caught.value.scope, caught.value.retry_after) == ("number", 7.0)


@pytest.mark.parametrize("action", ["html_502", "hang"])
async def test_without_an_answer_of_graph_the_outcome_is_unknown(send: Sending, graph: GraphSide, action: str) -> None:
    await graph.arm(action=action)
    with pytest.raises(OutcomeUnknown):
        await send()
    assert send.fence.runs == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "garbage"},
        {"action": "http_error", "status": 200, "body": {"messages": []}},
        {"action": "http_error", "status": 200, "body": {"messages": [{"id": 5}]}},
        {"action": "http_error", "status": 202, "body": {}},
    ],
    ids=str,
)
async def test_any_success_without_a_wamid_is_accepted(
    send: Sending, graph: GraphSide, rule: dict[str, object]
) -> None:
    await graph.arm(**rule)
    assert await send() == Accepted(wamid=None)


@pytest.mark.parametrize("total", [0.2, 5], ids=["deadline", "read timeout"])
async def test_a_success_whose_body_never_ends_is_accepted(start: Start, total: float) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"messages":')
        await reader.read()  # until the caller gives up
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
        send, _ = start(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", policy=Policy(total=total, attempt=5))
        assert await send() == Accepted(wamid=None)


async def test_a_refused_connection_sends_nothing_and_asks_no_fence(start: Start) -> None:
    async with serve(Litestar([], openapi_config=None, logging_config=None)) as gone:
        pass
    send, _ = start(gone.url)
    with pytest.raises(NothingSent):
        await send()
    assert send.fence.runs == 0


async def test_the_deadline_after_the_first_byte_is_unknown(start: Start, graph: GraphSide) -> None:
    send, _ = start(policy=Policy(total=0.2, attempt=5), timeouts=Timeouts())
    await graph.arm(action="hang")
    with pytest.raises(OutcomeUnknown):
        await send()


async def test_a_fence_that_takes_too_long_sends_nothing_and_blames_nobody(start: Start, graph: GraphSide) -> None:
    send, breakers = start(timeouts=Timeouts(fence=0.01))
    late, _ = start(policy=Policy(total=0.1, attempt=5))

    async def slow() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.Event().wait()

    async def endless() -> None:
        await asyncio.Event().wait()

    for _ in range(4):
        with pytest.raises(NotTried):
            await send(fence=slow)
    with pytest.raises(NotTried):
        await late(fence=endless)
    assert await graph.entries("send", "refused") == []
    assert breakers.inspect()["whatsapp"].state == "closed"


async def test_a_queue_for_connections_sends_nothing_and_blames_nobody(start: Start, graph: GraphSide) -> None:
    send, breakers = start(timeouts=Timeouts(connect=0.1, pool=0.2, read=5), connections=1)
    await graph.arm(action="hang")
    hanging = asyncio.create_task(send())
    await graph.until("fault")
    with pytest.raises(NotTried):
        await send()
    assert breakers.inspect()["whatsapp"].failure_count == 0
    hanging.cancel()
    await asyncio.wait([hanging])
    assert hanging.cancelled()
    assert (await send()).wamid


async def test_an_outage_opens_the_circuit_and_then_nothing_is_tried(start: Start, graph: GraphSide) -> None:
    send, breakers = start()
    await graph.arm(action="html_502", count=3)
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            await send()
    with pytest.raises(CircuitOpen) as caught:
        await send()
    assert caught.value.retry_after
    assert send.fence.runs == 3
    assert breakers.inspect()["whatsapp"].state == "open"


async def test_what_is_about_one_account_or_message_opens_no_circuit(start: Start, graph: GraphSide) -> None:
    send, breakers = start()
    for outcome in ("R", "P", "F", "A-", "R", "P", "F"):
        await graph.will(outcome)
        if outcome == "A-":
            await send()
            continue
        with pytest.raises((TryLater, AccountProblem, Refused)):
            await send()
    assert breakers.inspect()["whatsapp"].failure_count == 0


async def test_a_wrong_token_is_the_accounts_fault_and_stays_unsaid(start: Start) -> None:
    send, _ = start(token="wrong-token-of-the-account")
    with pytest.raises(AccountProblem) as caught:
        await send()
    assert caught.value.graph_code == 190
    assert "wrong-token" not in str(caught.value)


async def test_an_unknown_number_is_the_accounts_fault(start: Start) -> None:
    with pytest.raises(AccountProblem):
        await start(number="123456789012345")[0]()


async def test_a_token_that_fits_in_no_header_is_the_accounts_fault(start: Start) -> None:
    send, _ = start(token="pasted with\na line break")
    with pytest.raises(AccountProblem):
        await send()
    assert send.fence.runs == 0


async def test_a_closed_window_is_a_refusal_with_its_code(send: Sending, graph: GraphSide) -> None:
    await graph.call("PATCH", "/behaviour", {"check_window": True, "window_refusal": WindowRefusal.SYNCHRONOUS})
    with pytest.raises(Refused) as caught:
        await send()
    assert caught.value.graph_code == 131047


async def test_a_message_to_oneself_is_refused(send: Sending) -> None:
    with pytest.raises(Refused) as caught:
        await send(to=Address(wa_id=BUSINESS))
    assert caught.value.graph_code == 131021
