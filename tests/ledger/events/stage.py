"""PostgreSQL with accounts, conversations and keys in it; web sides that may be killed; writers."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import msgspec

from inbox.domain.api_keys import digest_of, hint_of, new_key
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.kit.sealing import Sealer
from inbox.main import embedded, migrating
from inbox.main.runtime import new_encryption_key

from .writer import Order, Place, Written

_READY_WITHIN: Final = 60.0
_TESTS: Final = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
CODES: Final = ("conversations.view", "messages.view", "accounts.view")


class World(msgspec.Struct, frozen=True, kw_only=True):
    """`places` are conversations with their accounts."""

    accounts: list[AccountId]
    places: list[Place]


class Stage:
    """Where everything is."""

    def __init__(self, folder: Path, url: str, key: str, postmaster: int) -> None:
        self.folder = folder
        self.postmaster = postmaster
        self.url = url
        self._key = key
        self._starts = 0

    # --- data ---------------------------------------------------------------------------------------------------------

    async def connected(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url.replace("postgresql+asyncpg://", "postgresql://", 1))

    async def fill(self, accounts: int, talks: int) -> World:
        """So many accounts, with so many conversations each."""
        connection = await self.connected()
        try:
            made = [AccountId(uuid7()) for _ in range(accounts)]
            for n, account in enumerate(made):
                await connection.execute(
                    "insert into whatsapp_accounts (id, name, slug, phone_number_id) values ($1, $2, $2, $3)",
                    account,
                    f"atelier-{account}",
                    str(10**12 + n + secrets.randbelow(10**9)),
                )
            places = [Place(account, ConversationId(uuid7())) for account in made for _ in range(talks)]
            await connection.executemany(
                "insert into conversations (id, account_id, client_number) values ($1, $2, $3)",
                [(place.talk, place.account, str(33_600_000_000 + n)) for n, place in enumerate(places)],
            )
            return World(accounts=made, places=places)
        finally:
            await connection.close()

    async def key(self, accounts: Sequence[AccountId]) -> str:
        """A key that may see these accounts."""
        key, key_id = new_key(secrets.token_urlsafe), uuid7()
        connection = await self.connected()
        try:
            await connection.execute(
                "insert into api_keys (id, name, digest, hint, created_by) values ($1, $2, $3, $4, $1)",
                key_id,
                f"client {key_id}",
                digest_of(key),
                hint_of(key),
            )
            await connection.executemany(
                "insert into api_key_grants (id, api_key_id, permission_code, account_id) values ($1, $2, $3, $4)",
                [(uuid7(), key_id, code, account) for account in accounts for code in CODES],
            )
        finally:
            await connection.close()
        return key

    async def last(self) -> int:
        """The greatest number of the log."""
        connection = await self.connected()
        try:
            return int(await connection.fetchval("select coalesce(max(id), 0) from event_log"))
        finally:
            await connection.close()

    # --- processes ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def web(self, port: int, mutant: str | None = None, **settings: str) -> AsyncIterator["Web"]:
        """A web side, or a broken variant of it."""
        web = Web(self, port, mutant, settings)
        web.start()
        try:
            await web.ready()
            yield web
        finally:
            web.end()

    def administrator(self) -> tuple[str, str]:
        """Address and password of a new one. Blocking."""
        email = "ada@example.org"
        command = [sys.executable, "-m", "inbox", "create-admin", email]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True, timeout=60)
        return email, done.stdout.rpartition("shown once: ")[2].strip()

    def _environment(self) -> dict[str, str]:
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": _TESTS}
        return {
            **inherited,
            "HOME": str(self.folder),
            "INBOX_DATA_DIR": str(self.folder / "data"),
            "INBOX_DATABASE_URL": self.url,
            "INBOX_ENCRYPTION_KEYS": self._key,
            "INBOX_WHATSAPP_APP_SECRET": "secret",
            "INBOX_WHATSAPP_GRAPH_URL": "http://127.0.0.1:9",
            "INBOX_METRICS_ENABLED": "false",
        }

    def spawn(self, port: int, mutant: str | None, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        self._starts += 1
        environment = {**self._environment(), "INBOX_HTTP_PORT": str(port), **settings}
        with (self.folder / f"web-{port}-{self._starts}.log").open("wb") as log:
            ours = ["inbox", "serve", "--no-worker"]
            command = [sys.executable, "-m", *(["ledger.mutated", "events", mutant, "web"] if mutant else ours)]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    async def written(self, world: Sequence[Place], **order: float) -> AsyncIterator[Written]:
        """What a writer commits, as it does. Raises if it fails."""
        given = Order(url=self.url, keys=self._key, places=list(world), **order)  # type: ignore[arg-type]
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": _TESTS}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ledger.events.writer",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=inherited,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(given) + b"\n")
            async for line in process.stdout:
                yield msgspec.json.decode(line, type=Written)
            if await process.wait():
                raise RuntimeError("a writer failed")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Web:
    """A web side on a port, with lives."""

    def __init__(self, stage: Stage, port: int, mutant: str | None, settings: Mapping[str, str]) -> None:
        self.port = port
        self._mutant = mutant
        self._stage = stage
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._process = self._stage.spawn(self.port, self._mutant, self._settings)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def revive(self) -> None:
        """Starts it if it is dead."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()

    async def ready(self) -> None:
        give_up = time.monotonic() + _READY_WITHIN
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/health/ready") as answer:
                        if answer.ok:
                            return
                except aiohttp.ClientError:
                    pass
                if time.monotonic() > give_up or (self._process is not None and self._process.poll() is not None):
                    raise TimeoutError(f"the web side on {self.port} did not become ready: see {self._stage.folder}")
                await asyncio.sleep(0.05)

    def memory(self) -> int:
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A durable PostgreSQL while the block runs. Blocking."""
    key = new_encryption_key()
    with embedded.start(folder / "postgres") as server:
        server.query("create database ledger")
        url = server.url_for("ledger")
        migrating.upgrade(url, sealer=Sealer.from_setting(key))
        postmaster = int((server.data_dir / "postmaster.pid").read_text().partition("\n")[0])
        yield Stage(folder, url, key, postmaster)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
