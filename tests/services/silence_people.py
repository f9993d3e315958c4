"""What people do that screens show.

Each operation prepares, yields, and does the one thing.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

import msgspec

from builders import an_account, execute
from inbox.domain.access import Permission
from inbox.domain.accounts import AccountChange, NewAccount
from inbox.domain.contacts import ContactChange
from inbox.domain.content import Text
from inbox.domain.ids import AccountId, ContactId, uuid7
from inbox.domain.outbound import State
from member_builders import a_user, give_override
from postgres.identity_scene import OTHER_PHONE
from services.silence_scene import Scene

Steps = AsyncIterator[None]
Operation = Callable[[Scene], Steps]
A_DAY: Final = timedelta(days=1)


async def reading(s: Scene) -> Steps:
    yield
    await s.conversations.mark_read(s.ana, s.talk)


async def marking_as_unread(s: Scene) -> Steps:
    await s.conversations.mark_read(s.ana, s.talk)
    yield
    await s.conversations.mark_unread(s.ana, s.talk)


async def a_favorite(s: Scene) -> Steps:
    yield
    await s.conversations.set_favorite(s.ana, s.talk, favorite=True)


async def the_switch_of_the_bot(s: Scene) -> Steps:
    yield
    await s.conversations.switch_bot(s.ana, s.talk, enabled=True)


async def giving_it_to_somebody(s: Scene) -> Steps:
    bea = await a_user(s.engine)
    await give_override(s.engine, bea, Permission.MESSAGES_VIEW, is_allowed=True)
    yield
    await s.conversations.assign(s.ana, s.talk, bea)


async def beginning_a_conversation(s: Scene) -> Steps:
    yield
    await s.conversations.find_or_create(s.ana, s.mine.account_id, OTHER_PHONE)


async def beginning_one_with_somebody_known(s: Scene) -> Steps:
    await s.contacts.add(s.ana, OTHER_PHONE, "Marc")
    yield
    await s.conversations.find_or_create(s.ana, s.other.account_id, OTHER_PHONE)


async def sending(s: Scene) -> Steps:
    yield
    await s.outbound.accept(s.ana, s.talk, Text(body="Bien sûr"), key="one")


async def sending_after_the_window(s: Scene) -> Steps:
    s.clock.forward(days=2)
    yield
    await s.outbound.accept(s.ana, s.talk, Text(body="Bien sûr"), key=None)


async def sending_later(s: Scene) -> Steps:
    yield
    await s.outbound.accept(s.ana, s.talk, Text(body="Demain"), key=None, send_at=s.clock() + A_DAY)


async def cancelling(s: Scene) -> Steps:
    message = await s.ours()
    yield
    await s.decisions.cancel(s.ana, message)


async def discarding(s: Scene) -> Steps:
    message = await s.ours(State.UNCONFIRMED)
    yield
    await s.decisions.discard(s.ana, message)


async def sending_again(s: Scene) -> Steps:
    message = await s.ours(State.EXPIRED)
    yield
    await s.decisions.resend(s.ana, message)


async def a_new_contact(s: Scene) -> Steps:
    yield
    await s.contacts.add(s.ana, OTHER_PHONE, "Marc")


async def another_name_for_a_contact_of_two_numbers(s: Scene) -> Steps:
    yield
    await s.contacts.change(s.ana, s.contact, ContactChange(display_name="Léa B."))


async def another_number_for_a_contact(s: Scene) -> Steps:
    item = await s.contacts.add(s.ana, OTHER_PHONE, "Marc")
    yield
    await s.contacts.change(s.ana, ContactId(item.id), ContactChange(number="33698765433"))


async def taking_a_contact_away(s: Scene) -> Steps:
    item = await s.contacts.add(s.ana, OTHER_PHONE, "Marc")
    yield
    await s.contacts.remove(s.ana, ContactId(item.id))


async def a_new_account(s: Scene) -> Steps:
    yield
    await s.accounts.create(s.ana, an_account_to_be())


async def another_name_for_an_account(s: Scene) -> Steps:
    yield
    await s.accounts.change(s.ana, s.mine.account_id, AccountChange(name="Atelier"))


async def a_new_token_after_a_pause(s: Scene) -> Steps:
    await execute(s.engine, "update whatsapp_accounts set paused_at = now(), paused_reason = 'token_invalid'")
    yield
    await s.accounts.change(s.ana, s.mine.account_id, AccountChange(access_token="new"))


async def taking_an_account_away_that_was_used(s: Scene) -> Steps:
    yield
    await s.accounts.delete(s.ana, s.mine.account_id)


async def taking_an_account_away_that_was_not(s: Scene) -> Steps:
    account = await an_account(s.engine)
    yield
    await s.accounts.delete(s.ana, account.account_id)


async def the_account_of_the_environment(s: Scene) -> Steps:
    yield
    await put_default(s, an_account_to_be())


async def another_number_in_the_environment(s: Scene) -> Steps:
    await put_default(s, an_account_to_be())
    yield
    await put_default(s, msgspec.structs.replace(an_account_to_be(), phone_number_id="10700000002"))


def an_account_to_be() -> NewAccount:
    return NewAccount(
        name="Filiale",
        slug="filiale",
        phone_number="+33190000000",
        phone_number_id="10700000001",
        access_token="token",
        verify_token="verify",
    )


async def put_default(s: Scene, new: NewAccount) -> None:
    async with s.database.transaction() as tx:
        await tx.accounts.put_default(AccountId(uuid7()), new)


PEOPLE: Final[tuple[Operation, ...]] = (
    reading,
    marking_as_unread,
    a_favorite,
    the_switch_of_the_bot,
    giving_it_to_somebody,
    beginning_a_conversation,
    beginning_one_with_somebody_known,
    sending,
    sending_after_the_window,
    sending_later,
    cancelling,
    discarding,
    sending_again,
    a_new_contact,
    another_name_for_a_contact_of_two_numbers,
    another_number_for_a_contact,
    taking_a_contact_away,
    a_new_account,
    another_name_for_an_account,
    a_new_token_after_a_pause,
    taking_an_account_away_that_was_used,
    taking_an_account_away_that_was_not,
    the_account_of_the_environment,
    another_number_in_the_environment,
)
