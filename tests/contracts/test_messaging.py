"""What every sender keeps: one attempt, nothing before the fence, and an outcome class that never lies."""

import pytest

from inbox.domain.contacts import Address
from inbox.domain.content import Media, MediaKind
from inbox.domain.errors import DatabaseUnavailable, InboxError
from inbox.domain.upstream_errors import (
    AccountProblem,
    FenceRefused,
    NothingSent,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from inbox.ports.messaging import Accepted

from .sending import Passing, Sending, StartSender
from .whatsapp_side import BSUID, CUSTOMER, TOKEN, FakeSide, GraphSide, OtherSide


class SenderCases:
    async def test_an_accepted_message_has_the_wamid_of_the_other_side(self, send: Sending, side: OtherSide) -> None:
        accepted = await send("Vos cerises sont là 🍒")
        (message,) = await side.arrived()
        assert accepted == Accepted(wamid=message.wamid)
        assert (message.to, message.text, message.op) == (CUSTOMER, "Vos cerises sont là 🍒", str(send.op))
        assert message.reply_to is None

    async def test_each_message_has_a_wamid_of_its_own(self, send: Sending, side: OtherSide) -> None:
        wamids = [(await send(f"{number}")).wamid for number in range(3)]
        assert len(set(wamids)) == 3
        assert [message.wamid for message in await side.arrived()] == wamids

    async def test_a_customer_without_a_phone_is_reached_by_the_bsuid(self, send: Sending, side: OtherSide) -> None:
        await send(to=Address(bsuid=BSUID))
        assert [message.to for message in await side.arrived()] == [BSUID]

    async def test_the_phone_goes_first_where_both_are_known(self, send: Sending, side: OtherSide) -> None:
        await send(to=Address(wa_id=CUSTOMER, bsuid=BSUID))
        assert [message.to for message in await side.arrived()] == [CUSTOMER]

    async def test_a_reply_names_the_message_that_it_answers(self, send: Sending, side: OtherSide) -> None:
        first = await send()
        await send("Et voilà", reply_to=first.wamid)
        assert [message.reply_to for message in await side.arrived()] == [None, first.wamid]

    async def test_the_fence_runs_once_for_each_send(self, send: Sending) -> None:
        await send()
        await send()
        assert send.fence.runs == 2

    @pytest.mark.parametrize("refusal", [FenceRefused(), DatabaseUnavailable()], ids=lambda r: type(r).__name__)
    async def test_behind_a_fence_that_refuses_nothing_is_sent(
        self, send: Sending, side: OtherSide, refusal: InboxError
    ) -> None:
        with pytest.raises(type(refusal)) as caught:
            await send(fence=Passing(refusal))
        assert caught.value is refusal
        assert await side.arrived() == []
        assert (await send()).wamid  # and the next message goes its way

    @pytest.mark.parametrize(
        ("outcome", "error", "has_arrived"),
        [
            ("N", NothingSent, False),
            ("R", TryLater, False),
            ("P", AccountProblem, False),
            ("F", Refused, False),
            ("U lost", OutcomeUnknown, False),
            ("U taken", OutcomeUnknown, True),
        ],
    )
    async def test_each_outcome_has_its_class_and_is_never_repeated(
        self, send: Sending, side: OtherSide, outcome: str, error: type[InboxError], *, has_arrived: bool
    ) -> None:
        await side.will(outcome)
        with pytest.raises(error) as caught:
            await send()
        assert type(caught.value) is error
        assert len(await side.arrived()) == has_arrived
        assert send.fence.runs == 1
        assert (await send()).wamid

    async def test_accepted_without_a_readable_answer_is_accepted(self, send: Sending, side: OtherSide) -> None:
        await side.will("A-")
        assert await send() == Accepted(wamid=None)
        assert len(await side.arrived()) == 1
        assert (await send()).wamid

    @pytest.mark.parametrize(("number", "token"), [("", TOKEN), ("1", None), ("1", "")])
    async def test_an_account_that_is_not_set_up_sends_nothing(
        self, send: Sending, side: OtherSide, number: str, token: str | None
    ) -> None:
        unusable = Sending(send.sender, number, token)
        with pytest.raises(AccountProblem):
            await unusable()
        assert unusable.fence.runs == 0
        assert await side.arrived() == []

    async def test_a_kind_that_cannot_be_sent_is_refused_before_the_fence(self, send: Sending, side: OtherSide) -> None:
        picture = Media(kind=MediaKind.IMAGE, media_id="70")
        with pytest.raises(Refused):
            await send.sender.send(send.channel, Address(wa_id=CUSTOMER), picture, op=send.op, fence=send.fence)
        assert send.fence.runs == 0
        assert await side.arrived() == []


class TestFakeSender(SenderCases):
    @pytest.fixture
    def side(self) -> FakeSide:
        return FakeSide()

    @pytest.fixture
    def send(self, side: FakeSide) -> Sending:
        return Sending(side.sender, side.phone_number_id)

    async def test_plans_are_followed_in_order(self, send: Sending, side: FakeSide) -> None:
        side.sender.fail_next(OutcomeUnknown(), accepted=True)
        side.sender.fail_next(NothingSent())
        with pytest.raises(OutcomeUnknown):
            await send()
        with pytest.raises(NothingSent):
            await send()
        assert len(side.sender.to(Address(wa_id=CUSTOMER))) == 1


class TestCloudApiSender(SenderCases):
    """Over real HTTP; what only this sender can get wrong is in `test_messaging_cloud_api.py`."""

    @pytest.fixture
    def side(self, graph: GraphSide) -> GraphSide:
        return graph

    @pytest.fixture
    def send(self, graph: GraphSide, start_sender: StartSender) -> Sending:
        return Sending(start_sender().sender, graph.phone_number_id)
