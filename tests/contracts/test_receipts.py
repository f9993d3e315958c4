"""What every `Receipts` keeps: a message is marked, or an error says why not, and the next call goes its way."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from inbox.adapters.messaging.cloud_api.receipts import body_of
from inbox.domain.accounts import Channel
from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.ids import AccountId
from inbox.domain.upstream_errors import AccountProblem, Refused, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.resilience import Policy
from inbox.ports.messaging import Receipts

from .receipts_side import OUTCOMES, UNKNOWN, FakeReceiptsSide, GraphReceiptsSide, ReceiptsSide, WiredReceipts
from .whatsapp_side import TOKEN, GraphSide


def a_channel(phone_number_id: str, token: str | None = TOKEN) -> Channel:
    return Channel(account_id=AccountId(UUID(int=1)), phone_number_id=phone_number_id, access_token=token)


class ReceiptsCases:
    async def test_a_message_is_marked_as_read(self, receipts: Receipts, side: ReceiptsSide) -> None:
        wamid = await side.a_message()
        await receipts.mark_read(a_channel(side.phone_number_id), wamid)
        assert await side.told() == [(wamid, False)]

    async def test_typing_marks_as_well(self, receipts: Receipts, side: ReceiptsSide) -> None:
        wamid = await side.a_message()
        await receipts.mark_read(a_channel(side.phone_number_id), wamid, typing=True)
        assert await side.told() == [(wamid, True)]

    async def test_a_message_may_be_marked_again(self, receipts: Receipts, side: ReceiptsSide) -> None:
        wamid = await side.a_message()
        for _ in range(2):
            await receipts.mark_read(a_channel(side.phone_number_id), wamid)
        assert await side.told() == [(wamid, False)] * 2

    async def test_a_message_that_whatsapp_does_not_know_is_refused(
        self, receipts: Receipts, side: ReceiptsSide
    ) -> None:
        with pytest.raises(Refused) as caught:
            await receipts.mark_read(a_channel(side.phone_number_id), UNKNOWN)
        assert caught.value.graph_code == 131009
        assert await side.told() == []

    @pytest.mark.parametrize(("number", "token"), [("", TOKEN), ("1", None), ("1", "")])
    async def test_an_account_that_is_not_set_up_tells_nobody(
        self, receipts: Receipts, side: ReceiptsSide, number: str, token: str | None
    ) -> None:
        with pytest.raises(AccountProblem):
            await receipts.mark_read(a_channel(number, token), await side.a_message())
        assert await side.told() == []

    @pytest.mark.parametrize("outcome", OUTCOMES)
    async def test_each_failure_has_its_class_and_is_not_repeated(
        self, receipts: Receipts, side: ReceiptsSide, outcome: str
    ) -> None:
        wamid, channel = await side.a_message(), a_channel(side.phone_number_id)
        await side.will(outcome)
        with pytest.raises(InboxError) as caught:
            await receipts.mark_read(channel, wamid)
        assert type(caught.value) is type(OUTCOMES[outcome])
        assert await side.told() == []
        await receipts.mark_read(channel, wamid)
        assert await side.told() == [(wamid, False)]


class TestFakeReceipts(ReceiptsCases):
    @pytest.fixture
    def side(self) -> FakeReceiptsSide:
        return FakeReceiptsSide()

    @pytest.fixture
    def receipts(self, side: FakeReceiptsSide) -> Receipts:
        return side.receipts


class TestCloudApiReceipts(ReceiptsCases):
    """Over real HTTP, to the emulator."""

    @pytest.fixture
    def side(self, graph: GraphSide) -> GraphReceiptsSide:
        return GraphReceiptsSide(graph)

    @pytest.fixture
    async def wired(self, graph_url: str) -> AsyncIterator[WiredReceipts]:
        wired = WiredReceipts(graph_url)
        yield wired
        await wired.api.aclose()

    @pytest.fixture
    def receipts(self, wired: WiredReceipts) -> Receipts:
        return wired.receipts

    async def test_an_answer_that_breaks_off_after_its_200_is_an_answer(
        self, receipts: Receipts, side: GraphReceiptsSide
    ) -> None:
        wamid = await side.a_message()
        await side.will("truncated")
        await receipts.mark_read(a_channel(side.phone_number_id), wamid)
        assert await side.told() == [(wamid, False)]

    async def test_a_message_of_another_number_is_refused(self, receipts: Receipts, side: GraphReceiptsSide) -> None:
        wamid = await side.a_message()
        waba = await side.graph.call("POST", "/wabas", {"numbers": [{"phone": "33190000009"}]})
        with pytest.raises(Refused):
            await receipts.mark_read(a_channel(waba["numbers"][0]["id"]), wamid)
        assert await side.told() == []

    async def test_behind_an_open_circuit_of_sends_nobody_is_told(
        self, wired: WiredReceipts, side: GraphReceiptsSide
    ) -> None:
        wamid = await side.a_message()
        wired.breakers.trip("whatsapp")
        with pytest.raises(CircuitOpen):
            await wired.receipts.mark_read(a_channel(side.phone_number_id), wamid)
        assert await side.told() == []

    @pytest.mark.parametrize("outcome", OUTCOMES)
    async def test_no_failure_of_theirs_stops_sends(
        self, wired: WiredReceipts, side: GraphReceiptsSide, outcome: str
    ) -> None:
        wamid = await side.a_message()
        for _ in range(3):
            await side.will(outcome)
            with pytest.raises(InboxError):
                await wired.receipts.mark_read(a_channel(side.phone_number_id), wamid)
        assert wired.breakers.inspect()["whatsapp"].failure_count == 0

    async def test_the_deadline_is_kept(self, graph_url: str, side: GraphReceiptsSide) -> None:
        wired = WiredReceipts(graph_url, Policy(total=0.1, attempt=0.1))
        wamid = await side.a_message()
        await side.will("silence")
        with pytest.raises(WhatsAppTimeout):
            await wired.receipts.mark_read(a_channel(side.phone_number_id), wamid)
        await wired.api.aclose()

    async def test_without_a_connection_it_is_unavailable(self) -> None:
        wired = WiredReceipts("http://127.0.0.1:9")
        with pytest.raises(WhatsAppUnavailable):
            await wired.receipts.mark_read(a_channel("1"), "wamid.A")
        await wired.api.aclose()


def test_the_bodies_are_those_of_meta() -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}
    assert body_of("wamid.A", typing=False) == read
    assert body_of("wamid.A", typing=True) == {**read, "typing_indicator": {"type": "text"}}
