"""Customers under their many names: items about them, and the people that are left."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_number, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content, Text
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import (
    ContactName,
    Effect,
    IdentityChange,
    IdentityLink,
    InboundMessage,
    Source,
    Surroundings,
)
from inbox.ports.records import Applied, Placed
from postgres.ingest_scene import apply

PHONE = "33612345678"
OTHER_PHONE = "33698765432"
BSUID = "FR.70010020030040050061"
OTHER_BSUID = "FR.70010020030040050062"


def who(
    phone: str | None = None, bsuid: str | None = None, *, parent: str | None = None, username: str | None = None
) -> Address:
    return Address(wa_id=phone, bsuid=bsuid, parent_bsuid=parent, username=username)


def number_of(account: Channel | str) -> str:
    return account if isinstance(account, str) else account.phone_number_id


def said(
    account: Channel | str,
    customer: Address,
    *,
    at: datetime = NOON,
    wamid: str | None = None,
    name: str | None = None,
    content: Content | None = None,
    source: Source = Source.CUSTOMER,
    status: str | None = None,
    surroundings: Surroundings | None = None,
) -> InboundMessage:
    return InboundMessage(
        phone_number_id=number_of(account),
        customer=customer,
        profile_name=name,
        wamid=wamid or f"wamid.said.{a_number()}",
        sent_at=at,
        content=content or Text(body="Bonjour"),
        source=source,
        status=status,
        surroundings=surroundings or Surroundings(),
    )


def link(account: Channel | str, customer: Address, *, at: datetime = NOON, name: str | None = None) -> IdentityLink:
    return IdentityLink(phone_number_id=number_of(account), customer=customer, profile_name=name, at=at)


def change(account: Channel | str, old: Address, new: Address, *, at: datetime = NOON) -> IdentityChange:
    return IdentityChange(phone_number_id=number_of(account), old=old, new=new, at=at)


def naming(account: Channel | str, customer: Address, name: str | None, *, at: datetime = NOON) -> ContactName:
    return ContactName(phone_number_id=number_of(account), customer=customer, name=name, at=at)


async def happens(database: PostgresDatabase, *items: InboundMessage | Effect, delivery: int = 0) -> Applied:
    """All `items` in one batch."""
    messages = [item for item in items if isinstance(item, InboundMessage)]
    effects = [
        Placed(delivery_id=DeliveryId(delivery), position=n, effect=item)
        for n, item in enumerate(items)
        if not isinstance(item, InboundMessage)
    ]
    return await apply(database, *messages, effects=effects)


async def one_by_one(database: PostgresDatabase, *items: InboundMessage | Effect) -> None:
    for item in items:
        await happens(database, item)


async def people(engine: AsyncEngine) -> list[Row[Any]]:
    return await execute(engine, "select * from contacts order by whatsapp_number")


async def identities_of(engine: AsyncEngine, number: str) -> set[tuple[str, str]]:
    rows = await execute(
        engine,
        """select i.kind, i.value from contact_identities i join contacts c on c.id = i.contact_id
           where c.whatsapp_number = :number""",
        number=number,
    )
    return {(row.kind, row.value) for row in rows}


async def threads(engine: AsyncEngine) -> list[Row[Any]]:
    """Conversations with the number of their contact and the texts of their messages, in the order of screens."""
    return await execute(
        engine,
        """select c.*, k.whatsapp_number as number,
                  (select array_agg(m.content_text order by m."timestamp", m.id) from messages m
                   where m.conversation_id = c.id) as texts
           from conversations c left join contacts k on k.id = c.contact_id order by c.account_id, c.client_number""",
    )
