"""What the bench of sends stands on: PostgreSQL with a world in it, WhatsApp's emulator, the service, workers."""

import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import httpx

from inbox.domain.api_keys import digest_of, hint_of, new_key
from inbox.domain.ids import uuid7
from inbox.kit.sealing import Sealer
from inbox.main import embedded, migrating
from inbox.main.runtime import new_encryption_key

from .inbound_data import Rows
from .inbound_stage import DATABASE, Stage, free_ports

ACCOUNTS: Final = 4
CONVERSATIONS: Final = 2_000
HISTORY: Final = 10
"""Messages that each conversation has before. PostgreSQL plans for tables as it finds them: it reads empty ones whole,
and goes on while they grow, until it has looked at them again."""
SENDS: Final = 400
LATENCY: Final = 0.08
TOKEN: Final = "EMULATOR-TOKEN"
_FIRST_NUMBER: Final = 33465710001
_FIRST_ID: Final = 900555000111000
_FASTEST: Final = 10_000
_READY_WITHIN: Final = 40.0

_ACCOUNT: Final = """
insert into whatsapp_accounts (id, name, slug, phone_number, phone_number_id, access_token_sealed)
values ($1::uuid, 'Atelier', 'atelier-' || $2::bigint, '+' || ($2::bigint + $3::bigint),
        ($2::bigint + $4::bigint)::text, $5::bytea)
"""
_WORLD: Final = f"""
insert into contacts (whatsapp_number, display_name)
select 33600000000 + n, 'Client ' || n from generate_series(1, {CONVERSATIONS}) n;

insert into contact_identities (portfolio, kind, value, contact_id, written)
select '', 'phone', whatsapp_number, id, whatsapp_number from contacts;

insert into conversations (contact_id, account_id, client_number, updated_at, last_inbound_at, window_expires_at)
select c.id, a.id, c.whatsapp_number, now(), now(), now() + interval '23 hours'
from (select *, row_number() over (order by whatsapp_number) as n from contacts) c
join (select id, row_number() over (order by phone_number_id) - 1 as n from whatsapp_accounts) a
  on a.n = c.n % {ACCOUNTS};

insert into messages (id, conversation_id, account_id, direction, author, content_text, content, message_type, status,
                      "timestamp", wa_message_id)
select gen_random_uuid(), c.id, c.account_id, 'outbound', 'human', 'Bonjour, votre commande est en route.',
       '{{"type": "text", "body": "Bonjour, votre commande est en route."}}', 'text', 'delivered',
       now() - n * interval '1 day', 'wamid.' || c.id || n
from conversations c cross join generate_series(1, {HISTORY}) n;

insert into outbox (id, account_id, conversation_id, state, expires_at)
select id, account_id, conversation_id, 'delivered', now() from messages;

insert into number_paces (account_id) select id from whatsapp_accounts;

insert into lanes (kind, key, account_id, ver, done) select 'send', id::text, account_id, 1, 1 from conversations;
"""  # noqa: S608 - figures of this module
_KEY: Final = "insert into api_keys (id, name, digest, hint) values ($1::uuid, 'bench', $2::bytea, $3::text)"
_GRANT: Final = """
insert into api_key_grants (id, api_key_id, permission_code) values (gen_random_uuid(), $1::uuid, 'messages.send')
"""
# Round by round through the conversations, as if all of them wrote at the same time.
_BACKLOG: Final = """
with m as (
  insert into messages (id, conversation_id, account_id, direction, author, content_text, content, message_type, status,
                        "timestamp")
  select gen_random_uuid(), c.id, c.account_id, 'outbound', 'human', 'Bonjour, votre commande est prête.',
         '{"type": "text", "body": "Bonjour, votre commande est prête."}', 'text', 'pending', now()
  from generate_series(1, $1::int) n
  cross join (select * from conversations where $2::uuid is null or account_id = $2::uuid
              order by client_number limit $3::int) c
  returning id, account_id, conversation_id
), l as (
  insert into lanes (kind, key, account_id)
  select distinct 'send', conversation_id::text, account_id from m
  on conflict (kind, key) do update set ver = lanes.ver + 1, due = now(), pair_at = null
)
insert into outbox (id, account_id, conversation_id, state, expires_at)
select id, account_id, conversation_id, 'queued', now() + interval '4 hours' from m
"""
_FINISHED: Final = """
select count(*) filter (where state in ('queued', 'claimed', 'wire')) as open,
       count(*) filter (where state = 'accepted') as accepted,
       extract(epoch from max(updated_at) - min(wire_at))::float8 as seconds
from outbox
"""


class Emulator(NamedTuple):
    url: str
    pid: int


