"""What changes inside a transaction, one repository per noun.

Tenant data names its account in every call. All methods raise `DatabaseUnavailable` and `DatabaseTimeout`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from inbox.domain.access import Actor, Grant, Reach, Subject
from inbox.domain.accounts import Account, AccountChange, Channel, NewAccount
from inbox.domain.audit import Action
from inbox.domain.bot import Mode
from inbox.domain.contacts import Address, ContactChange
from inbox.domain.content import Content
from inbox.domain.conversations import Conversation
from inbox.domain.events import Event, MessageCreated
from inbox.domain.ids import AccountId, ContactId, ConversationId, MessageId, UserId
from inbox.domain.outbound import Step
from inbox.domain.outgoing import Sendable
from inbox.ports.media import MediaKey
from inbox.ports.records import (
    Closed,
    FilesOfConversation,
    History,
    IdempotencyKey,
    MediaOutcome,
    Missing,
    NewApiKey,
    NewMessage,
    PendingFile,
    Role,
    RoleChange,
    Target,
    Unseen,
)
from inbox.ports.views import ApiKeyItem, ContactItem, ConversationRow, RoleRow


class Accounts(Protocol):
    async def add(self, account_id: AccountId, new: NewAccount) -> None:
        """Raises `SlugTaken`, `PhoneNumberIdTaken`."""
        ...

    async def put_default(self, account_id: AccountId, new: NewAccount) -> AccountId:
        """The account from the environment: created, or overwritten under its slug. Raises `PhoneNumberIdTaken`."""
        ...

    async def get(self, account_id: AccountId) -> Account | None: ...

    async def lock(self, account_id: AccountId) -> Account:
        """The row, locked until the transaction ends: no conversation of it can begin. Raises `AccountNotFound`."""
        ...

    async def change(self, account_id: AccountId, change: AccountChange) -> None:
        """Writes what `change` names. A new access token ends a pause.

        Raises `AccountNotFound`, `SlugTaken`, `PhoneNumberIdTaken`.
        """
        ...

    async def remove(self, account_id: AccountId) -> bool:
        """Deletes a locked account with what hangs on it and returns True; False if it has conversations.

        Then nothing changes: the account can only be deactivated.
        """
        ...

    async def set_ceiling(self, account_id: AccountId, ceiling: float) -> float:
        """How many messages a second the number of a locked account may send; what it learned is forgotten.

        Returns the ceiling of before.
        """
        ...

    async def channel(self, account_id: AccountId) -> Channel:
        """Raises `AccountNotFound`, `SecretUnreadable`."""
        ...


class Contacts(Protocol):
    """Contacts belong to the whole installation."""

    async def add(self, contact_id: ContactId, number: str, display_name: str | None) -> ContactItem:
        """`number` in digits as WhatsApp sends them. Raises `WhatsAppNumberTaken`, whatever the form of the number.

        Somebody whom WhatsApp named without their having written is shown from now on, under the id that they have.
        """
        ...

    async def change(self, contact_id: ContactId, change: ContactChange) -> ContactItem:
        """Writes what `change` names. A name of a person stays whatever WhatsApp says later.

        One that is taken away lets WhatsApp's count again. Raises `ContactNotFound`, `WhatsAppNumberTaken`, and
        `ContactInUse` for another number of somebody with conversations.
        """
        ...

    async def remove(self, contact_id: ContactId) -> None:
        """Raises `ContactNotFound`, `ContactInUse`."""
        ...


class Conversations(Protocol):
    """What names an account raises `ConversationNotFound` for a conversation that the account does not have."""

    async def lock(
        self, account_id: AccountId, conversation_id: ConversationId, *, to_send_last: bool = False
    ) -> Conversation:
        """The row, locked until the transaction ends. Raises `ConversationNotFound`.

        With `to_send_last` the lane of its sends as well: for a transaction that locks nothing else afterwards but what
        it makes, and whose last step is to queue a message there.
        """
        ...

    async def find_or_create(self, account_id: AccountId, to: Address, now: datetime) -> tuple[ConversationId, bool]:
        """The conversation with `to`, and whether it is new: then it is empty, with the bot off, updated `now`.

        Raises `AccountNotFound`.
        """
        ...

    async def mark(
        self,
        reach: Reach,
        conversation_id: ConversationId,
        *,
        is_read: bool | None = None,
        is_favorite: bool | None = None,
    ) -> ConversationRow | None:
        """Sets `unread_count` to 0, or to at least 1; sets the favourite mark. None leaves things as they are.

        None is also the answer if there is no such conversation within `reach`.
        """
        ...

    async def contact_name(self, account_id: AccountId, conversation_id: ConversationId) -> str | None:
        """The name, else the number, of the conversation's contact."""
        ...

    async def switch_bot(self, account_id: AccountId, conversation_id: ConversationId, mode: Mode) -> ConversationRow:
        """Sets the operator's switch, raises the epoch and ends a hand-over."""
        ...

    async def assign(
        self, account_id: AccountId, conversation_id: ConversationId, assignee_id: UserId | None, now: datetime
    ) -> ConversationRow:
        """Gives it to somebody to look after, which raises the epoch, or takes it away from whoever has it."""
        ...

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


