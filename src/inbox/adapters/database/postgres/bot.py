"""What the assistant knows, and its turns."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import bot_spending
from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.reading import AnyRow
from inbox.adapters.database.postgres.times import shown
from inbox.domain.bot import Mode
from inbox.domain.bot_profile import Behaviour, CustomField, Profile, TemplateConfig
from inbox.domain.bot_schedule import Answers, Schedule
from inbox.domain.conversations import HandoverReason
from inbox.domain.errors import ConversationNotFound
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId
from inbox.domain.outbound import State
from inbox.ports.bot import Charge, PastTurn, Reservation, StoredFile, TurnEnd
from inbox.ports.records import BotTurn
from inbox.ports.views import BotProfileRow

T = TypeVar("T", bound=msgspec.Struct)

SHOWN_PROFILE: Final = text(f"""
select p.id, a.id as account_id, p.business_name, p.description, p.address, p.hours, p.knowledge_base, p.custom_fields,
       {shown("coalesce(p.updated_at, p.created_at, timestamptz 'epoch')")} as updated_at, p.template_config,
       p.behaviour, coalesce(a.bot_auto_on, false) as auto_on
from whatsapp_accounts a left join bot_profiles p on p.account_id = a.id where a.id = :account_id
""")  # noqa: S608 - a column of ours

_PUT_PROFILE: Final = text("""
with account as (
  update whatsapp_accounts set bot_auto_on = cast(:auto_on as boolean)
  where id = :account_id and coalesce(bot_auto_on, false) <> cast(:auto_on as boolean)
)
insert into bot_profiles (account_id, business_name, description, address, hours, knowledge_base, custom_fields,
                          template_config, behaviour, updated_at)
values (:account_id, :business_name, :description, :address, :hours, :knowledge_base, cast(:custom_fields as jsonb),
        cast(:template_config as jsonb), coalesce(cast(:behaviour as jsonb), '{}'::jsonb), now())
on conflict (account_id) do update
set business_name = excluded.business_name, description = excluded.description, address = excluded.address,
    hours = excluded.hours, knowledge_base = excluded.knowledge_base, custom_fields = excluded.custom_fields,
    template_config = excluded.template_config, behaviour = coalesce(cast(:behaviour as jsonb), bot_profiles.behaviour),
    updated_at = excluded.updated_at
""")

# The update that changes nothing returns the earlier turn, and waits for one that is just being opened.
_OPEN_TURN: Final = text("""
with overtaken as (
  update bot_turns set state = 'dropped', reason = 'overtaken', finished_at = statement_timestamp()
  where conversation_id = :conversation_id and account_id = :account_id and state = 'open'
    and (trigger_message_id, epoch) <> (cast(:trigger_message_id as uuid), cast(:epoch as bigint))
)
insert into bot_turns (id, account_id, conversation_id, trigger_message_id, epoch, mode, state)
select cast(:id as uuid), account_id, id, cast(:trigger_message_id as uuid), cast(:epoch as bigint),
       cast(:mode as text), 'open'
from conversations where id = :conversation_id and account_id = :account_id
on conflict (trigger_message_id, epoch) do update set state = bot_turns.state
where bot_turns.conversation_id = excluded.conversation_id
returning id, account_id, conversation_id, trigger_message_id, epoch, mode, state
""")

# Of what a turn sends the first part is its answer; the others are alerts, and what is said later. One that a person
# sent again is theirs.
_TURNS_ABOUT: Final = text("""
select t.id, t.trigger_message_id as message_id, t.epoch, t.mode, t.state, coalesce(t.answer, '') <> '' as has_answer,
       t.handover, o.id as answer_id, o.state as answer_state, o.updated_at as answer_since, o.reason as answer_reason
from bot_turns t left join outbox o on o.turn_id = t.id and o.part = 0 and o.epoch is not null
where t.trigger_message_id = any(cast(:ids as uuid[])) and t.conversation_id = :conversation_id
  and t.account_id = :account_id
""")

_CLOSE_TURN: Final = text("""
update bot_turns
set state = :state, reason = :reason, answer = :answer, handover = :handover, model = :model, tokens_in = :tokens_in,
    tokens_out = :tokens_out, cost = :cost, confidence = :confidence, prompt = :prompt,
    finished_at = statement_timestamp()
