"""An assistant without a model: answers by script, else by a rule that a reader can follow."""

from collections import deque
from typing import TypeVar

import msgspec

from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelSilent
from inbox.ports.llm import Answer, Prompt, Usage

T = TypeVar("T", bound=msgspec.Struct)


class FakeAssistant:
    """Replies to the customer's last words; asks for a person when the customer does."""

    def __init__(self) -> None:
        self.prompts: deque[Prompt] = deque(maxlen=1_000)
        self._script: deque[object | InboxError] = deque(maxlen=1_000)

    def then(self, *answers: object | InboxError) -> None:
        """The next answers, as plain values of the schema, or errors to raise."""
        self._script.extend(answers)

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        self.prompts.append(prompt)
        scripted = self._script.popleft() if self._script else self._by_rule(prompt)
        if isinstance(scripted, InboxError):
            raise scripted
        try:
            value = msgspec.convert(scripted, schema)
        except msgspec.ValidationError as error:
            raise ModelSilent("malformed") from error
        return Answer(value=value, model="fake", usage=Usage(input=len(prompt.system) // 4, output=8))

    async def probe(self) -> bool:
        return True

    def _by_rule(self, prompt: Prompt) -> dict[str, object]:
        last = prompt.history[-1].text if prompt.history else ""
        wants_person = any(word in last.casefold() for word in ("humain", "conseiller", "human"))
        return {
            "confidence": 0.9,
            "action": "handoff" if wants_person else "reply",
            "handoff_reason": "customer_asked_human" if wants_person else "none",
            "reply": "" if wants_person else f"Vous avez écrit : {last}",
        }