class MediaFiles(Protocol):
    """Files of messages on their way into the store of ours."""

    async def pending(
        self, account_id: AccountId, message_id: MessageId, *, most_failures: int, within: timedelta
    ) -> PendingFile | None:
        """The file of a message if it still has to be fetched."""
        ...

    async def overdue(self, keys: Sequence[MediaKey], now: datetime) -> list[MediaKey]:
        """Those whose files were not fetched in time: WhatsApp does not have them any more at `now`.

        Their messages stay where they are until the transaction ends, as `expire` needs it. To be called before lanes
        are finished.
        """
        ...

    async def expire(self, keys: Sequence[MediaKey]) -> list[Event]:
        """Gives up these files; returns what to tell."""
        ...

    async def of_conversation(self, account_id: AccountId, conversation_id: ConversationId) -> FilesOfConversation: ...

    async def count_failure(self, account_id: AccountId, *, within: timedelta) -> None:
        """One more call to WhatsApp about a file failed. Those older than `within` are forgotten."""
        ...

    async def hold(self, account_id: AccountId, message_id: MessageId) -> None:
        """The message stays where it is until the transaction ends. To be called before lanes are finished."""
        ...

    async def settle(self, account_id: AccountId, message_id: MessageId, outcome: MediaOutcome) -> Event | None:
        """Writes the outcome; the message is held. Returns what to tell, None if the file was dealt with already."""
        ...


class Messages(Protocol):
    async def queue(self, new: NewMessage, created: MessageCreated | None = None) -> bool:
        """Stores the message as `pending` and its outbox row as `queued`, and enqueues its lane.

        `created` is told of a line of the conversation: `updated_at` moves forward to its time, `bot_last_reply_at` too
        for the bot, and a person raises the epoch, a program does not; that the conversation moved is told as well.
        False if the lane was given back to wait. One per (turn, part): a second one is not stored. With `send_at` the
        row is `scheduled`, its lane hears of it then, and the answer is False. Raises `ConversationNotFound`,
        `TooManyScheduled`.
        """
        ...

    async def add_failed(
        self,
        new: NewMessage,
        created: MessageCreated | None = None,
        *,
        reason: str,
        error_code: int | None,
        error_message: str,
    ) -> None:
        """Stores a message that will not be sent, with an outbox row `failed`.

        `reason` is the code of the error, `error_message` what the operator reads. A line and one per (turn, part),
        like `queue`, but the epoch stays. Raises `ConversationNotFound`.
        """
        ...

    async def remember(self, key: IdempotencyKey, message_id: MessageId) -> MessageId | None:
        """Claims an idempotency key for `message_id`; returns the earlier message if the key is known.

        Waits for a first request that is still running. The message is stored afterwards, in the same transaction:
        without it the commit fails. Raises `IdempotencyKeyReused` if the body differs.
        """
        ...

    async def unseen(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        last_seen: MessageId | None,
        *,
        by: UserId | None,
        limit: int,
    ) -> Unseen | None:
        """What others than `by` added to a thread behind `last_seen`, in its order: the newest `limit`.

        Everything that others wrote counts if `last_seen` is None. None for a message that the thread does not have.
        """
        ...

    async def content(self, account_id: AccountId, message_id: MessageId) -> Content | Sendable | None:
        """What a message of ours says; None if there is none such, or if nothing typed is stored of it."""
        ...

    async def decide(
        self, account_id: AccountId, message_id: MessageId, step: Step, expires_at: datetime | None = None
    ) -> Event | None:
        """Takes a step that people decide on, in a locked conversation, and returns what to tell.

        None if the message does not stand where `domain.outbound` lets it happen, or if WhatsApp took it once. Back in
        `queued` it may be sent until `expires_at`.
        """
        ...

    async def close(self, account_id: AccountId, message_id: MessageId, step: Step) -> Closed | None:
        """Keeps what a person decided about a message that WhatsApp took and failed later. It stays failed.

        None if it is no such message, or if somebody decided about it before.
        """
        ...

    async def target(
        self, account_id: AccountId, conversation_id: ConversationId, named: MessageId | str
    ) -> Target | None:
        """A message of the conversation by our id or by its wamid; None if WhatsApp has none such."""
        ...

    async def history(self, account_id: AccountId, conversation_id: ConversationId, limit: int) -> list[History]:
        """The newest `limit` messages, oldest first.

        Without system rows, reactions, and failed messages of ours, which the customer never got. JSON that the
        existing system stored as text reads as in the list of messages.
        """
        ...