where id = :id and account_id = :account_id and state = 'open'
""")

_UNDELIVERED: Final = text("""
update bot_turns set state = 'handed_over', handover = :handover, reason = :reason, finished_at = statement_timestamp()
where id = :id and account_id = :account_id and state = 'answered' and handover is null
returning id
""").bindparams(handover=HandoverReason.UNDELIVERED.value)

# Part 1 is the alert, on its way or failed: that people see as well.
_IS_LOSS_TOLD: Final = text("""
select exists (
  select from bot_turns t join outbox o on o.turn_id = t.id and o.part = 1 join messages m on m.id = o.id
  where t.conversation_id = :conversation_id and t.account_id = :account_id and t.handover = :handover
    and m."timestamp" > :since)
""").bindparams(handover=HandoverReason.UNDELIVERED.value)

_UNSUMMARISED: Final = text("""
select id, account_id, conversation_id, trigger_message_id, epoch, mode
from (
  select * from bot_turns
  where conversation_id = :conversation_id and account_id = :account_id and handover is not null
  order by created_at desc limit 1
) t
where t.summary is null and t.finished_at > now() - cast(:within as interval)
  and t.handover <> all(cast(:but_for as text[]))
""")

_SUMMARISE: Final = text("""
update bot_turns set summary = :summary where id = :id and account_id = :account_id returning conversation_id
""")

_LAST_HANDOVER: Final = text("""
select max(finished_at) from bot_turns
where conversation_id = :conversation_id and account_id = :account_id and handover = any(cast(:reasons as text[]))
  and id is distinct from cast(:besides as uuid)
