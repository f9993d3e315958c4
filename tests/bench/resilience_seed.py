"""The data under the load: as much as the existing system holds, and the people who look at it."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import httpx
from dishka import AsyncContainer

from inbox.domain.access import Subject
from inbox.domain.accounts import NewAccount
from inbox.domain.bot_profile import Profile
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.main import migrating
from inbox.main.container import build
from inbox.main.embedded import Server
from inbox.main.runtime import prepared
from inbox.main.settings import load
from inbox.ports.database import Database

from .resilience_plan import Talk, World

ACCOUNTS, CUSTOMERS, MESSAGES_EACH, USERS = 10, 1_700, 12, 20
_FIRST_NUMBER: Final = 33465710001
_FIRST_ID: Final = 900555000111000

_BOT_TALKS: Final = 300
"""A question that Gemini does not answer hands its conversation over to a person: each is asked once in a fault."""
_CUSTOMERS: Final = f"""
insert into contacts (whatsapp_number, display_name)
select '336' || lpad(n::text, 8, '0'), 'Client ' || n from generate_series(1, {CUSTOMERS}) n
"""  # noqa: S608 - figures of this module
_CONVERSATIONS: Final = f"""
insert into conversations (contact_id, account_id, client_number, updated_at, last_inbound_at, window_expires_at)
select c.id, a.id, c.whatsapp_number, now() - make_interval(mins => c.n::int), now(), now() + interval '23 hours'
from (select *, row_number() over (order by whatsapp_number) as n from contacts) c
join (select id, row_number() over (order by phone_number_id) - 1 as n from whatsapp_accounts) a
  on a.n = c.n % {ACCOUNTS}
"""  # noqa: S608 - figures of this module
_MESSAGES: Final = f"""
insert into messages (conversation_id, account_id, direction, author, content_text, message_type, status, "timestamp",
                      wa_message_id)
select c.id, c.account_id, case when n % 2 = 0 then 'outbound' else 'inbound' end,
       case when n % 2 = 0 then 'human' else 'contact' end, 'Bonjour, une question sur ma commande, merci. ' || n,
       'text', case when n % 2 = 0 then 'read' else 'received' end, now() - make_interval(mins => 60 * n),
       'wamid.SEED.' || c.client_number || '.' || n
from conversations c cross join generate_series(1, {MESSAGES_EACH}) n
"""  # noqa: S608 - figures of this module
_TALKS: Final = """
select c.id || ' ' || c.client_number || ' ' || a.phone_number_id
from conversations c join whatsapp_accounts a on a.id = c.account_id order by c.client_number
"""


def seeded(
    server: Server, environment: Mapping[str, str], *, graph: str, identity: str, token: str
) -> tuple[World, list[UUID]]:
    """Migrates, fills the database and the emulators. The ids of the people are those of the identity provider."""
    people = _people_at(identity)
    with prepared(load(environment)) as runtime:
        migrating.upgrade(runtime.database_url, sealer=runtime.sealer)

        async def fill() -> list[AccountId]:
            container = build(runtime)
            try:
                return await _accounts_and_people(container, people, token)
            finally:
                await container.close()

        accounts = asyncio.run(fill())
    _numbers_at(graph)
    name = "bench"
    for statement in (_CUSTOMERS, _CONVERSATIONS, _MESSAGES, "analyze"):
        server.query(statement, database=name, seconds=120)
    talks = [Talk(*line.split()) for line in server.query(_TALKS, database=name).splitlines()]
    bot_talks, sent = talks[:_BOT_TALKS], talks[_BOT_TALKS:400]
    ids = ", ".join(f"'{talk.id}'" for talk in bot_talks)
    server.query(f"update conversations set bot_enabled = true where id in ({ids})", database=name)  # noqa: S608 - our ids
    world = World(
        accounts=[str(account) for account in accounts],
        users=[str(person) for person in people],
        read=talks[400:1000],
        written=talks[1000:],
        sent=sent,
        bot=bot_talks,
    )
    return world, people


def _people_at(identity: str) -> list[UUID]:
    users = [{"email": f"person{n}@bench.example", "password": secrets.token_hex(8)} for n in range(USERS)]
    answer = httpx.post(f"{identity}/_emu/users", json=users).raise_for_status()
    return [UUID(user["id"]) for user in answer.json()]


def _numbers_at(graph: str) -> None:
    numbers = [{"phone": str(_FIRST_NUMBER + n), "id": str(_FIRST_ID + n)} for n in range(ACCOUNTS)]
    httpx.post(f"{graph}/_emu/wabas", json={"name": "Bench", "numbers": numbers}).raise_for_status()


async def _accounts_and_people(container: AsyncContainer, people: list[UUID], token: str) -> list[AccountId]:
    database = await container.get(Database)
    accounts = []
    for n in range(ACCOUNTS):
        account_id = AccountId(uuid7())
        new = NewAccount(
            name=f"Atelier {n}",
            slug=f"atelier-{n}",
            phone_number=f"+{_FIRST_NUMBER + n}",
            phone_number_id=str(_FIRST_ID + n),
            access_token=token,
            verify_token=secrets.token_hex(8),
        )
        async with database.transaction() as tx:
            await tx.accounts.add(account_id, new)
            await tx.bot.put_profile(Profile(account_id=account_id, business_name=new.name, hours="Mar-Sam 9h-18h"))
        accounts.append(account_id)
    for place, person in enumerate(people):
        async with database.transaction() as tx:
            subject = Subject(user_id=UserId(person), email=f"person{place}@bench.example")
            await tx.members.sign_in(subject, bootstrap_email=None, default_role=None)
            await tx.members.assign(UserId(person), "manager", None)
    return accounts
