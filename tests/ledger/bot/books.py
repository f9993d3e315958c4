"""What is counted: the last line of the ledger."""

import msgspec


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """`runs` are turns that were put into trouble; everything after it must be 0, but for the silence.

    `spoke_after_takeover` are messages of the bot that left after a take-over was committed, `lost_turns` turns without
    an end, `double_turns` those that said something twice, `bots_lost_for_good` conversations in which the bot did not
    answer any more when the model was there again, `max_silence_s` how long a customer was neither answered nor handed
    over with a reason, `cap_overruns` runs that passed a budget by more than one call, `canary_leaks` texts in which
    something stood that must not leave. `unlike_expected` says what else was wrong, in words.
    """

    runs: int = 0
    spoke_after_takeover: int = 0
    lost_turns: int = 0
    double_turns: int = 0
    bots_lost_for_good: int = 0
    max_silence_s: float = 0.0
    cap_overruns: int = 0
    canary_leaks: int = 0
    unlike_expected: tuple[str, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            runs=self.runs + other.runs,
            spoke_after_takeover=self.spoke_after_takeover + other.spoke_after_takeover,
            lost_turns=self.lost_turns + other.lost_turns,
            double_turns=self.double_turns + other.double_turns,
            bots_lost_for_good=self.bots_lost_for_good + other.bots_lost_for_good,
            max_silence_s=max(self.max_silence_s, other.max_silence_s),
            cap_overruns=self.cap_overruns + other.cap_overruns,
            canary_leaks=self.canary_leaks + other.canary_leaks,
            unlike_expected=self.unlike_expected + other.unlike_expected,
        )

    def is_sound(self, *, silence: float) -> bool:
        """True if nothing is wrong and nobody waited for more than `silence` seconds."""
        wrong = (
            self.spoke_after_takeover,
            self.lost_turns,
            self.double_turns,
            self.bots_lost_for_good,
            self.cap_overruns,
            self.canary_leaks,
            len(self.unlike_expected),
        )
        return not any(wrong) and self.max_silence_s <= silence

    def line(self) -> str:
        """One line of JSON."""
        shown = {name: value for name, value in msgspec.structs.asdict(self).items() if name != "unlike_expected"}
        return msgspec.json.encode(shown | {"max_silence_s": round(self.max_silence_s, 1)}).decode()