class Members(Protocol):
    """People. What changes rights is preceded by `Transaction.change_rights`."""

    async def sign_in(
        self, subject: Subject, *, bootstrap_email: str | None, default_role: str | None
    ) -> tuple[Action, ...]:
        """Makes the user's row at the first sign-in, once however many come at the same time; returns what was done.

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

    async def add(self, subject: Subject) -> None:
        """An active row for somebody who has not signed in yet. One that is there stays as it is."""
        ...

    async def lock(self, user_id: UserId) -> None:
        """The user's row is locked until the transaction ends. Raises `UserNotFound`."""
        ...

    async def actor(self, user_id: UserId) -> Actor | None:
        """The person with every grant that counts now; after `change_rights` nobody changes them meanwhile."""
        ...

    async def set_active(self, user_id: UserId, *, is_active: bool) -> None:
        """Raises `UserNotFound`."""
        ...

    async def replace_roles(self, user_id: UserId, assignments: Sequence[tuple[UUID, AccountId | None]]) -> None:
        """The complete new set of (role id, account); equal ones collapse.

        Raises `UserNotFound`, `RoleNotFound`, `AccountNotFound`.
        """
        ...

    async def replace_overrides(self, user_id: UserId, overrides: Sequence[Grant]) -> None:
        """The complete new set; equal ones collapse, a deny beats an allow of the same scope.

        Raises `UserNotFound`, `AccountNotFound`.
        """
        ...

    async def has_admin(self) -> bool:
        """True while an active person holds the role `admin` globally, with users.manage and roles.manage in effect."""
        ...


class Roles(Protocol):
    """Every change is preceded by `Transaction.change_rights`."""

    async def get(self, role_id: UUID) -> RoleRow | None: ...

    async def missing(
        self, *, roles: Collection[UUID] = (), accounts: Collection[UUID] = (), codes: Collection[str] = ()
    ) -> Missing:
        """Which of the roles, accounts and permission codes that a change is about to refer to do not exist."""
        ...

    async def add(self, role: Role) -> RoleRow:
        """Raises `SlugTaken`."""
        ...

    async def change(self, role_id: UUID, change: RoleChange) -> RoleRow:
        """Writes what `change` names. Raises `RoleNotFound`, `SlugTaken`."""
        ...

    async def remove(self, role_id: UUID) -> None:
        """With its assignments. Raises `RoleNotFound`."""
        ...


class ApiKeys(Protocol):
    """Every change is preceded by `Transaction.change_rights`."""

    async def add(self, key: NewApiKey) -> ApiKeyItem:
        """The key as it is shown. Equal grants collapse. Raises `AccountNotFound`."""
        ...

    async def revoke(self, key_id: UUID, now: datetime) -> str:
        """Ends the key and returns its name; a second time changes nothing. Raises `ApiKeyNotFound`."""
        ...
