"""Faults on demand: rules that an emulator consults for each request, and for each delivery it makes itself."""

import re
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec

MAX_RULES: Final = 1_000
WEBHOOK: Final = "webhook"


class Action(StrEnum):
    """What goes wrong. `delay` of a rule comes before any of them; `DELAY` itself only waits and then goes on."""

    DELAY = "delay"
    HTTP_ERROR = "http_error"  # refuse with `status` and `code`, or with `body` as it stands
    HANG = "hang"  # no answer until the caller gives up; nothing is stored
    RESET_BEFORE_ACCEPT = "reset_before_accept"  # nothing is stored, the connection is aborted without a byte
    RESET_AFTER_ACCEPT = "reset_after_accept"  # stored, then the connection is aborted without a byte
    HTML_502 = "html_502"  # a gateway's page instead of JSON; nothing is stored
    TRUNCATED_JSON = "truncated_json"  # stored, but the answer's JSON breaks off in the middle
    FAILED_STATUS = "failed_status"  # accepted with 200, later reported as failed with `code`
    DROP_WEBHOOK = "drop_webhook"  # a webhook attempt is not made and counts as failed; concerns webhooks only
    DRIP = "drip"  # the answer trickles out; only where an emulator streams
    GARBAGE = "garbage"  # 200 with bytes that are not the promised format


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule can look at. An empty string means that the fact does not apply."""

    kind: str  # as in the ledger: send, media, webhook, generate, ...
    method: str = ""
    path: str = ""  # without the query
    to: str = ""  # recipient's digits, model name, e-mail: whom the request concerns
    type: str = ""  # message type, status, grant type: what the request is


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When (all named facts must fit; None fits everything) and what, as it comes in over a control API."""

    action: Action
    name: str = ""
    # when
    kind: str | None = None
    method: str | None = None  # in upper case
    path: str | None = None  # regular expression, found anywhere in the path
    to: str | None = None
    type: str | None = None
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0  # let so many fitting requests pass first
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None  # strike so many times; None = for ever
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    # what
    delay: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0  # seconds
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 500
    code: int | None = None  # the API's own error code
    body: Any = None  # any JSON value to answer with; held as msgspec.Raw, ready to be written
    headers: dict[str, str] = {}
    options: dict[str, Any] = {}  # what only one emulator understands

    def __post_init__(self) -> None:
        # msgspec cannot decode `Raw | None`, so the value is turned into Raw here.
        if self.body is not None and not isinstance(self.body, msgspec.Raw):
            msgspec.structs.force_setattr(self, "body", msgspec.Raw(msgspec.json.encode(self.body)))


class ArmedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and what became of it: `seen` fitting requests, `struck` of them hit."""

    serial: int
    rule: FaultRule
    seen: int
    struck: int


class _Counters(msgspec.Struct):
    serial: int
    rule: FaultRule
    path: re.Pattern[str] | None
    seen: int = 0
    struck: int = 0


class Faults:
    """The rules in the order they were added; the first that fits and is not used up strikes.

    Whether a rule with a probability strikes depends on the seed, the rule's serial and how many requests fitted it
    before, and on nothing else: other traffic does not change it.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._rules: list[_Counters] = []
        self._serial = 0

    def add(self, rule: FaultRule) -> int:
        """Arm a rule; returns its serial. Raises ValueError for a bad path pattern or more than MAX_RULES rules."""
        if len(self._rules) >= MAX_RULES:
            raise ValueError(f"at most {MAX_RULES} fault rules")
        try:
            pattern = None if rule.path is None else re.compile(rule.path)
        except re.error as error:
            raise ValueError(f"path is not a regular expression: {error}") from error
        self._serial += 1
        self._rules.append(_Counters(self._serial, rule, pattern))
        return self._serial

    def clear(self, name: str | None = None) -> int:
        """Disarm all rules, or those of one name; returns how many."""
        kept = [] if name is None else [armed for armed in self._rules if armed.rule.name != name]
        removed = len(self._rules) - len(kept)
        self._rules = kept
        return removed

    def list(self) -> list[ArmedRule]:
        return [
            ArmedRule(serial=armed.serial, rule=armed.rule, seen=armed.seen, struck=armed.struck)
            for armed in self._rules
        ]

    def pick(self, facts: RequestFacts) -> FaultRule | None:
        """The rule that strikes this request, counted as struck; None if all is well."""
        if not self._rules:
            return None
        for armed in self._rules:
            if _fits(armed, facts) and self._strikes(armed):
                return armed.rule
        return None

    def _strikes(self, armed: _Counters) -> bool:
        rule = armed.rule
        if rule.count is not None and armed.struck >= rule.count:
            return False
        armed.seen += 1
        if armed.seen <= rule.skip:
            return False
        if rule.probability < 1 and self._draw(armed) >= rule.probability:
            return False
        armed.struck += 1
        return True

    def _draw(self, armed: _Counters) -> float:
        digest = blake2b(f"{self._seed}/{armed.serial}/{armed.seen}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _fits(armed: _Counters, facts: RequestFacts) -> bool:
    rule = armed.rule
    if (rule.action is Action.DROP_WEBHOOK) is not (facts.kind == WEBHOOK):
        return False
    pairs = ((rule.kind, facts.kind), (rule.method, facts.method), (rule.to, facts.to), (rule.type, facts.type))
    if any(wanted is not None and wanted != fact for wanted, fact in pairs):
        return False
    return armed.path is None or armed.path.search(facts.path) is not None
