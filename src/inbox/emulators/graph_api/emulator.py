"""The parts of one running emulator and how an accepted message passes through them."""

import asyncio

from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.objects import Callback, Send, Template, TemplateState
from inbox.emulators.graph_api.outgoing import Outgoing
from inbox.emulators.graph_api.payloads import Item
from inbox.emulators.graph_api.rates import Rates
from inbox.emulators.graph_api.resumable import Uploads
from inbox.emulators.graph_api.sending import link_of
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.statuses import Statuses
from inbox.emulators.graph_api.webhooks import Dispatcher

HANDSHAKE_FAILED = 2200
MEDIA_UNREACHABLE = 131053


class Emulator:
    def __init__(self, config: GraphApiConfig) -> None:
        self.world = World(config)
        self.outgoing = Outgoing()
        self.dispatcher = Dispatcher(self.world, self.outgoing)
        self.statuses = Statuses(self.world, self.dispatcher)
        self.rates = Rates(self.world)
        self.uploads = Uploads(self.world)
        self._reviews: set[asyncio.TimerHandle] = set()

    async def start(self) -> None:
        await self.outgoing.start()

    async def stop(self) -> None:
        self._cancel_reviews()
        self.statuses.reset()
        await self.dispatcher.stop()
        await self.outgoing.stop()
        self.world.ledger.close()

    def reset(self) -> None:
        """As just started; connections and attempts under way go on but leave no trace."""
        self._cancel_reviews()
        self.statuses.reset()
        self.dispatcher.reset()
        self.rates.reset()
        self.world.reset()
        self.uploads.reset()

    @property
    def is_full(self) -> bool:
        return self.dispatcher.pending + self.statuses.waiting >= self.world.config.max_pending

    async def follow_up(self, send: Send) -> None:
        """Start the statuses of an accepted message, the first one before the answer if so configured."""
        link = link_of(send)
        if link is not None and not send.failed_code and not await self.outgoing.fetch(link):
            send.failed_code = MEDIA_UNREACHABLE
        early = self.world.behaviour.status_before_response and not send.failed_code
        if early:
            await self.statuses.send_first(send)
        self.statuses.begin(send, first_is_out=early)

    async def handshake(self, url: str, verify_token: str) -> Callback:
        """Raises GraphError 2200 if the callback does not give the challenge back (facts 1.1)."""
        problem = await self.outgoing.challenge(url, verify_token, self.world.ids.challenge())
        self.world.ledger.add("handshake", url=url, ok=not problem, problem=problem)
        if problem:
            raise GraphError(
                HANDSHAKE_FAILED,
                message="(#2200) Callback verification failed with the following errors: "
                f"curl_errno = 0; curl_error = ; {problem}",
            )
        return Callback(url, verify_token)

    def review(self, template: Template) -> None:
        """Approve a template after the review's delay, and tell the app."""
        delay = self.world.ids.draw(self.world.behaviour.template_review_delay)

        def approve() -> None:
            self._reviews.discard(handle)
            if self.world.templates.get(template.id) is template and template.status is TemplateState.PENDING:
                self.decide(template, TemplateState.APPROVED)

        handle = asyncio.get_running_loop().call_later(delay, approve)
        self._reviews.add(handle)

    def decide(self, template: Template, state: TemplateState, reason: str = "NONE") -> None:
        """Set a template's state and emit `message_template_status_update` (facts 2.6)."""
        template.status = state
        template.rejected_reason = reason
        self.dispatcher.emit(
            Item(
                waba_id=template.waba_id,
                number=None,
                field="message_template_status_update",
                body={
                    "event": state.value,
                    "message_template_id": int(template.id),
                    "message_template_name": template.name,
                    "message_template_language": template.language,
                    "reason": reason,
                    "message_template_category": template.category,
                },
                id=template.id,
                label=state.value,
            )
        )

    def _cancel_reviews(self) -> None:
        for handle in self._reviews:
            handle.cancel()
        self._reviews.clear()
