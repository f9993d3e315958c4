"""What customers still have to be told about the reading of their messages: one row and one lane per conversation.

The row names the newest message that somebody has read; it stays when it was told, so that reading again tells nothing.
"""

from typing import Any, Final

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.accounts import channel
from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.pacing import COEXISTENCE
from inbox.domain.receipts import TOLD_WITHIN, WHATSAPP_KNOWS
from inbox.kit import tracing
from inbox.kit.sealing import Sealer
from inbox.ports.receipts import Incoming, PendingReceipt

# Old messages have no account and are reached through their conversation. Reactions cannot be marked.
_NEWEST: Final = """
  select m.wa_message_id as wamid, m."timestamp" as sent_at
  from conversations c join messages m
    on m.conversation_id = c.id and (m.account_id = c.account_id or m.account_id is null)
  where c.id = :conversation_id and c.account_id = :account_id
    and m.direction = 'inbound' and m.wa_message_id is not null and m.message_type is distinct from 'reaction'
    and m."timestamp" > now() - cast(:known as interval)
  order by m."timestamp" desc, m.id desc
  limit 1
"""

# The owner of a number that is also in the WhatsApp Business app reads there; such a number is paced accordingly.
_MAY_TELL: Final = f"""a.is_active and a.paused_at is null and a.read_receipts
  and not exists (select from number_paces p where p.account_id = a.id and p.ceiling <= {COEXISTENCE})"""

# Whoever asks holds the conversation, so nobody else wants something for it meanwhile. The lane comes before the row.
_WANT: Final = text(f"""
with newest as ({_NEWEST}), wanted as (
  select n.wamid, n.sent_at from newest n join whatsapp_accounts a on a.id = :account_id
  where {_MAY_TELL}
    and not exists (select from read_receipts r where r.conversation_id = :conversation_id and r.wamid = n.wamid)
), lane as (
  insert into lanes (kind, key, account_id, traceparent)
  select 'receipt', cast(:key as text), cast(:account_id as uuid), cast(:traceparent as text) from wanted
  on conflict (kind, key) do update
  set ver = lanes.ver + 1, traceparent = excluded.traceparent,
      due = case when lanes.ver = lanes.done then excluded.due else lanes.due end
  returning account_id
)
insert into read_receipts (conversation_id, account_id, wamid, sent_at)
select cast(:conversation_id as uuid), lane.account_id, wanted.wamid, wanted.sent_at from wanted cross join lane
on conflict (conversation_id) do update
set account_id = excluded.account_id, wamid = excluded.wamid, sent_at = excluded.sent_at,
    wanted_at = excluded.wanted_at
returning true
""")  # noqa: S608 - constants of ours

_PENDING: Final = text(f"""
select r.wamid, a.phone_number_id, a.access_token_sealed, a.waba_id,
       {_MAY_TELL} and r.sent_at > now() - cast(:known as interval)
         and r.wanted_at > now() - cast(:within as interval) as is_due
from read_receipts r join whatsapp_accounts a on a.id = r.account_id
where r.conversation_id = :conversation_id and r.account_id = :account_id
""").bindparams(within=TOLD_WITHIN)  # noqa: S608 - constants of ours

_FORGET: Final = text("""
delete from read_receipts where conversation_id = :conversation_id and account_id = :account_id and wamid = :wamid
""")

_INCOMING: Final = text(f"""
with newest as ({_NEWEST})
select n.wamid, a.phone_number_id, a.access_token_sealed, a.waba_id
from newest n join whatsapp_accounts a on a.id = :account_id
where {_MAY_TELL} and a.typing_indicators
""")  # noqa: S608 - constants of ours


class PostgresReceipts:
    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def want(self, account_id: AccountId, conversation_id: ConversationId) -> bool:
        values = {"key": str(conversation_id), "traceparent": tracing.current(), "known": WHATSAPP_KNOWS}
        return await self._row(_WANT, account_id, conversation_id, **values) is not None

    async def pending(self, account_id: AccountId, conversation_id: ConversationId) -> PendingReceipt | None:
        row = await self._row(_PENDING, account_id, conversation_id, known=WHATSAPP_KNOWS)
        if row is None:
            return None
        return PendingReceipt(wamid=row.wamid, channel=self._channel(account_id, row) if row.is_due else None)

    async def forget(self, account_id: AccountId, conversation_id: ConversationId, wamid: str) -> None:
        values = {"account_id": account_id, "conversation_id": conversation_id, "wamid": wamid}
        await self._connection.execute(_FORGET, values)

    async def incoming(self, account_id: AccountId, conversation_id: ConversationId) -> Incoming | None:
        row = await self._row(_INCOMING, account_id, conversation_id, known=WHATSAPP_KNOWS)
        return None if row is None else Incoming(wamid=row.wamid, channel=self._channel(account_id, row))

    def _channel(self, account_id: AccountId, row: Row[Any]) -> Channel:
        return channel(self._sealer, account_id, row.phone_number_id, row.access_token_sealed, row.waba_id)

    async def _row(
        self, statement: TextClause, account_id: AccountId, conversation_id: ConversationId, **values: object
    ) -> Row[Any] | None:
        scope = {"account_id": account_id, "conversation_id": conversation_id}
        return (await self._connection.execute(statement, {**scope, **values})).one_or_none()
