"""One scripted conversation, each step seen from outside: over REST, and in the emulator's own books."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from inbox.domain import bot
from inbox.kit.http import CallFailed
from inbox.main.demo.client import Browser, Refused
from inbox.main.demo.world import World

PHONE: Final = "33639980142"
QUESTION: Final = "Bonjour, faites-vous les vélos électriques ?"
PLEA: Final = "Merci. Je voudrais parler à un humain, s'il vous plaît."
ANSWER: Final = "Bonjour, ici Léa de l'atelier. Je vous appelle dans cinq minutes."
_WITHIN: Final = 8.0
_LOOK_EVERY: Final = 0.05


Act: TypeAlias = Callable[[], Awaitable[None]]
"""Does something, or looks for something and raises `Missing`."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `why` says what was missing, on failure."""

    name: str
    ok: bool
    ms: int
    why: str = ""


class Missing(Exception):
    """What a step waits for is not to be seen (yet)."""


class Scenario:
    """Plays and watches. Stops at the first step that fails."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._account = world.accounts[0]
        self._agent = Browser("agent", world.url)
        self._conversation = ""

    async def play(self, show: Callable[[Step], None]) -> list[Step]:
        """All steps, or those up to the failed one."""
        script: list[tuple[str, Act | None, Act | None]] = [
            ("agent signs in", self._sign_in, None),
            ("customer writes for the first time", self._say("Bonjour"), None),
            ("message is stored and shown", None, self._shown("Bonjour")),
            ("agent switches the bot on", self._switch_bot_on, None),
            ("customer asks", self._say(QUESTION), self._shown(QUESTION)),
            ("bot answers", None, self._bot_answered),
            ("bot's answer is delivered and read", None, self._bot_answer_read),
            ("customer asks for a human", self._say(PLEA), self._shown(PLEA)),
            ("bot hands over", None, self._handed_over),
            ("agent answers through REST", self._agent_answers, None),
            ("agent's answer is delivered", None, self._agent_answer("delivered")),
            ("agent's answer is read", None, self._agent_answer("read")),
            ("nothing was sent twice, every webhook was taken", None, self._books_agree),
        ]
        steps = []
        try:
            for name, act, look in script:
                step = await _timed(name, act, look)
                show(step)
                steps.append(step)
                if not step.ok:
                    break
        finally:
            await self._agent.aclose()
        return steps

    # --- the customer, through the emulator ---------------------------------------------------------------------------

    def _say(self, text: str) -> Act:
        told = {"phone_number_id": self._account.phone_number_id, "from": PHONE, "name": "Marc D.", "text": text}

        async def act() -> None:
            await self._world.graph.post("/_emu/inbound", told)

        return act

    # --- the agent, through REST --------------------------------------------------------------------------------------

    async def _sign_in(self) -> None:
        login = self._world.login("manager")
        await self._agent.sign_in(login.email, login.password)
        accounts = await self._agent.get("/accounts")
        _expect([item["id"] for item in accounts] == [str(self._account.id)], "the agent sees exactly one account")

    async def _switch_bot_on(self) -> None:
        answer = await self._agent.post(f"/conversations/{self._conversation}/bot", {"enabled": True})
        _expect(answer["conversation"]["bot_enabled"] is True, "the switch is on")

    async def _agent_answers(self) -> None:
        body = {"conversation_id": self._conversation, "content": ANSWER, "client_id": "demo-1"}
        answer = await self._agent.post("/messages/send", body)
        again = await self._agent.post("/messages/send", body)
        _expect(answer["status"] == "sent" and bool(answer["message_id"]), "WhatsApp took the message")
        _expect(again["id"] == answer["id"], "the same key gives the same message")

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _shown(self, text: str) -> Act:
        async def look() -> None:
            rows = await self._agent.get("/conversations", account_id=str(self._account.id))
            mine = [row["id"] for row in rows if row["client_number"] == PHONE]
            _expect(len(mine) == 1, "the conversation is in the list")
            self._conversation = mine[0]
            texts = [m["content_text"] for m in await self._messages() if m["direction"] == "inbound"]
            _expect(text in texts, "the customer's message is in the conversation")

        return look

    async def _bot_answered(self) -> None:
        answer = await self._newest("bot")
        _expect(answer["status"] in ("sent", "delivered", "read"), "WhatsApp took the bot's answer")
        _expect(answer["content_text"] in await self._sent_texts(), "the emulator got the bot's answer")

    async def _bot_answer_read(self) -> None:
        _expect((await self._newest("bot"))["status"] == "read", "the bot's answer is read")

    async def _handed_over(self) -> None:
        rows = await self._agent.get("/conversations", account_id=str(self._account.id))
        mine = next(row for row in rows if row["id"] == self._conversation)
        _expect(mine["bot_enabled"] is False, "the bot is off")
        _expect(mine["handover_reason"] == "customer_asked_human", "the reason is visible")
        _expect(bot.FALLBACK in await self._sent_texts(), "the customer was told that a person will come")

    def _agent_answer(self, status: str) -> Act:
        order = ("pending", "sent", "delivered", "read")

        async def look() -> None:
            seen = (await self._newest("human"))["status"]
            _expect(seen in order and order.index(seen) >= order.index(status), f"the answer is {status}")

        return look

    async def _books_agree(self) -> None:
        sends = await self._sends()
        messages = [m for m in await self._messages() if m["direction"] == "outbound"]
        ops = [send["op"] for send in sends]
        _expect(len(ops) == len(set(ops)) == len(messages), "the emulator got each message once")
        state = await self._world.graph.get("/_emu/state")
        _expect(state["pending_events"] == 0, "no webhook is waiting to be taken")

    async def _messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._agent.get(f"/messages/{self._conversation}")
        return found

    async def _newest(self, actor: str) -> dict[str, Any]:
        mine = [m for m in await self._messages() if m["actor"] == actor]
        _expect(bool(mine), f"there is a message by {actor}")
        return mine[-1]

    async def _sends(self) -> list[dict[str, Any]]:
        found = await self._world.graph.get("/_emu/sends", to=PHONE)
        sends: list[dict[str, Any]] = found["sends"]
        return sends

    async def _sent_texts(self) -> list[str]:
        return [send["message"]["text"]["body"] for send in await self._sends()]


def _expect(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise Missing(f"not seen: {what}")


async def _timed(name: str, act: Act | None, look: Act | None) -> Step:
    """Does it once, then looks until it is there."""
    begun = time.monotonic()
    try:
        if act is not None:
            await act()
        if look is not None:
            await _until(look)
    except (Missing, Refused, CallFailed) as error:
        return Step(name=name, ok=False, ms=_since(begun), why=str(error))
    return Step(name=name, ok=True, ms=_since(begun))


async def _until(look: Act) -> None:
    """Looks until it is there. Raises `Missing` with the last reason after some seconds."""
    give_up_at = time.monotonic() + _WITHIN
    while True:
        try:
            return await look()
        except Missing:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(_LOOK_EVERY)


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
