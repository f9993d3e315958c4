"""What we ask of storage. PostgreSQL is the only truth; there is no second one in memory.

Obligations of every implementation: a returned write is committed (`synchronous_commit` on); statements carry the
account in every query of tenant data; lock order contacts, conversations, messages, lanes, work rows, event log, and by
key inside one table. All methods raise `DatabaseUnavailable` and `DatabaseTimeout`.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from inbox.domain.audit import AuditEntry
from inbox.domain.events import Event, MessageCreated
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId
from inbox.domain.signals import Signal
from inbox.domain.work import Lane, WorkKind
from inbox.ports.bot import Bot, BotQueries
from inbox.ports.deliveries import Archive, Replays, Retention
from inbox.ports.feed import EventLog, Tickets
from inbox.ports.knowledge import Articles, KnowledgeQueries
from inbox.ports.local_accounts import LocalAccounts
from inbox.ports.monitoring import Operations
from inbox.ports.queries import Queries
from inbox.ports.receipts import ReadReceipts
from inbox.ports.records import (
    Applied,
    Delivery,
    HeadTaken,
    IdempotencyKey,
    InboundBatch,
    NewMessage,
    Posted,
    Settlement,
)
from inbox.ports.repositories import (
    Accounts,
    ApiKeys,
    Contacts,
    Conversations,
    MediaFiles,
    Members,
    Messages,
    Roles,
)
from inbox.ports.team import Team
from inbox.ports.templates import StoredTemplates
from inbox.ports.uploads import Uploads
from inbox.ports.views import Backlog

# --- intake -----------------------------------------------------------------------------------------------------------


class Deliveries(Protocol):
    """Raw webhook bodies."""

    async def store(self, body: bytes, lane: str) -> None:
        """Returning means that this body is committed. A body that is there already is not stored twice.

        Concurrent callers share a commit, which takes at most 3 s; how long to wait for it is theirs to say. Raises
        `Overloaded` when the bounded queue is full.
        """
        ...

    async def read(self, lanes: Sequence[Lane], limit: int) -> list[Delivery]:
        """Open deliveries of claimed ingest lanes, oldest first within a lane, at most `limit` and a few MB.

        The page may be short: a lane that still holds open deliveries stays open when it is finished.
        """
        ...

    async def try_alone(self, delivery_id: DeliveryId) -> None:
        """Commits that a worker begins with this delivery alone: one more of its `tries`."""
        ...


# --- lanes ------------------------------------------------------------------------------------------------------------


class Work(Protocol):
    """Claims on lanes. Each method is one short statement, committed at once."""

    async def claim(
        self, kind: WorkKind, limit: int, *, untried: bool = False, now: datetime | None = None
    ) -> list[Lane]:
        """Due lanes for 30 s. Lanes whose last worker died come alone: the list then has exactly one.

        `untried` leaves out those that were given back since they last got on. Of send lanes come only as many as their
        numbers may send now (`domain.pacing`): people before the bot before programs, the accounts in turn. The time is
        the database's unless a test names another `now`.
        """
        ...

    async def extend(self, lanes: Sequence[Lane]) -> None:
        """Makes the lease of `lanes` end 30 s from now; a lane that was lost meanwhile is left alone."""
        ...

    async def finish(self, lanes: Sequence[Lane]) -> None:
        """Marks everything up to `ver` as done. Raises `LeaseLost`."""
        ...

    async def retry(self, lane: Lane, after: timedelta) -> None:
        """An orderly failure: the lane is due again `after` from now, followers wait, `attempts` starts at 0."""
        ...

    async def put_off(self, lane: Lane, after: timedelta) -> None:
        """The same where nothing failed: what the lane waits for takes its time, and `retries` stays as it is."""
        ...

    async def hurry(self, kind: WorkKind, keys: Sequence[str]) -> None:
        """What these lanes waited for has come: they are due now. Those that somebody works on are left alone."""
        ...

    async def backlog(self) -> list[Backlog]:
        """Open lanes per kind."""
        ...


# --- sending ----------------------------------------------------------------------------------------------------------


class Outbox(Protocol):
    """Messages on their way out."""

    async def post(
        self,
        new: NewMessage,
        created: MessageCreated,
        key: IdempotencyKey | None = None,
        *,
        claims: bool = False,
    ) -> Posted | None:
        """A usual line of a person or a program, stored, queued and committed without a transaction of the caller.

        `key` is remembered with it. None if nothing was written: somebody holds the conversation or its lane, added a
        line since `new.at`, its window does not outlast the message, the account does not have it, or the key was used
        before. A transaction tells which of them it is. Raises `CommitUnknown` also after 5 s.

        With `claims` the caller can send it at once. It is claimed for them if nobody could have claimed anything else
        before it: nothing is open in the conversation, its pair and its number may send, and nothing of the number
        waits. Nobody has sent yet in a conversation or with a number that is new: that is left to a worker. What was
        claimed for a caller who does not hear of it, after `CommitUnknown` or a cancellation, is due again when its
        lease is over, after 30 s.
        """
        ...

    async def take_heads(self, lanes: Sequence[Lane], now: datetime | None = None) -> list[HeadTaken]:
        """Claims the oldest open message of each lane. Expired ones become `expired` and the next one is taken.

        So do messages of the bot whose conversation has a newer epoch: they become `cancelled`. A head in `wire`, or
        `unknown` for less than 15 s, gives a wait. The time is the database's unless a test names another `now`.
        """
        ...

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        """The fence: commits `claimed` to `wire` and returns the number of this attempt.

        None if the row is not ours any more, or if the conversation moved past the epoch of a bot's message: then
        nothing may be sent. A message of the bot waits for a take-over in flight and sees its epoch.
        """
        ...

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        """Writes the outcome, the public status and parked statuses of the wamid, and gives the lane back.

        The lane is due at once if more is open, else finished, or due after `wait`. Nothing is written if the token is
        stale.
        """
        ...

    async def release(self, message_id: MessageId, token: UUID, lane: Lane, wait: timedelta) -> None:
        """Gives back a message of which surely nothing left: `claimed`, or `wire` after an unclear fence, to `queued`.

        The attempt does not count.
        """
        ...

    async def rest(self, account_id: AccountId, rest: timedelta) -> None:
        """Nothing of this number is claimed for so long from now on; 0 ends a rest."""
        ...

    async def hurry(self, keys: Sequence[str]) -> None:
        """What the heads of these lanes waited for has come: they are due now. Those in work are left alone."""
        ...

    async def reap(self, now: datetime | None = None) -> int:
        """Ends what was left behind; returns how many rows moved.

        `wire` for 20 s becomes `unknown`, an `unknown` whose time is over `unconfirmed`, a claim whose lease is over
        goes back to `queued`, and what was queued beyond its time to live is ended, also while nobody claims its lane
        because a circuit is open. Messages for later whose time has come join their queues, or fail if the window is
        closed (`domain.scheduling`). Where an operator switched that on, what surely never arrived is queued once more
        (`domain.absence`). The time is the database's unless a test names another `now`.
        """
        ...

    async def is_bot_on_wire(self, account_id: AccountId, conversation_id: ConversationId, within: timedelta) -> bool:
        """True while a message of the bot went to the wire less than `within` ago and has no outcome."""
        ...


# --- changing and reading ---------------------------------------------------------------------------------------------


class Transaction(Protocol):
    """One unit of change. Everything commits or nothing does."""

    accounts: Accounts
    contacts: Contacts
    conversations: Conversations
    messages: Messages
    media_files: MediaFiles
    uploads: Uploads
    members: Members
    roles: Roles
    api_keys: ApiKeys
    bot: Bot
    local_accounts: LocalAccounts
    replays: Replays
    receipts: ReadReceipts
    templates: StoredTemplates
    knowledge: Articles

    async def apply(self, batch: InboundBatch) -> Applied:
        """Set-based, idempotent, independent of order."""
        ...

    async def finish(self, lanes: Sequence[Lane]) -> None:
        """Marks the lanes done within this transaction. Raises `LeaseLost`: then nothing of it may commit."""
        ...

    async def enqueue(
        self, kind: WorkKind, key: str, *, account_id: AccountId | None, due_in: timedelta = timedelta()
    ) -> None: ...

    async def record(self, *events: Event) -> None:
        """Rows of the event log, visible exactly if this transaction commits."""
        ...

    async def audit(self, *entries: AuditEntry) -> None:
        """Lines of the audit trail, there exactly if this transaction commits."""
        ...

    async def change_rights(self) -> None:
        """To be called before anything is read or changed that rights, the accounts they name or profiles depend on.

        One transaction at a time passes. When it commits every process reads all of it anew, within `RIGHTS_SECONDS`.
        """
        ...

    def wake(self, *signals: Signal) -> None:
        """Hints for the bus, published after the commit and lost with a crash."""
        ...


class Database(Protocol):
    """The door to storage."""

    deliveries: Deliveries
    work: Work
    outbox: Outbox
    queries: Queries
    team: Team
    operations: Operations
    archive: Archive
    retention: Retention
    knowledge: KnowledgeQueries
    bot: BotQueries
    event_log: EventLog
    tickets: Tickets

    def transaction(self, *, within: float = 5.0) -> AbstractAsyncContextManager[Transaction]:
        """A clean exit commits, an exception rolls back. `within` is the limit in seconds for all of it.

        Raises `CommitUnknown` if the connection is lost during COMMIT. No remote call may be made inside.
        """
        ...
