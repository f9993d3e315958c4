"""What becomes of an accepted message: sent, delivered, read, played or failed, each after its delay (facts 10.3)."""

import asyncio
from collections import deque

from inbox.emulators.graph_api.objects import Persona, Send
from inbox.emulators.graph_api.payloads import status_item
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.webhooks import Dispatcher

MAX_HELD_PER_PERSON = 1_000


class Statuses:
    """`waiting` counts messages whose next status is still to come."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self.reset()

    def reset(self) -> None:
        self._generation = object()
        self._held: dict[str, deque[Send]] = {}
        self.waiting = 0

    def begin(self, send: Send, *, first_is_out: bool = False) -> None:
        """Plan the message's first status; `first_is_out` if `sent` was already delivered."""
        if not self._world.behaviour.auto_statuses:
            return
        if first_is_out:
            self._next(send, "sent")
        elif send.failed_code:
            self._plan(send, "failed")
        else:
            self._plan(send, "sent")

    async def send_first(self, send: Send) -> None:
        """Deliver `sent` now and return after the attempt, so that it comes before the answer to the call."""
        send.status = "sent"
        await self._dispatcher.emit_and_wait(status_item(self._world, send, "sent"))

    def emit(self, send: Send, status: str, *, code: int = 0, at: float | None = None) -> None:
        """Emit one status by hand, whatever came before it."""
        send.status = status
        if status == "failed":
            send.failed_code = code
        self._dispatcher.emit(status_item(self._world, send, status, code=code, at=at))

    def back_online(self, persona: Persona) -> None:
        """Deliver what waited for someone who was offline."""
        for send in self._held.pop(persona.key, ()):
            self._plan(send, "delivered")

    @property
    def held(self) -> int:
        return sum(len(sends) for sends in self._held.values())

    def _plan(self, send: Send, status: str) -> None:
        behaviour = self._world.behaviour
        span = {
            "sent": behaviour.sent_delay,
            "delivered": behaviour.delivered_delay,
            "failed": behaviour.failed_delay,
        }.get(status, behaviour.read_delay)
        self.waiting += 1
        delay = self._world.ids.draw(span)
        asyncio.get_running_loop().call_later(delay, self._fire, send, status, self._generation)

    def _fire(self, send: Send, status: str, generation: object) -> None:
        if generation is not self._generation:
            return
        self.waiting -= 1
        self.emit(send, status, code=send.failed_code)
        self._next(send, status)

    def _next(self, send: Send, status: str) -> None:
        persona = self._world.persona(send.to or send.user_id)
        if status == "sent":
            self._after_sent(send, persona)
        elif status == "delivered" and persona.receipts and persona.reads:
            self._plan(send, "read")
        elif status == "read" and send.type == "audio" and send.message.get("audio", {}).get("voice"):
            self._plan(send, "played")

    def _after_sent(self, send: Send, persona: Persona) -> None:
        """Facts 2.5 and 3.6: reactions stop at `sent`, and so does what never reaches a phone."""
        if send.type == "reaction" or send.is_group or persona.blocks_business:
            return
        if not persona.offline:
            self._plan(send, "delivered")
            return
        self._held.setdefault(persona.key, deque(maxlen=MAX_HELD_PER_PERSON)).append(send)
