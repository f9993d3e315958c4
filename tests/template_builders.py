"""Accounts with a WABA, and what is known of its templates."""

import json
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, an_account, execute
from inbox.domain.accounts import Channel
from inbox.domain.ids import uuid7

WABA: Final = "102290129340398"
HELLO: Final = ({"type": "BODY", "text": "Bonjour {{1}}, votre vélo est prêt."},)


async def with_waba(engine: AsyncEngine, waba_id: str = WABA, **more: Any) -> Channel:  # noqa: ANN401 - of an account
    channel = await an_account(engine, **more)
    await set_waba(engine, channel, waba_id)
    return msgspec.structs.replace(channel, waba_id=waba_id)


async def set_waba(engine: AsyncEngine, channel: Channel, waba_id: str) -> None:
    await execute(
        engine, "update whatsapp_accounts set waba_id = :waba where id = :id", waba=waba_id, id=channel.account_id
    )


async def a_template(
    engine: AsyncEngine,
    channel: Channel,
    name: str = "velo_pret",
    language: str = "fr",
    *,
    status: str | None = "APPROVED",
    components: tuple[dict[str, Any], ...] | None = HELLO,
    meta_id: str | None = "900880000000001",
    at: datetime = NOON,
) -> UUID:
    """A row of what is known."""
    template_id = uuid7()
    await execute(
        engine,
        """insert into message_templates (id, account_id, waba_id, name, language, meta_id, status, status_at, category,
                                          category_at, components, components_at, parameter_format, seen_at)
           values (:id, :account, :waba, :name, :language, :meta_id, :status, :at, 'UTILITY', :at,
                   cast(:components as jsonb), :at, 'POSITIONAL', :at)""",
        id=template_id,
        account=channel.account_id,
        waba=channel.waba_id,
        name=name,
        language=language,
        meta_id=meta_id,
        status=status,
        components=None if components is None else json.dumps(components),
        at=at,
    )
    return template_id


async def a_sync(engine: AsyncEngine, channel: Channel, *, due_in: timedelta = timedelta(hours=6)) -> None:
    """The account's list was read."""
    await execute(
        engine,
        """insert into template_syncs (account_id, waba_id, synced_at, due_at)
           values (:account, :waba, now(), now() + cast(:due_in as interval))""",
        account=channel.account_id,
        waba=channel.waba_id,
        due_in=due_in,
    )


async def known(engine: AsyncEngine) -> list[dict[str, Any]]:
    """All rows, by account, name and language."""
    rows = await execute(engine, "select * from message_templates order by account_id, name, language")
    return [row._asdict() for row in rows]
