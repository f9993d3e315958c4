"""What becomes of a wish of the model: code decides."""

from typing import Final

import msgspec

from inbox.domain.bot import Action, Decision, Sentences, asks_for_human
from inbox.domain.bot_guards import Allowed, as_meant, gate
from inbox.domain.conversations import HandoverReason

_MAX_REASON: Final = 200
"""Characters of the model's own words that are kept."""
FINAL: Final = frozenset({HandoverReason.ASKED, HandoverReason.MODEL, HandoverReason.LOOP})
"""Reasons that lie in the conversation, not in a moment: the bot is off until a person switches it on again.

A model that is unsure is none of them: one that is not at its best for an hour would switch off every bot.
"""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn comes to: a sentence for the customer, a hand-over, both, or nothing.

    `is_of_model` if the model wrote `reply` and nothing spoke against it.
    """

    reply: str | None = None
    handover: HandoverReason | None = None
    state: str = "answered"
    reason: str | None = None
    is_of_model: bool = False

    @property
    def switches_off(self) -> bool:
        return self.handover in FINAL


def judged(decision: Decision, allowed: Allowed, sentences: Sentences, min_confidence: float) -> Verdict:
    """The fallback sentence is said where a person has to go on and the model did not say it in better words."""
    if decision.action is Action.IGNORE:
        return Verdict(state="silent", reason="ignored")
    reply = as_meant(decision.reply).strip()
    closed = gate(reply, allowed)
    if decision.action in (Action.HANDOFF, Action.REPLY_AND_HANDOFF) or asks_for_human(reply):
        keeps = decision.action is Action.REPLY_AND_HANDOFF and closed is None
        asked = decision.handoff_reason == HandoverReason.ASKED
        return Verdict(
            reply=reply if keeps else sentences.fallback,
            handover=HandoverReason.ASKED if asked else HandoverReason.MODEL,
            state="handed_over",
            reason=_storable(decision.handoff_reason),
        )
    if closed is not None:
        return handed_over(HandoverReason.GATE, closed.value, sentences)
    if not decision.confidence >= min_confidence:  # so that no number at all is not enough
        return handed_over(HandoverReason.UNSURE, "low_confidence", sentences)
    return Verdict(reply=reply, is_of_model=True)


def handed_over(why: HandoverReason, reason: str, sentences: Sentences) -> Verdict:
    """A person has to go on, and the customer is told so."""
    return Verdict(reply=sentences.fallback, handover=why, state="handed_over", reason=reason)


def _storable(reason: str) -> str:
    """The model's own words, without what PostgreSQL has no room for."""
    return reason.replace("\x00", "")[:_MAX_REASON]
