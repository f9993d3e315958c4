"""Transcripts with what is expected of the assistant, and how far it came up to that."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from inbox.domain.bot_profile import Profile
from inbox.domain.conversations import HandoverReason
from inbox.domain.knowledge import Passage


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer writes, one text for each turn, and what is expected of all answers together.

    Of each of `expect` one wording has to be said, of `forbid` none. `handover` says whether a person has to go on in
    the end. `knowledge` are the passages that the knowledge base has.
    """

    name: str
    profile: Profile
    customer: tuple[str, ...]
    knowledge: tuple[Passage, ...] = ()
    contact_name: str | None = None
    expect: tuple[tuple[str, ...], ...] = ()
    forbid: tuple[str, ...] = ()
    handover: bool = False


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One turn: what the customer was told, if anything, why a person goes on, and what it took.

    `cost` in micro-units, None without a price; `seconds` are those of the model.
    """

    reply: str | None
    handover: HandoverReason | None
    reason: str | None
    seconds: float
    cost: int | None = None
    model: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`score` is the share of what was expected that came, and 0 if anything came that must not. `faults` say why."""

    name: str
    score: float
    faults: tuple[str, ...]
    turns: tuple[Answered, ...]

    @property
    def cost(self) -> int | None:
        """Of all turns, in micro-units; None if that of one that was answered is not known."""
        asked = [turn.cost for turn in self.turns if turn.model is not None]
        known = [cost for cost in asked if cost is not None]
        return sum(known) if len(known) == len(asked) else None

    @property
    def slowest(self) -> float:
        """Seconds of the slowest turn."""
        return max((turn.seconds for turn in self.turns), default=0.0)


def scored(transcript: Transcript, turns: Sequence[Answered]) -> Result:
    """A forbidden fact, or the wrong decision about a person, is not made good by what else was right."""
    said = _plain(" \n ".join(turn.reply or "" for turn in turns))
    missing = [f"missing: {' | '.join(one)}" for one in transcript.expect if not any(_says(said, fact) for fact in one)]
    wrong = [*(f"forbidden: {fact}" for fact in transcript.forbid if _says(said, fact)), *_wrongs(transcript, turns)]
    score = 0.0 if wrong else 1.0 - len(missing) / max(1, len(transcript.expect))
    return Result(name=transcript.name, score=score, faults=(*wrong, *missing), turns=tuple(turns))


def _wrongs(transcript: Transcript, turns: Sequence[Answered]) -> Iterator[str]:
    last = turns[-1] if turns else None
    is_handed_over = last is not None and last.handover is not None
    if is_handed_over and not transcript.handover and last is not None:
        yield f"handed over: {last.handover} ({last.reason})"
    if transcript.handover and not is_handed_over:
        yield "not handed over"


def _says(said: str, fact: str) -> bool:
    """As whole words, whatever the case, accents and spaces: `15 €` is not in `115 €`."""
    return re.search(rf"(?<!\w){re.escape(_plain(fact))}(?!\w)", said) is not None


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'"))
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())
