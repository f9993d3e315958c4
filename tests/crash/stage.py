"""What outlives the kill: a durable PostgreSQL, the emulators in a process of their own, and a seeded database."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from inbox.adapters.identity.passwords import Passwords
from inbox.domain.access import Subject
from inbox.domain.accounts import NewAccount
from inbox.domain.bot import Mode
from inbox.domain.contacts import Address
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.main import embedded, migrating
from inbox.main.administrators import add_person
from inbox.main.container import build
from inbox.main.runtime import Runtime, new_encryption_key, prepared
from inbox.main.settings import load
from inbox.ports.database import Database
from warm import Warm

NUMBER_ID: Final = "900555000111222"
NUMBER: Final = "33465710001"
ANNA, MARC, ZOE = "33612345001", "33612345002", "33612345003"
BOT_CUSTOMERS: Final = (ANNA, MARC)
"""The bot is on for these; Zoé is answered by a person."""
EMAIL, PASSWORD = "agent@crash.example", "correct horse battery staple"
TOKEN: Final = "EMULATOR-CRASH"
_TEMPLATE: Final = "crash_template"
_numbers: Final = count(1)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. `environment` is that of `inbox serve`, but for the database."""

    folder: Path
    warm: Warm
    server: embedded.Server
    graph_url: str
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh copy of the seeded database; gone after the block."""
        name = f"crash_{next(_numbers)}"
        self.server.query(f"create database {name} template {_TEMPLATE}")
        try:
            yield self.server.url_for(name)
        finally:
            self.server.query(f"drop database {name} with (force)")


@contextmanager
def staged(folder: Path, warm: Warm, *, chance: int = 0) -> Iterator[Stage]:
    """Everything stands while the block runs; the emulators draw from `chance`. Blocking."""
    port = free_port()
    secret = os.urandom(16).hex()
    with embedded.start(folder / "postgres") as server, _emulators(folder, port, secret, chance) as emulators:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(folder),
            "INBOX_ENCRYPTION_KEYS": new_encryption_key(),
            "INBOX_WHATSAPP_APP_SECRET": secret,
            "INBOX_BOT_QUIET_SECONDS": "0.2",
            "INBOX_SEND_WAIT_SECONDS": "1",
            "INBOX_HTTP_PORT": str(port),
            **emulators,
        }
        server.query(f"create database {_TEMPLATE}")
        seed({**environment, "INBOX_DATABASE_URL": server.url_for(_TEMPLATE)})
        yield Stage(
            folder=folder,
            warm=warm,
            server=server,
            graph_url=emulators["INBOX_WHATSAPP_GRAPH_URL"],
            port=port,
            environment=environment,
        )


def seed(environment: Mapping[str, str]) -> None:
    """Migrates the database of `environment`, and puts in an account, an agent and three conversations."""
    with prepared(load(environment)) as runtime:
        migrating.upgrade(runtime.database_url, sealer=runtime.sealer)
        asyncio.run(_seed(runtime))


async def _seed(runtime: Runtime) -> None:
    container = build(runtime)
    try:
        database = await container.get(Database)
        account_id = AccountId(uuid7())
        new = NewAccount(
            name="Atelier",
            slug="atelier",
            phone_number=f"+{NUMBER}",
            phone_number_id=NUMBER_ID,
            access_token=TOKEN,
            verify_token=os.urandom(8).hex(),
        )
        user_id, _ = await add_person(database, Passwords(), EMAIL, PASSWORD)
        now = datetime.now(UTC)
        async with database.transaction() as tx:
            await tx.accounts.add(account_id, new)
        async with database.transaction() as tx:
            await tx.members.make_admin(Subject(user_id=UserId(user_id), email=EMAIL))
        async with database.transaction() as tx:
            for customer in (ANNA, MARC, ZOE):
                conversation, _ = await tx.conversations.find_or_create(account_id, Address.of(customer), now)
                mode = Mode.AUTO if customer in BOT_CUSTOMERS else Mode.OFF
                await tx.conversations.switch_bot(account_id, conversation, mode)
    finally:
        await container.close()


@contextmanager
def _emulators(folder: Path, port: int, secret: str, chance: int) -> Iterator[dict[str, str]]:
    """`inbox emulator` as a process; gives the variables that point `inbox serve` at it."""
    command = [sys.executable, "-m", "inbox", "emulator", "--app-secret", secret, "--access-token", TOKEN]
    command += ["--callback-url", f"http://127.0.0.1:{port}/webhook/whatsapp"]
    command += ["--graph-port", "0", "--gemini-port", "0", "--auth-port", "0", "--seed", str(chance)]
    log = (folder / "emulator.log").open("wb")
    with log, subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(3))
            found = dict(re.findall(r"(INBOX_[A-Z_]+)=(\S+)", said))
            yield {
                name: found[name] for name in ("INBOX_WHATSAPP_GRAPH_URL", "INBOX_GEMINI_URL", "INBOX_GEMINI_API_KEY")
            }
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