class OutboundStage(Stage):
    """The service towards a WhatsApp that answers after 80 ms."""

    def __init__(
        self, folder: Path, server: embedded.Server, rows: Rows, environment: Mapping[str, str], emulator: Emulator
    ) -> None:
        super().__init__(folder, server, rows, environment)
        self.graph = emulator.url
        self._running["emulator"] = [emulator.pid]
        self._url = environment["INBOX_DATABASE_URL"].replace("+asyncpg", "")
        self.key = new_key(secrets.token_urlsafe)
        self._sealer = Sealer.from_setting(environment["INBOX_ENCRYPTION_KEYS"])

    def fill(self) -> None:
        """Numbers here and at WhatsApp, customers who were written to before, and a program that may send."""
        numbers = [{"phone": str(_FIRST_NUMBER + n), "id": str(_FIRST_ID + n)} for n in range(ACCOUNTS)]
        httpx.post(f"{self.graph}/_emu/wabas", json={"name": "Bench", "numbers": numbers}).raise_for_status()
        quiet = {"latency": [LATENCY, LATENCY], "auto_statuses": False, "check_window": False}
        httpx.patch(f"{self.graph}/_emu/behaviour", json=quiet).raise_for_status()
        for n in range(ACCOUNTS):
            account = uuid7()
            sealed = self._sealer.seal(TOKEN, table="whatsapp_accounts", column="access_token", row_id=account)
            self.rows.ask(_ACCOUNT, account, n, _FIRST_NUMBER, _FIRST_ID, sealed)
        self.rows.run(_WORLD)
        key_id = uuid7()
        self.rows.ask(_KEY, key_id, digest_of(self.key), hint_of(self.key))
        self.rows.ask(_GRANT, key_id)
        self.rows.run("vacuum analyze")

    def messages_url(self) -> str:
        """Where the service sends the messages of one of the numbers."""
        return f"{self.graph}/v24.0/{_FIRST_ID}/messages"

    @contextmanager
    def floor(self) -> Iterator[str]:
        """The bare service: its address."""
        port = free_ports(1)[0]
        program = str(Path(__file__).with_name("outbound_floor.py"))
        command = [program, str(port), self._url, self.messages_url(), TOKEN]
        with self._python("floor", command) as process:
            self._wait_for(f"http://127.0.0.1:{port}/", process, "floor")
            yield f"http://127.0.0.1:{port}/"

    def conversations(self) -> list[str]:
        return [str(row["id"]) for row in self.rows.ask("select id from conversations order by client_number")]

    def queue(self, each: int, *, conversations: int = CONVERSATIONS, account: UUID | None = None) -> None:
        """`each` messages in so many conversations, and nothing else in the outbox."""
        self.rows.run("truncate outbox; delete from lanes where kind = 'send'")
        self.rows.ask(_BACKLOG, each, account, conversations)
        self.rows.run("vacuum analyze outbox, lanes, messages")
        self.rows.run("checkpoint")

    def rate(self, ceiling: float | None = None) -> None:
        """What the numbers may send a second; None is no limit worth the name."""
        self.rows.ask(
            "update number_paces set ceiling = $1::float8, learned = null, free_at = null, pair_burst = 1000",
            ceiling or _FASTEST,
        )

    def finished(self) -> dict[str, Any]:
        """Open and accepted messages, and seconds from the first one on the wire to the last outcome."""
        (row,) = self.rows.ask(_FINISHED)
        return dict(row)


@contextmanager
def staged(folder: Path) -> Iterator[OutboundStage]:
    """Everything stands while the block runs. Blocking."""
    key = new_encryption_key()
    with ExitStack() as stack:
        server = stack.enter_context(embedded.start(folder / "postgres"))
        server.query(f"create database {DATABASE}")
        url = server.url_for(DATABASE)
        migrating.upgrade(url, sealer=Sealer.from_setting(key))
        emulator = stack.enter_context(_emulator(folder))
        environment = {
            **_inherited(),
            "HOME": str(folder),
            "INBOX_DATA_DIR": str(folder / "data"),
            "INBOX_DATABASE_URL": url,
            "INBOX_ENCRYPTION_KEYS": key,
            "INBOX_WHATSAPP_APP_SECRET": os.urandom(16).hex(),
            "INBOX_WHATSAPP_GRAPH_URL": emulator.url,
            "INBOX_WORKER_SENDS": str(SENDS),
        }
        with Rows(url) as rows:
            stage = OutboundStage(folder, server, rows, environment, emulator)
            stage.fill()
            yield stage


@contextmanager
def _emulator(folder: Path) -> Iterator[Emulator]:
    command = [sys.executable, "-m", "inbox", "emulator", "--access-token", TOKEN, "--graph-port", "0"]
    command += ["--gemini-port", "0", "--auth-port", "0", "--callback-url", "http://127.0.0.1:9/webhook/whatsapp"]
    with (
        (folder / "emulator.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=folder, env=_inherited() | {"HOME": str(folder)}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        give_up = threading.Timer(_READY_WITHIN, process.kill)
        give_up.start()
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(3))
            found = re.search(r"INBOX_WHATSAPP_GRAPH_URL=(\S+)", said)
            give_up.cancel()
            if found is None:
                raise SystemExit(f"the emulators did not start: {(folder / 'emulator.log').read_text()[-2000:]}")
            yield Emulator(found[1], process.pid)
        finally:
            give_up.cancel()
            process.terminate()


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
