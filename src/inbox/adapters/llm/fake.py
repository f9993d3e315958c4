"""An assistant without a model: answers by script, else by a rule that a reader can follow."""

from collections import deque
from typing import Any, Final, TypeVar

import msgspec

from inbox.adapters.llm.answering import ended, may_cost
from inbox.adapters.llm.quoting import essence
from inbox.domain.errors import CircuitOpen, InboxError, Overloaded
from inbox.domain.model_usage import Prices, Usage
from inbox.domain.upstream_errors import ModelSilent
from inbox.ports.llm import Answer, Meter, Prompt

T = TypeVar("T", bound=msgspec.Struct)

_OUTPUT: Final = 2_048


class FakeAssistant:
    """Replies to the customer's last words; asks for a person when the customer does."""

    def __init__(self, *, prices: Prices | None = None, reads: tuple[str, ...] = ("image/", "audio/")) -> None:
        """`prices` for the model `fake`; `reads` are beginnings of the types of files that it takes."""
        self.prompts: deque[Prompt] = deque(maxlen=1_000)
        self._script: deque[object | InboxError] = deque(maxlen=1_000)
        self._prices = prices or Prices()
        self._reads = reads

    def then(self, *answers: object | InboxError) -> None:
        """The next answers, as plain values of the schema, or errors to raise."""
        self._script.extend(answers)

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        """One try. Errors of the script mean what they mean of a vendor: some of them may be billed."""
        usage = Usage(input=len(prompt.system) // 4, output=8)
        cost = self._prices.cost(usage, "fake")
        scripted = self._script.popleft() if self._script else _fitted(self._by_rule(prompt), schema)
        if meter is not None and not isinstance(scripted, CircuitOpen | Overloaded):
            await meter.begins("fake", _OUTPUT)
        self.prompts.append(prompt)
        if isinstance(scripted, InboxError):
            _tell(meter, scripted)
        elif meter is not None:
            meter.used(usage, "fake")
        await ended(meter)
        if isinstance(scripted, InboxError):
            raise scripted
        try:
            value = msgspec.convert(scripted, schema)
        except msgspec.ValidationError as error:
            raise ModelSilent("malformed", usage=usage, cost=cost) from error
        return Answer(value=value, model=prompt.tuning.model or "fake", usage=usage, cost=cost)

    def reads(self, mime_type: str) -> bool:
        return essence(mime_type).startswith(self._reads)

    async def knows(self, model: str) -> bool | None:  # noqa: ARG002
        return True

    async def probe(self) -> bool:
        return True

    def _by_rule(self, prompt: Prompt) -> dict[str, Any]:
        last = prompt.history[-1].text if prompt.history else ""
        wants_person = any(word in last.casefold() for word in ("humain", "conseiller", "human"))
        return {
            "confidence": 0.9,
            "action": "handoff" if wants_person else "reply",
            "handoff_reason": "customer_asked_human" if wants_person else "none",
            "reply": "" if wants_person else f"Vous avez écrit : {last}",
            "text": f"Vous avez écrit : {last}",
        }


def _tell(meter: Meter | None, error: InboxError) -> None:
    if meter is None:
        return
    if isinstance(error, ModelSilent):
        meter.used(error.usage, "fake")
    elif not may_cost(error):
        meter.unheard()


def _fitted(values: dict[str, Any], schema: type[msgspec.Struct]) -> dict[str, Any]:
    """Of the values those that the schema has; what else it needs is as little as its type allows."""
    fields = msgspec.structs.fields(schema)
    needed = {field.encode_name: _least(msgspec.inspect.type_info(field.type)) for field in fields if field.required}
    named = {field.encode_name for field in fields}
    return needed | {name: value for name, value in values.items() if name in named}


def _least(kind: msgspec.inspect.Type) -> object:
    match kind:
        case msgspec.inspect.StrType():
            return ""
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return 0
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            return []
        case msgspec.inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case msgspec.inspect.LiteralType(values=values):
            return values[0]
        case _:
            return False if isinstance(kind, msgspec.inspect.BoolType) else None
