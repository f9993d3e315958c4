"""What the commands `inbox events` do: the services of the running one, asked by whoever sits at the server."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

from inbox.domain.ids import DeliveryId
from inbox.main import serve
from inbox.main.administrators import OPERATOR
from inbox.main.container import build
from inbox.main.failures import explained
from inbox.main.runtime import Runtime
from inbox.main.starting import prepared_here, run_loop
from inbox.ports.deliveries import DeliveryItem, DeliveryRecord, Selection, Which
from inbox.services.deliveries import Deliveries
from inbox.services.reconciliation import Reconciled, Reconciliation

T = TypeVar("T")

_MOST_NAMED: Final = 100


def run(act: Callable[[Runtime], Coroutine[object, object, T]]) -> T:
    """What `act` gives, with the settings of this environment. Failures that have words end the process."""
    with explained(), prepared_here() as runtime:
        serve.bring_schema_up(runtime)
        return run_loop(act(runtime))


@asynccontextmanager
async def _deliveries(runtime: Runtime) -> AsyncIterator[Deliveries]:
    container = build(runtime)
    try:
        yield await container.get(Deliveries)
    finally:
        await container.close()


async def listed(
    runtime: Runtime, state: str, reason: str | None, limit: int, before: int | None
) -> list[DeliveryItem]:
    """The newest first."""
    behind = None if before is None else DeliveryId(before)
    async with _deliveries(runtime) as deliveries:
        return await deliveries.listed(OPERATOR, _selection(state, reason), limit=limit, before=behind)


async def inspect(runtime: Runtime, delivery_id: int) -> DeliveryRecord:
    """Raises `DeliveryNotFound`."""
    async with _deliveries(runtime) as deliveries:
        return await deliveries.inspect(OPERATOR, DeliveryId(delivery_id))


async def replay(runtime: Runtime, delivery_ids: Sequence[int]) -> int:
    """Says how many are open again. Raises `DeliveryNotFound`."""
    async with _deliveries(runtime) as deliveries:
        return sum([await deliveries.replay(OPERATOR, DeliveryId(one)) for one in delivery_ids])


async def replay_all(runtime: Runtime, state: str, reason: str | None) -> int:
    """All of them, page after page, each once."""
    selection, count, before = _selection(state, reason), 0, None
    async with _deliveries(runtime) as deliveries:
        while True:
            done = await deliveries.replay_all(OPERATOR, selection, before=before)
            count, before = count + done.replayed, done.next
            if before is None:
                return count


async def discard(runtime: Runtime, delivery_ids: Sequence[int]) -> None:
    """Raises `DeliveryNotFound`, `DeliveryNotSetAside`."""
    async with _deliveries(runtime) as deliveries:
        for one in delivery_ids:
            await deliveries.discard(OPERATOR, DeliveryId(one))


async def reconcile(runtime: Runtime, since: datetime, until: datetime) -> Reconciled:
    """The whole range, part by part; no more of it is held than one part."""
    container = build(runtime)
    try:
        reconciliation = await container.get(Reconciliation)
        whole, after = Reconciled(), None
        while True:
            part = await reconciliation.reconcile(OPERATOR, since, until, after=after)
            whole.deliveries += part.deliveries
            whole.items.add(part.items)
            whole.missing += part.missing[: _MOST_NAMED - len(whole.missing)]
            after = part.next
            if after is None:
                return whole
    finally:
        await container.close()


def _selection(state: str, reason: str | None) -> Selection:
    return Selection(which=Which(state), reason=reason)
