"""Meta's limits as they show at the API (facts 8): throughput per number, pair rate, calls per WABA."""

from typing import Final

import msgspec

from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.objects import Number
from inbox.emulators.graph_api.state import Recent, World

PAIR_INTERVAL: Final = 6.0
PAIR_BURST: Final = 45
CALLS_PER_HOUR: Final = 5_000
_KEPT: Final = 200_000


class Rates:
    """Virtual scheduling (GCRA) on the emulator's clock; nothing is counted while `behaviour.rates` is off."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.reset()

    def reset(self) -> None:
        self._arrivals: Recent[tuple[str, str], float] = Recent(_KEPT)

    def check_send(self, number: Number, to: str) -> None:
        """Raises GraphError 130429 or 131056."""
        if not self._world.behaviour.rates:
            return
        if not self._allows(("number", number.id), 1 / number.throughput, number.throughput):
            raise GraphError(130429)
        if not self._allows((number.id, to), PAIR_INTERVAL, PAIR_BURST):
            raise GraphError(131056)

    def count_inbound(self, number: Number) -> None:
        """Throughput counts both directions."""
        if self._world.behaviour.rates:
            self._allows(("number", number.id), 1 / number.throughput, number.throughput)

    def check_management(self, waba_id: str) -> dict[str, str]:
        """The usage header of a management call. Raises GraphError 80007 when the hour's calls are used up."""
        if not self._world.behaviour.rates:
            return {}
        if not self._allows(("waba", waba_id), 3600 / CALLS_PER_HOUR, CALLS_PER_HOUR):
            raise GraphError(80007)
        now = self._world.clock.now()
        used = max(0.0, (self._arrivals.get(("waba", waba_id)) or now) - now) / 3600
        usage = {
            "type": "whatsapp_business_management",
            "call_count": round(used * 100),
            "total_cputime": 1,
            "total_time": 1,
            "estimated_time_to_regain_access": 0,
        }
        return {"X-Business-Use-Case-Usage": msgspec.json.encode({waba_id: [usage]}).decode()}

    def _allows(self, key: tuple[str, str], interval: float, burst: int) -> bool:
        now = self._world.clock.now()
        arrival = max(self._arrivals.get(key) or now, now)
        if arrival - now > interval * (burst - 0.5):  # half an interval against rounding of unix seconds
            return False
        self._arrivals.put(key, arrival + interval)
        return True
