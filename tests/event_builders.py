"""Events as tests record them, and those that are in the log."""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.domain.events import Cause, ConversationUpdated, Event, MessageCreated
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.messages import Status
from inbox.domain.outbound import State
from inbox.ports.records import NewMessage

_EVENT = msgspec.json.Decoder(Event)


def created(new: NewMessage) -> MessageCreated:
    return MessageCreated(
        account_id=new.account_id,
        conversation_id=new.conversation_id,
        message_id=MessageId(new.id),
        direction="outbound",
        message_type="text",
        status=Status.PENDING,
        author=new.author,
        delivery_state=State.QUEUED,
    )


def updated(account_id: AccountId, conversation_id: ConversationId, cause: Cause = Cause.MESSAGE) -> Event:
    return ConversationUpdated(account_id=account_id, conversation_id=conversation_id, cause=cause)


async def the_log(engine: AsyncEngine, kind: str | None = None) -> list[Any]:
    """What was told, oldest first, all of it or of one kind: every row is an event as its readers decode it."""
    rows = await execute(
        engine,
        """select (jsonb_build_object('kind', kind, 'account_id', account_id, 'conversation_id', conversation_id)
                   || body)::text as event
           from event_log where cast(:kind as text) is null or kind = :kind order by id""",
        kind=kind,
    )
    return [_EVENT.decode(row.event) for row in rows]