""")

_FILES: Final = text("""
select message_id, state = 'pending' as is_coming, mime_type, size
from media_files where account_id = :account_id and message_id = any(cast(:ids as uuid[]))
""")


class PostgresBot:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put_profile(self, profile: Profile, *, keeps_behaviour: bool = False) -> None:
        """Replaces the whole profile, or all but how the assistant behaves. Raises `AccountNotFound`."""
        behaviour = None if keeps_behaviour else profile.behaviour
        values = {
            "account_id": profile.account_id,
            "business_name": profile.business_name,
            "description": profile.description,
            "address": profile.address,
            "hours": profile.hours,
            "knowledge_base": profile.knowledge_base,
            "custom_fields": msgspec.json.encode(profile.custom_fields).decode(),
            "template_config": msgspec.json.encode(profile.template_config).decode(),
            "behaviour": None if behaviour is None else msgspec.json.encode(behaviour).decode(),
            "auto_on": None if behaviour is None else behaviour.auto_on,
        }
        with database_errors():
            await self._connection.execute(_PUT_PROFILE, values)

    async def open_turn(self, turn: BotTurn) -> BotTurn | None:
        """Raises `ConversationNotFound` if the account does not have the conversation."""
        row = (await self._connection.execute(_OPEN_TURN, msgspec.structs.asdict(turn))).one_or_none()
        if row is None:
            raise ConversationNotFound
        stored = row._asdict()
        return BotTurn(**{**stored, "mode": Mode(row.mode)}) if stored.pop("state") == "open" else None

    async def turns_about(
        self, account_id: AccountId, conversation_id: ConversationId, message_ids: Sequence[MessageId]
    ) -> list[PastTurn]:
        values = {"account_id": account_id, "conversation_id": conversation_id, "ids": list(message_ids)}
        rows = await self._connection.execute(_TURNS_ABOUT, values)
        return [_past(row._asdict()) for row in rows]

    async def close_turn(self, turn: BotTurn, end: TurnEnd) -> None:
        values = {
            "id": turn.id,
            "account_id": turn.account_id,
            **msgspec.structs.asdict(end),
            "tokens_in": end.tokens[0],
            "tokens_out": end.tokens[1],
        }
        del values["tokens"]
        await self._connection.execute(_CLOSE_TURN, values)

    async def undelivered(self, turn: BotTurn, reason: str) -> bool:
        values = {"id": turn.id, "account_id": turn.account_id, "reason": reason}
        return (await self._connection.execute(_UNDELIVERED, values)).one_or_none() is not None

    async def is_loss_told(self, account_id: AccountId, conversation_id: ConversationId, *, since: datetime) -> bool:
        values = {"account_id": account_id, "conversation_id": conversation_id, "since": since}
        return bool((await self._connection.execute(_IS_LOSS_TOLD, values)).scalar_one())

    async def unsummarised(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        *,
        within: timedelta,
        but_for: Collection[HandoverReason],
    ) -> BotTurn | None:
        scope = {"account_id": account_id, "conversation_id": conversation_id}
        values = {**scope, "within": within, "but_for": list(map(str, but_for))}
        row = (await self._connection.execute(_UNSUMMARISED, values)).one_or_none()
        return None if row is None else BotTurn(**{**row._asdict(), "mode": Mode(row.mode)})

    async def summarise(self, turn: BotTurn, summary: str) -> ConversationId | None:
        values = {"id": turn.id, "account_id": turn.account_id, "summary": summary}
        found: UUID | None = (await self._connection.execute(_SUMMARISE, values)).scalar_one_or_none()
        return None if found is None else ConversationId(found)

    async def last_handover(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        reasons: Sequence[HandoverReason],
        *,
        besides: TurnId | None = None,
    ) -> datetime | None:
        scope = {"account_id": account_id, "conversation_id": conversation_id}
        values = {**scope, "reasons": list(map(str, reasons)), "besides": besides}
        found: datetime | None = (await self._connection.execute(_LAST_HANDOVER, values)).scalar_one()
        return found

    async def files(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> list[StoredFile]:
        if not message_ids:
            return []
        rows = await self._connection.execute(_FILES, {"account_id": account_id, "ids": list(message_ids)})
        return [StoredFile(**row._asdict()) for row in rows]

    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        return await bot_spending.reserve(self._connection, call, contact=contact, account=account)

    async def settle(self, call: Reservation, used: Charge) -> None:
        await bot_spending.settle(self._connection, call, used)


def _past(fields: dict[str, Any]) -> PastTurn:
    kinds = {"mode": Mode, "handover": HandoverReason, "answer_state": State}
    known = {name: kind(fields[name]) for name, kind in kinds.items() if fields[name] is not None}
    return PastTurn(**{**fields, **known})


def shown_profile(row: AnyRow) -> BotProfileRow:
    """From a row of `SHOWN_PROFILE`, whatever older versions stored: missing sections, wrong kinds, no ids."""
    fields = row._asdict()
    auto_on = fields.pop("auto_on")
    behaviour = msgspec.structs.replace(_behaviour(row.behaviour), auto_on=auto_on)
    if row.id is None:
        return BotProfileRow(**{**_empty(row.account_id), "behaviour": behaviour})
    return BotProfileRow(**{**fields, **_knowledge(row.account_id, row), "behaviour": behaviour})


def _empty(account_id: UUID) -> dict[str, Any]:
    """What is shown as long as nobody wrote anything."""
    texts = dict.fromkeys(("business_name", "description", "address", "hours", "knowledge_base"), "")
    return {"account_id": account_id, **texts, "custom_fields": [], "template_config": TemplateConfig()}


def _behaviour(stored: str | None) -> Behaviour:
    """What this version does not understand makes the assistant silent, not careless: limits may be in it."""
    try:
        return msgspec.json.decode(stored or "{}", type=Behaviour)
    except msgspec.ValidationError:
        return Behaviour(schedule=Schedule(answers=Answers.NEVER, time_zone="UTC"))


def _knowledge(account_id: UUID, row: AnyRow) -> dict[str, Any]:
    """The two columns of JSON, as complete as they are shown."""
    return {
        "custom_fields": _custom_fields(account_id, _decoded(row.custom_fields)),
        "template_config": _struct(TemplateConfig, _decoded(row.template_config)),
    }


def _decoded(stored: str | None) -> object:
    return None if stored is None else msgspec.json.decode(stored)


def _custom_fields(account_id: UUID, stored: object) -> list[CustomField]:
    """A field without id gets one that is the same at every read."""
    fields = [_struct(CustomField, item) for item in _items(stored)]
    return [
        field if field.id else msgspec.structs.replace(field, id=str(uuid5(account_id, f"custom_fields/{place}")))
        for place, field in enumerate(fields)
    ]


def _struct(kind: type[T], stored: object) -> T:
    """A Struct of texts, Structs and lists of Structs, from JSON of any shape. What does not fit is empty."""
    given = stored if isinstance(stored, dict) else {}
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = given.get(field.name)
        if field.type is str:
            values[field.name] = _text(value)
        elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            values[field.name] = _struct(field.type, value)
        else:
            (item,) = field.type.__args__
            values[field.name] = [_struct(item, entry) for entry in _items(value)]
    return kind(**values)


def _items(stored: object) -> list[dict[str, Any]]:
    return [item for item in stored if isinstance(item, dict)] if isinstance(stored, list) else []


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
