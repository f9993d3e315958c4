"""Rows and values with sensible defaults, so that a test names only what it is about.

The functions with an engine write rows straight into a database; the others make values of the domain.
"""

import asyncio
import hashlib
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.domain import outgoing
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content, Text, message_type, preview
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId, TurnId, uuid7
from inbox.domain.inbound import InboundMessage, InboundStatus
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.domain.outgoing import Sendable
from inbox.kit.sealing import Sealer
from inbox.ports.records import NewMessage, Received

SEALER: Final = Sealer([("test", bytes(range(32)))])
NOWHERE: Final = Path(os.devnull, "nothing")
"""A folder that nothing can be written to, for what needs to name one."""
NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""Meta's time of the events of tests, when none is named."""

_numbers: Final = itertools.count(1)


def a_number() -> int:
    """A number that no other call of this run got."""
    return next(_numbers)


def a_client_number() -> str:
    return f"33600{a_number():07d}"


# --- values -----------------------------------------------------------------------------------------------------------


def an_inbound_message(
    phone_number_id: str,
    *,
    wamid: str | None = None,
    sender: str | None = None,
    name: str | None = None,
    content: Content | None = None,
    sent_at: datetime = NOON,
    reply_to_wamid: str | None = None,
) -> InboundMessage:
    return InboundMessage(
        phone_number_id=phone_number_id,
        customer=Address.of(sender or a_client_number()),
        profile_name=name,
        wamid=wamid or f"wamid.in.{a_number()}",
        sent_at=sent_at,
        content=content or Text(body="Bonjour"),
        reply_to_wamid=reply_to_wamid,
    )


def received(message: InboundMessage, delivery_id: DeliveryId = DeliveryId(0), position: int = 0) -> Received:  # noqa: B008 - a number
    return Received(id=MessageId(uuid7()), delivery_id=delivery_id, position=position, message=message)


def a_status(
    phone_number_id: str,
    wamid: str,
    status: str = "delivered",
    *,
    op_id: str | None = None,
    occurred_at: datetime = NOON,
    error_code: int | None = None,
    error_title: str | None = None,
    recipient: str | None = None,
) -> InboundStatus:
    return InboundStatus(
        phone_number_id=phone_number_id,
        wamid=wamid,
        status=status,
        occurred_at=occurred_at,
        op_id=op_id,
        error_code=error_code,
        error_title=error_title,
        recipient=recipient,
    )


def a_new_message(
    account_id: AccountId,
    conversation_id: ConversationId,
    *,
    content: Content | None = None,
    author: Author = Author.HUMAN,
    at: datetime | None = None,
    expires_at: datetime | None = None,
    epoch: int | None = None,
    turn_id: TurnId | None = None,
) -> NewMessage:
    at = at or datetime.now(UTC)
    return NewMessage(
        id=MessageId(uuid7()),
        account_id=account_id,
        conversation_id=conversation_id,
        content=content or Text(body="Bien sûr"),
        author=author,
        author_id=None,
        at=at,
        expires_at=expires_at or at + timedelta(hours=4),
        epoch=epoch,
        turn_id=turn_id,
    )


# --- rows -------------------------------------------------------------------------------------------------------------


async def execute(engine: AsyncEngine, statement: str, **values: object) -> list[Any]:
    """Runs one statement in a transaction of its own; rows if it gives any."""
    async with engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def until(engine: AsyncEngine, statement: str) -> None:
    """Looks until `statement` gives a row, 20 s at most."""
    async with asyncio.timeout(20):
        while not await execute(engine, statement):
            pass


LOCK_WAIT: Final = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
"""Gives a row while a connection to this database waits for a lock."""


async def an_account(
    engine: AsyncEngine,
    *,
    name: str = "Boutique",
    phone_number_id: str | None = None,
    access_token: str | None = "token",
    verify_token: str | None = None,
    is_active: bool = True,
    is_paused: bool = False,
) -> Channel:
    """A connected number. `verify_token` None stores none."""
    account_id, number = AccountId(uuid7()), a_number()
    channel = Channel(
        account_id=account_id, phone_number_id=phone_number_id or f"10600{number:06d}", access_token=access_token
    )

    def sealed(token: str | None, column: str) -> bytes | None:
        return SEALER.seal(token, table="whatsapp_accounts", column=column, row_id=account_id) if token else None

    await execute(
        engine,
        """insert into whatsapp_accounts (id, name, slug, phone_number, phone_number_id, is_active,
                                          access_token_sealed, verify_token_sealed, verify_token_digest, paused_at)
           values (:id, :name, :slug, :phone, :phone_number_id, :is_active, :access, :verify, :digest,
                   case when :is_paused then now() end)""",
        id=account_id,
        name=name,
        slug=f"account-{number}",
        phone=f"+3319900{number:06d}",
        phone_number_id=channel.phone_number_id,
        is_active=is_active,
        access=sealed(access_token, "access_token"),
        verify=sealed(verify_token, "verify_token"),
        digest=SEALER.digest(verify_token, "verify_token") if verify_token else None,
        is_paused=is_paused,
    )
    return channel


