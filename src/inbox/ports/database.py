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

from inbox.domain.access import Actor, Subject
from inbox.domain.accounts import Account, Channel, NewAccount
from inbox.domain.bot import Profile
from inbox.domain.contacts import Address
from inbox.domain.conversations import Conversation
from inbox.domain.events import Event, Signal
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId, UserId
from inbox.domain.work import Lane, WorkKind
from inbox.ports.local_accounts import LocalAccounts
from inbox.ports.records import (
    Applied,
    BotTurn,
    Delivery,
    HeadTaken,
    History,
    IdempotencyKey,
    InboundBatch,
    NewMessage,
    Owner,
    Settlement,
)
from inbox.ports.views import (
    AccountItem,
    Backlog,
    ConversationItem,
    ConversationRow,
    Me,
    MessageItem,
    Outcome,
)

# --- intake -----------------------------------------------------------------------------------------------------------


class Deliveries(Protocol):
    """Raw webhook bodies."""

    async def store(self, body: bytes, lane: str) -> None:
        """Returning means that this body is committed. A body that is there already is not stored twice.

        Concurrent callers share a commit. At most 3 s; raises `Overloaded` when the bounded queue is full.
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

    async def claim(self, kind: WorkKind, limit: int) -> list[Lane]:
        """Due lanes for 30 s. Lanes whose last worker died come alone: the list then has exactly one."""
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

    async def backlog(self) -> list[Backlog]:
        """Open lanes per kind."""
        ...


# --- sending ----------------------------------------------------------------------------------------------------------


class Outbox(Protocol):
    """Messages on their way out."""

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

    async def reap(self, now: datetime | None = None) -> int:
        """Ends what was left behind; returns how many rows moved.

        `wire` for 20 s becomes `unknown`, an `unknown` whose time is over `unconfirmed`, a claim whose lease is over
        goes back to `queued`. The time is the database's unless a test names another `now`.
        """
        ...

    async def is_bot_on_wire(self, conversation_id: ConversationId, within: timedelta) -> bool:
        """True while a message of the bot went to the wire less than `within` ago and has no outcome."""
        ...


# --- reading ----------------------------------------------------------------------------------------------------------


class Queries(Protocol):
    """Reads that need no atomicity, shaped for screens."""

    async def actor(self, user_id: UserId) -> Actor | None:
        """The user with every grant that speaks about them; None if there is no such row."""
        ...

    async def me(self, actor: Actor) -> Me:
        """What front ends show of `actor`. Raises `UserNotFound` if the row went away meanwhile."""
        ...

    async def accounts(self, actor: Actor) -> list[AccountItem]:
        """Active accounts that the actor may view, by name, then id."""
        ...

    async def active_account_ids(self) -> list[AccountId]: ...

    async def account_exists(self, account_id: AccountId) -> bool: ...

    async def owner_of_conversation(self, conversation_id: ConversationId) -> Owner | None: ...

    async def conversations(
        self, account_id: AccountId, *, limit: int, before: tuple[datetime, UUID | None] | None
    ) -> list[ConversationItem]:
        """Newest first by (updated_at, id), strictly older than `before`."""
        ...

    async def conversation(self, account_id: AccountId, conversation_id: ConversationId) -> ConversationRow | None: ...

    async def messages(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        *,
        limit: int,
        before: tuple[datetime, UUID | None] | None,
    ) -> list[MessageItem]:
        """The newest `limit` messages strictly older than `before`, returned oldest to newest."""
        ...

    async def outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome | None:
        """Where an outbound message stands, also one that the existing system sent. None for inbound ones."""
        ...

    async def account_by_verify_token(self, token: str) -> AccountId | None:
        """The account, active or not, whose verify token this is; looked up by keyed digest."""
        ...

    async def ping(self) -> None:
        """One trivial query, at most 2 s."""
        ...


# --- changing ---------------------------------------------------------------------------------------------------------


class Accounts(Protocol):
    async def add(self, account_id: AccountId, new: NewAccount) -> None:
        """Raises `SlugTaken`, `PhoneNumberIdTaken`."""
        ...

    async def put_default(self, account_id: AccountId, new: NewAccount) -> AccountId:
        """The account from the environment: created, or overwritten under its slug. Raises `PhoneNumberIdTaken`."""
        ...

    async def get(self, account_id: AccountId) -> Account | None: ...

    async def channel(self, account_id: AccountId) -> Channel:
        """Raises `AccountNotFound`, `SecretUnreadable`."""
        ...


class Conversations(Protocol):
    """All but `find_or_create` raise `ConversationNotFound` for a conversation that the account does not have."""

    async def lock(self, account_id: AccountId, conversation_id: ConversationId) -> Conversation:
        """The row, locked until the transaction ends. Raises `ConversationNotFound`."""
        ...

    async def find_or_create(self, account_id: AccountId, to: Address, now: datetime) -> ConversationId:
        """The conversation with `to`. A new one is empty, has the bot off and counts as updated `now`."""
        ...

    async def contact_name(self, account_id: AccountId, conversation_id: ConversationId) -> str | None:
        """The name, else the number, of the conversation's contact."""
        ...

    async def switch_bot(
        self, account_id: AccountId, conversation_id: ConversationId, *, enabled: bool
    ) -> ConversationRow:
        """Sets the operator's switch, raises the epoch and ends a hand-over."""
        ...

    async def raise_epoch(self, account_id: AccountId, conversation_id: ConversationId) -> None: ...

    async def hand_over(
        self, account_id: AccountId, conversation_id: ConversationId, reason: str, now: datetime, *, switch_off: bool
    ) -> None:
        """Marks that a person has to go on; the epoch stays.

        `switch_off` also turns the bot off (the customer asked for a person).
        """
        ...

    async def take_back(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        """The bot answers again after a hand-over that was not the operator's. Nothing happens while it is off."""
        ...

    async def touch(
        self, account_id: AccountId, conversation_id: ConversationId, at: datetime, *, by_bot: bool = False
    ) -> None:
        """`updated_at` moves forward to `at`, never back; `bot_last_reply_at` too for the bot."""
        ...


class Messages(Protocol):
    async def queue(self, new: NewMessage) -> None:
        """Stores the message as `pending` and its outbox row as `queued`, and enqueues its lane.

        One per (turn, part): a second one changes nothing. Raises `ConversationNotFound`.
        """
        ...

    async def add_failed(self, new: NewMessage, *, reason: str, error_code: int | None, error_message: str) -> None:
        """Stores a message that will not be sent, with an outbox row `failed`.

        `reason` is the code of the error, `error_message` what the operator reads. One per (turn, part), like `queue`.
        Raises `ConversationNotFound`.
        """
        ...

    async def remember(self, key: IdempotencyKey, message_id: MessageId) -> MessageId | None:
        """Claims an idempotency key for `message_id`; returns the earlier message if the key is known.

        Waits for a first request that is still running. The message is stored afterwards, in the same transaction:
        without it the commit fails. Raises `IdempotencyKeyReused` if the body differs.
        """
        ...

    async def history(self, account_id: AccountId, conversation_id: ConversationId, limit: int) -> list[History]:
        """The newest `limit` messages, oldest first.

        Without system rows, reactions, and failed messages of ours, which the customer never got. JSON that the
        existing system stored as text reads as in the list of messages.
        """
        ...


class Bot(Protocol):
    async def profile(self, account_id: AccountId) -> Profile | None: ...

    async def put_profile(self, profile: Profile) -> None:
        """Replaces the whole profile. Raises `AccountNotFound`."""
        ...

    async def open_turn(self, turn: BotTurn) -> BotTurn | None:
        """Stores the turn, or returns the open one of the same trigger and epoch.

        None if that one is closed already. Raises `ConversationNotFound`.
        """
        ...

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
        """`state` is `answered`, `handed_over`, `dropped` or `silent`. A closed turn stays as it is."""
        ...


class Members(Protocol):
    async def sign_in(self, subject: Subject, *, bootstrap_email: str | None, default_role: str | None) -> None:
        """Makes the user's row at the first sign-in, once however many come at the same time.

        The first administrator: while no active global administrator exists, the user with the verified bootstrap
        e-mail, or, without one, the user whose row is the first. Other new users get `default_role`, once.
        """
        ...

    async def make_admin(self, subject: Subject) -> None:
        """The user exists, is active and holds the role `admin` globally. Raises `RoleNotFound`."""
        ...

    async def assign(self, user_id: UserId, role_slug: str, account_id: AccountId | None) -> None:
        """Gives the role, for all accounts if `account_id` is None. Raises `RoleNotFound`, `UserNotFound`."""
        ...


class Transaction(Protocol):
    """One unit of change. Everything commits or nothing does."""

    accounts: Accounts
    conversations: Conversations
    messages: Messages
    members: Members
    bot: Bot
    local_accounts: LocalAccounts

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

    def wake(self, *signals: Signal) -> None:
        """Hints for the bus, published after the commit and lost with a crash."""
        ...


class Database(Protocol):
    """The door to storage."""

    deliveries: Deliveries
    work: Work
    outbox: Outbox
    queries: Queries

    def transaction(self, *, within: float = 5.0) -> AbstractAsyncContextManager[Transaction]:
        """A clean exit commits, an exception rolls back. `within` is the limit in seconds for all of it.

        Raises `CommitUnknown` if the connection is lost during COMMIT. No remote call may be made inside.
        """
        ...
