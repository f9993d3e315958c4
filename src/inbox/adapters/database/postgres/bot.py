"""What the assistant knows, and its turns."""

from typing import Any, Final, TypeVar
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.reading import AnyRow
from inbox.adapters.database.postgres.times import shown
from inbox.domain.bot import CustomField, Profile, TemplateConfig
from inbox.domain.errors import ConversationNotFound
from inbox.ports.records import BotTurn
from inbox.ports.views import BotProfileRow

T = TypeVar("T", bound=msgspec.Struct)

SHOWN_PROFILE: Final = text(f"""
select id, account_id, business_name, description, address, hours, knowledge_base, custom_fields,
       {shown("coalesce(updated_at, created_at, timestamptz 'epoch')")} as updated_at, template_config
from bot_profiles where account_id = :account_id
""")  # noqa: S608 - a column of ours

_PUT_PROFILE: Final = text("""
insert into bot_profiles (account_id, business_name, description, address, hours, knowledge_base, custom_fields,
                          template_config, updated_at)
values (:account_id, :business_name, :description, :address, :hours, :knowledge_base, cast(:custom_fields as jsonb),
        cast(:template_config as jsonb), now())
on conflict (account_id) do update
set business_name = excluded.business_name, description = excluded.description, address = excluded.address,
    hours = excluded.hours, knowledge_base = excluded.knowledge_base, custom_fields = excluded.custom_fields,
    template_config = excluded.template_config, updated_at = excluded.updated_at
""")

# The update that changes nothing returns the earlier turn, and waits for one that is just being opened.
_OPEN_TURN: Final = text("""
insert into bot_turns (id, account_id, conversation_id, trigger_message_id, epoch, state)
select cast(:id as uuid), account_id, id, cast(:trigger_message_id as uuid), cast(:epoch as bigint), 'open'
from conversations where id = :conversation_id and account_id = :account_id
on conflict (trigger_message_id, epoch) do update set state = bot_turns.state
where bot_turns.conversation_id = excluded.conversation_id
returning id, account_id, conversation_id, trigger_message_id, epoch, state
""")

_CLOSE_TURN: Final = text("""
update bot_turns
set state = :state, reason = :reason, answer = :answer, model = :model, tokens_in = :tokens_in,
    tokens_out = :tokens_out, finished_at = now()
where id = :id and account_id = :account_id and state = 'open'
""")


class PostgresBot:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put_profile(self, profile: Profile) -> None:
        """Replaces the whole profile. Raises `AccountNotFound`."""
        values = {
            "account_id": profile.account_id,
            "business_name": profile.business_name,
            "description": profile.description,
            "address": profile.address,
            "hours": profile.hours,
            "knowledge_base": profile.knowledge_base,
            "custom_fields": msgspec.json.encode(profile.custom_fields).decode(),
            "template_config": msgspec.json.encode(profile.template_config).decode(),
        }
        with database_errors():
            await self._connection.execute(_PUT_PROFILE, values)

    async def open_turn(self, turn: BotTurn) -> BotTurn | None:
        """Raises `ConversationNotFound` if the account does not have the conversation."""
        row = (await self._connection.execute(_OPEN_TURN, msgspec.structs.asdict(turn))).one_or_none()
        if row is None:
            raise ConversationNotFound
        stored = row._asdict()
        return BotTurn(**stored) if stored.pop("state") == "open" else None

    async def close_turn(
        self,
        turn: BotTurn,
        state: str,
        *,
        reason: str | None = None,
        answer: str | None = None,
        model: str | None = None,
        tokens: tuple[int, int] = (0, 0),
    ) -> None:
        """A turn that is closed already stays as it is."""
        values = {
            "id": turn.id,
            "account_id": turn.account_id,
            "state": state,
            "reason": reason,
            "answer": answer,
            "model": model,
            "tokens_in": tokens[0],
            "tokens_out": tokens[1],
        }
        await self._connection.execute(_CLOSE_TURN, values)


def shown_profile(row: AnyRow) -> BotProfileRow:
    """From a row of `SHOWN_PROFILE`, whatever older versions stored: missing sections, wrong kinds, no ids."""
    return BotProfileRow(**{**row._asdict(), **_knowledge(row.account_id, row)})


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