async def a_contact(engine: AsyncEngine, number: str | None = None, *, display_name: str | None = None) -> UUID:
    contact_id = uuid7()
    await execute(
        engine,
        "insert into contacts (id, whatsapp_number, display_name) values (:id, :number, :name)",
        id=contact_id,
        number=number or a_client_number(),
        name=display_name,
    )
    return contact_id


async def a_conversation(
    engine: AsyncEngine,
    account_id: AccountId,
    *,
    client_number: str | None = None,
    display_name: str | None = None,
    bot_enabled: bool = False,
    epoch: int = 0,
    unread_count: int = 0,
    updated_at: datetime = NOON,
    window_expires_at: datetime | None = None,
) -> ConversationId:
    """A conversation with its contact."""
    client_number = client_number or a_client_number()
    conversation_id = ConversationId(uuid7())
    await execute(
        engine,
        """insert into conversations (id, contact_id, account_id, client_number, bot_enabled, epoch, unread_count,
                                      updated_at, window_expires_at)
           values (:id, :contact, :account, :number, :bot, :epoch, :unread, :updated_at, :window)""",
        id=conversation_id,
        contact=await a_contact(engine, client_number, display_name=display_name),
        account=account_id,
        number=client_number,
        bot=bot_enabled,
        epoch=epoch,
        unread=unread_count,
        updated_at=updated_at,
        window=window_expires_at,
    )
    return conversation_id


async def a_message(
    engine: AsyncEngine,
    account_id: AccountId,
    conversation_id: ConversationId,
    *,
    direction: str = "outbound",
    author: Author | None = Author.HUMAN,
    content: Content | Sendable | None = None,
    status: str | None = "sent",
    wamid: str | None = None,
    timestamp: datetime = NOON,
) -> MessageId:
    """A message without a row in the outbox."""
    message_id, said = MessageId(uuid7()), content or Text(body="Bonjour")
    await execute(
        engine,
        """insert into messages (id, account_id, conversation_id, direction, author, content, content_text,
                                 message_type, status, wa_message_id, "timestamp")
           values (:id, :account, :conversation, :direction, :author, :content, :preview, :type, :status, :wamid,
                   :at)""",
        id=message_id,
        account=account_id,
        conversation=conversation_id,
        direction=direction,
        author=author,
        content=msgspec.json.encode(said).decode(),
        preview=outgoing.preview(said) if isinstance(said, Sendable) else preview(said),
        type=outgoing.message_type(said) if isinstance(said, Sendable) else message_type(said),
        status=status,
        wamid=wamid,
        at=timestamp,
    )
    return message_id


async def a_queued_message(
    engine: AsyncEngine,
    account_id: AccountId,
    conversation_id: ConversationId,
    *,
    state: State = State.QUEUED,
    author: Author = Author.HUMAN,
    content: Content | Sendable | None = None,
    epoch: int | None = None,
    expires_at: datetime | None = None,
    token: UUID | None = None,
    attempt: int = 0,
    wire_at: datetime | None = None,
    wamid: str | None = None,
) -> MessageId:
    """A message in the outbox, and its lane with one thing to do."""
    message_id = await a_message(
        engine, account_id, conversation_id, author=author, content=content, status="pending", wamid=wamid
    )
    await execute(
        engine,
        """with lane as (
             insert into lanes (kind, key, account_id) values ('send', :conversation, :account)
             on conflict (kind, key) do update set ver = lanes.ver + 1 returning key)
           insert into outbox (id, account_id, conversation_id, state, epoch, expires_at, token, attempt, wire_at,
                               wamid, lease_until)
           select :id, :account, cast(lane.key as uuid), :state, :epoch, :expires_at, :token, :attempt, :wire_at,
                  :wamid, case when :state = 'claimed' then now() + interval '30 s' end
           from lane""",
        id=message_id,
        account=account_id,
        conversation=str(conversation_id),
        state=state,
        epoch=epoch,
        expires_at=expires_at or datetime.now(UTC) + timedelta(hours=4),
        token=token or (uuid4() if state in (State.CLAIMED, State.WIRE) else None),
        attempt=attempt,
        wire_at=wire_at,
        wamid=wamid,
    )
    return message_id


async def a_delivery(engine: AsyncEngine, body: bytes | None = None, *, lane: str = "0") -> DeliveryId:
    """A stored webhook body, without its lane being woken."""
    body = body if body is not None else b'{"n":%d}' % a_number()
    rows = await execute(
        engine,
        "insert into deliveries (lane, body, sha256) values (:lane, :body, :sha256) returning id",
        lane=lane,
        body=body,
        sha256=hashlib.sha256(body).digest(),
    )
    return DeliveryId(rows[0].id)


async def a_quarantined_delivery(engine: AsyncEngine, reason: str = "unreadable") -> DeliveryId:
    delivery = await a_delivery(engine)
    await execute(
        engine,
        "update deliveries set state = 'quarantined', reason = :reason, done_at = now() where id = :id",
        reason=reason,
        id=delivery,
    )
    return delivery
