"""A number in trouble slows itself down and nobody else; WhatsApp in trouble is noticed as before."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from builders import a_queued_message, an_account, execute
from contracts.sending import WiredSender
from contracts.trust import certificates
from contracts.whatsapp_side import TOKEN, GraphSide
from inbox.domain.accounts import Channel
from inbox.domain.work import WorkKind
from inbox.emulators.graph_api.app import create_app
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig
from inbox.emulators.serving import serve
from inbox.entrypoints.worker import Worker
from inbox.kit.http import ApiClient, Timeouts
from inbox.ports.monitoring import CircuitState
from worker.house import QUICK, House, running

MESSAGES: Final = 20
AT_ONCE: Final = QUICK.sends


class World:
    """A worker whose WhatsApp is the emulator, over HTTP, behind its circuit."""

    def __init__(self, house: House, graph: GraphSide, wired: WiredSender) -> None:
        self.house = house
        self.graph = graph
        self._wired = wired

    async def number(self) -> Channel:
        """An account whose number WhatsApp knows, with messages that wait, each for another customer."""
        waba = await self.graph.call("POST", "/wabas", {"numbers": [{"phone": "33190000000"}]})
        number: str = waba["numbers"][0]["id"]
        account = await an_account(self.house.engine, phone_number_id=number, access_token=TOKEN)
        for _ in range(MESSAGES):
            conversation, _ = await self.house.a_talk(account, bot_enabled=False)
            await a_queued_message(self.house.engine, account.account_id, conversation)
        return account

    async def answers(self, account: Channel | None, **rule: object) -> None:
        """From now on sends of this number, or of all, are answered so."""
        path = None if account is None else f"/{account.phone_number_id}/"
        await self.graph.arm(path=path, count=None, **rule)

    async def struck(self) -> int:
        (rule,) = await self.graph.call("GET", "/faults")
        return int(rule["struck"])

    def worker(self) -> Worker:
        self.house.sender = self._wired.sender  # type: ignore[assignment]
        gates = {WorkKind.SEND: self._wired.breakers.gate("whatsapp")}
        return self.house.worker(msgspec.structs.replace(QUICK, gates=gates))

    def circuit(self) -> CircuitState:
        return self._wired.breakers.inspect()["whatsapp"]

    async def states(self, account: Channel) -> dict[str, int]:
        rows = await execute(
            self.house.engine,
            "select state, count(*) as count from outbox where account_id = :id group by state",
            id=account.account_id,
        )
        return {row.state: row.count for row in rows}

    async def lanes(self, account: Channel) -> Any:  # noqa: ANN401 - a row
        (row,) = await execute(
            self.house.engine,
            "select sum(fence) as claims, sum(retries) as retries from lanes where account_id = :id",
            id=account.account_id,
        )
        return row


@pytest.fixture
async def world(database, engine, signals, clock) -> AsyncIterator[World]:
    quiet = Behaviour(latency=(0, 0), auto_statuses=False, check_window=False)
    async with serve(create_app(GraphApiConfig(access_token=TOKEN, behaviour=quiet))) as served:
        control = ApiClient("control", served.url, tls=certificates())
        wired = WiredSender(served.url, timeouts=Timeouts(), connections=2 * AT_ONCE)
        yield World(House(database, engine, signals, clock), GraphSide(control), wired)
        await wired.api.aclose()
        await control.aclose()


@pytest.mark.parametrize(
    ("status", "code", "others"), [(400, 131057, "queued"), (500, 131000, "unknown"), (500, 1, "unknown")]
)
async def test_a_number_in_trouble_lets_the_messages_of_others_leave_at_their_first_try(
    world: World, status: int, code: int, others: str
) -> None:
    ill = await world.number()
    await world.answers(ill, action="http_error", status=status, code=code)
    async with running(world.worker()):
        await world.house.until_true(lambda: world.house.done("send", others) >= 3)
        well = await world.number()
        await world.house.until_done("send", "accepted", MESSAGES)
    assert (await world.states(well), tuple(await world.lanes(well))) == ({"accepted": MESSAGES}, (MESSAGES, 0))
    circuit = world.circuit()
    assert (circuit.state, circuit.failure_count, circuit.rejected_count) == ("closed", 0, 0)
    found = await world.states(ill)
    assert found.keys() <= {"queued", others}
    # What was under way with the third failure, and a trial if the machine is slow.
    assert await world.struck() <= 3 + AT_ONCE
    assert found["queued"] >= MESSAGES - 3 - AT_ONCE


async def test_a_gateway_without_whatsapp_behind_it_opens_the_circuit_for_all(world: World) -> None:
    one, other = await world.number(), await world.number()
    await world.answers(None, action="html_502")
    async with running(world.worker()):
        await world.house.until_true(lambda: world.circuit().state == "open")
    assert await world.struck() <= 3 + AT_ONCE
    for account in (one, other):
        assert (await world.states(account)).get("queued", 0) >= MESSAGES - 3 - AT_ONCE
    assert not await execute(world.house.engine, "select 1 from number_paces where free_at > now() + interval '1 s'")


async def test_errors_that_several_numbers_get_in_a_row_open_the_circuit_for_all(world: World) -> None:
    for _ in range(4):
        await world.number()
    await world.answers(None, action="http_error", status=500, code=131000)
    async with running(world.worker()):
        await world.house.until_true(lambda: world.circuit().state == "open")
    assert await world.struck() <= 2 * AT_ONCE
