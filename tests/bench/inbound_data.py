"""The data of the bench: the world that statuses and messages speak of, and old messages below it."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import asyncpg

from .inbound_bodies import ACCOUNTS, CONVERSATIONS, FIRST_NUMBER_ID, HOT_SENT, SENT_EACH

_SENT: Final = CONVERSATIONS * SENT_EACH
_FILL: Final = f"""
insert into whatsapp_accounts (name, slug, phone_number, phone_number_id)
select 'Atelier ' || n, 'atelier-' || n, '+' || 33465710001 + n, {FIRST_NUMBER_ID} + n
from generate_series(0, {ACCOUNTS} - 1) n;

insert into contacts (whatsapp_number, display_name)
select 33600000000 + n, 'Client ' || n from generate_series(0, {CONVERSATIONS} - 1) n;

insert into contact_identities (portfolio, kind, value, contact_id, written, seen_at)
select '', 'phone', whatsapp_number, id, whatsapp_number, timestamptz '2023-01-01' from contacts;

insert into conversations (id, contact_id, account_id, client_number, updated_at, last_inbound_at, window_expires_at)
select ('01800000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, c.id, a.id, c.whatsapp_number,
       now() - n * interval '1 second', now(), now() + interval '23 hours'
from generate_series(0, {CONVERSATIONS} - 1) n
join contacts c on c.whatsapp_number = (33600000000 + n)::text
join whatsapp_accounts a on a.phone_number_id = ({FIRST_NUMBER_ID} + n % {ACCOUNTS})::text;

insert into messages (id, conversation_id, account_id, direction, author, content_text, content, message_type, status,
                      "timestamp", wa_message_id)
select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, c.id, c.account_id, 'outbound', 'human',
       'Bonjour, votre commande est prête. ' || n, '{{"type": "text", "body": "Bonjour, votre commande est prête."}}',
       'text', 'pending', now() - interval '1 day' + n * interval '10 ms',
       'wamid.HBgLMzM2' || upper(md5('sent ' || n))
from generate_series(0, {_SENT + HOT_SENT} - 1) n
join conversations c on c.id = ('01800000-0000-7000-8000-'
     || lpad(to_hex(case when n < {_SENT} then n % {CONVERSATIONS} else 0 end), 12, '0'))::uuid;

insert into outbox (id, account_id, conversation_id, state, attempt, expires_at, wamid)
select m.id, m.account_id, m.conversation_id, 'accepted', 1, now() + interval '1 day', m.wa_message_id
from messages m;
"""  # noqa: S608 - figures of these modules

# Older than everything else, in all conversations; the wamids fall anywhere in their index, as those of WhatsApp do.
_OLD: Final = """
insert into messages (id, conversation_id, account_id, direction, author, content_text, content, message_type, status,
                      "timestamp", wa_message_id, created_at)
select ('01700000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, c.id, c.account_id,
       case when n % 2 = 0 then 'outbound' else 'inbound' end, case when n % 2 = 0 then 'human' else 'contact' end,
       'Bonjour, une question sur ma commande, merci. ' || n, '{"type": "text", "body": "Bonjour, une question."}',
       'text', case when n % 2 = 0 then 'read' else 'received' end,
       timestamptz '2024-01-01' + n * interval '1 second', 'wamid.HBgLMzM2' || upper(md5('old ' || n)),
       timestamptz '2024-01-01' + n * interval '1 second'
from generate_series($1::bigint, $2::bigint) n
join conversations c on c.id = ('01800000-0000-7000-8000-' || lpad(to_hex(n % $3), 12, '0'))::uuid
"""
_AT_ONCE: Final = 500_000
_BESIDE: Final = """
select i.indexrelid::regclass::text as name, c.conname as rule, c.conrelid is not null as is_rule,
       coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)) as definition
from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid and c.contype = 'u'
where i.indrelid = 'messages'::regclass and not i.indisprimary
"""


class Rows:
    """Statements on one connection, blocking."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url.replace("+asyncpg", ""), timeout=10))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.terminate()
        self._runner.close()

    def run(self, statements: str) -> None:
        self._runner.run(self._connection.execute(statements))

    def ask(self, statement: str, *values: object) -> list[Any]:
        return self._runner.run(self._connection.fetch(statement, *values))

    def store(self, contents: Sequence[tuple[str, bytes]]) -> None:
        """A backlog, as intake would have left it: (lane, body)."""
        lanes = sorted({lane for lane, _ in contents})
        self._runner.run(self._store(lanes, contents))

    async def _store(self, lanes: Sequence[str], contents: Sequence[tuple[str, bytes]]) -> None:
        async with self._connection.transaction():
            await self._connection.execute(
                "create temporary table arriving (lane text, body bytea, n serial) on commit drop"
            )
            await self._connection.copy_records_to_table("arriving", records=contents, columns=["lane", "body"])
            await self._connection.execute(
                "insert into deliveries (lane, body, sha256) select lane, body, sha256(body) from arriving order by n "
                "on conflict (sha256) do nothing"
            )
            await self._connection.execute(
                "insert into lanes (kind, key) select 'ingest', unnest($1::text[]) "
                "on conflict (kind, key) do update set ver = lanes.ver + 1, due = now()",
                lanes,
            )


def fill(rows: Rows) -> None:
    """The world, into empty tables."""
    rows.run(_FILL)
    rows.run("vacuum analyze")


def grow(rows: Rows, count: int) -> None:
    """So many more messages, below the indexes of the schema; all but the primary key are made anew after it."""
    beside = rows.ask(_BESIDE)
    for index in beside:
        drop = f"alter table messages drop constraint {index['rule']}" if index["is_rule"] else ""
        rows.run(drop or f"drop index {index['name']}")
    rows.run("set session_replication_role = replica; set maintenance_work_mem = '1GB'")
    for first in range(0, count, _AT_ONCE):
        rows.ask(_OLD, first, min(first + _AT_ONCE, count) - 1, CONVERSATIONS)
    rows.run("set session_replication_role = origin")
    for index in beside:
        add = f"alter table messages add constraint {index['rule']} " if index["is_rule"] else ""
        rows.run(add + index["definition"])
    rows.run("vacuum analyze messages")
    rows.run("checkpoint")
