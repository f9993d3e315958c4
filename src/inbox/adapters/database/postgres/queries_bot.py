"""What people see of the assistant's work: a suggestion, and what happened before they took over."""

from typing import Final

import msgspec
from sqlalchemy import text

from inbox.adapters.database.postgres.conversations import ROW_COLUMNS, line_of
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.ports.bot import ConversationDetails, Suggested, SuggestedSource, Suggestion

_SUMMARY: Final = """(
  select nullif(t.summary, '') from bot_turns t
  where t.conversation_id = c.id and t.account_id = c.account_id and t.handover is not null
  order by t.created_at desc limit 1)"""

_DETAILS: Final = text(f"""
select {ROW_COLUMNS}, contact.display_name, contact.whatsapp_number,
       case when c.handed_over_at is not null and (c.account_id = any(:readable)) <> :reads_everywhere
            then {_SUMMARY} end as summary
from conversations c left join contacts contact on contact.id = c.contact_id
where c.id = :id and (c.account_id = any(:accounts)) <> :everywhere
""")  # noqa: S608 - constants of ours

# One row without a turn where nothing is suggested, none for a conversation out of reach. Whatever raises the epoch,
# and every later turn, takes a suggestion back.
_SUGGESTION: Final = text(f"""
select t.id, t.trigger_message_id as message_id, t.answer as text, t.confidence, t.model,
       {shown("t.finished_at")} as created_at,
       (select coalesce(jsonb_agg(jsonb_build_object('article_id', s.article_id, 'version', s.version, 'title', s.title)
                                  order by s.rank), '[]')::text
        from bot_turn_sources s where s.turn_id = t.id) as sources
from conversations c
left join lateral (
  select * from bot_turns b where b.conversation_id = c.id and b.account_id = c.account_id
  order by b.created_at desc limit 1
) t on t.state = 'suggested' and t.epoch = c.epoch
where c.id = :id and (c.account_id = any(:accounts)) <> :everywhere
""")  # noqa: S608 - constants of ours

_TEXT: Final = text("""
select coalesce(content_text, '') as said from messages
where id = :id and conversation_id = :conversation_id and account_id = :account_id
""")

_SOURCES: Final = msgspec.json.Decoder(list[SuggestedSource])


class PostgresBotQueries:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def details(
        self, reach: Reach, conversation_id: ConversationId, *, readable: Reach
    ) -> ConversationDetails | None:
        values = {"readable": list(readable.accounts), "reads_everywhere": readable.everywhere}
        row = await self._read.row(_DETAILS, id=conversation_id, **_within(reach), **values)
        if row is None:
            return None
        *line, summary = row
        return ConversationDetails(*(*msgspec.structs.astuple(line_of(line)), summary))

    async def suggestion(self, reach: Reach, conversation_id: ConversationId) -> Suggested | None:
        row = await self._read.row(_SUGGESTION, id=conversation_id, **_within(reach))
        if row is None:
            return None
        if row.id is None:
            return Suggested(suggestion=None)
        return Suggested(suggestion=Suggestion(**{**row._asdict(), "sources": _SOURCES.decode(row.sources)}))

    async def text_of(
        self, account_id: AccountId, conversation_id: ConversationId, message_id: MessageId
    ) -> str | None:
        row = await self._read.row(_TEXT, id=message_id, conversation_id=conversation_id, account_id=account_id)
        return None if row is None else str(row.said)


def _within(reach: Reach) -> dict[str, object]:
    return {"everywhere": reach.everywhere, "accounts": list(reach.accounts)}
