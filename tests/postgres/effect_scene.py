"""Effects of batches: values with defaults, and the rows that they leave whatever their order."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_number, execute, received
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.contacts import Address
from inbox.domain.content import Content, Text
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import AccountNotice, Amendment, Effect, InboundMessage, Preference, Reaction, Severity
from inbox.ports.records import InboundBatch, Placed

CUSTOMER = "33639980142"
TARGET = "wamid.in.target"
PNID = "106000000042"


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_reaction(
    emoji: str | None = "👍",
    seconds: int = 0,
    *,
    wamid: str | None = None,
    by: str | None = CUSTOMER,
    target: str = TARGET,
    number: str = PNID,
) -> Reaction:
    """By the customer, or by the business if `by` is None."""
    return Reaction(
        phone_number_id=number,
        customer=None if by is None else Address.of(by),
        wamid=wamid or f"wamid.re.{seconds:03d}",
        target=target,
        emoji=emoji,
        at=at(seconds),
    )


def an_edit(
    said: str | Content | None,
    seconds: int = 1,
    *,
    wamid: str | None = None,
    by: str = CUSTOMER,
    by_business: bool = False,
    target: str = TARGET,
    number: str = PNID,
) -> Amendment:
    """A revoke if `said` is None."""
    return Amendment(
        phone_number_id=number,
        customer=Address.of(by),
        by_business=by_business,
        wamid=wamid or f"wamid.ed.{seconds:03d}",
        target=target,
        content=Text(body=said) if isinstance(said, str) else said,
        at=at(seconds),
    )


def a_preference(value: str = "stop", seconds: int = 0, *, by: str = CUSTOMER, number: str = PNID) -> Preference:
    return Preference(
        phone_number_id=number,
        customer=Address.of(by),
        category="marketing_messages",
        value=value,
        detail=None,
        at=at(seconds),
    )


def a_notice(
    event: str = "DISABLED_UPDATE",
    *,
    field: str = "account_update",
    severity: Severity = Severity.CRITICAL,
    seconds: int = 0,
    waba_id: str | None = None,
    phone_number_id: str | None = None,
    display_phone_number: str | None = None,
) -> AccountNotice:
    return AccountNotice(
        field=field,
        event=event,
        text=f"Compte : {event}",
        severity=severity,
        at=at(seconds),
        raw=msgspec.Raw(b'{"event":"%s"}' % event.encode()),
        waba_id=waba_id,
        phone_number_id=phone_number_id,
        display_phone_number=display_phone_number,
    )


async def ingest(database: PostgresDatabase, *items: InboundMessage | Effect) -> None:
    """All of it in one batch."""
    messages = [received(item, DeliveryId(a_number())) for item in items if isinstance(item, InboundMessage)]
    placed = [
        Placed(delivery_id=DeliveryId(a_number()), position=0, effect=item)
        for item in items
        if not isinstance(item, InboundMessage)
    ]
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=messages, effects=placed))


def orders(items: Sequence[Any], most: int = 11) -> list[list[list[Any]]]:
    """Ways to deliver `items` in batches: each order alone and repeated, all at once, and split somewhere."""
    every = [list(order) for order in itertools.permutations(items)]
    chosen = every[:: max(1, len(every) // most)]
    found: list[list[list[Any]]] = [[list(items)], [list(reversed(items)) * 2]]
    for place, order in enumerate(chosen):
        cut = place % len(order)
        found.append([[item] for item in order] if place % 2 else [part for part in (order[:cut], order) if part])
    return found


async def empty(engine: AsyncEngine) -> None:
    """Nothing that was ingested is there any more; the accounts stay."""
    for table in ("messages", "conversations", "reactions", "message_amendments", "account_notices", "event_log"):
        await execute(engine, f"delete from {table}")  # noqa: S608 - the names above
    await execute(engine, "delete from contacts")


async def shown(engine: AsyncEngine) -> list[dict[str, Any]]:
    """The messages as far as amendments change them."""
    rows = await execute(
        engine,
        """select wa_message_id, content::text as content, content_text, message_type, media_id,
                  original_content::text as original, amended_at, revoked_at from messages order by wa_message_id""",
    )
    return [row._asdict() for row in rows]


async def events(engine: AsyncEngine, kind: str) -> list[dict[str, Any]]:
    rows = await execute(engine, "select body::text as body from event_log where kind = :kind order by id", kind=kind)
    return [msgspec.json.decode(row.body) for row in rows]
