"""What is known of the file of a message, and to whom a message belongs."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from inbox.domain.access import Reach
from inbox.domain.content import Media, MediaKind
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.ports.database import Database
from inbox.ports.records import Owner
from inbox.ports.views import MediaRow
from statement_counts import counting

EVERYWHERE = Reach(everywhere=True, accounts=())
NOWHERE = Reach(everywhere=False, accounts=())


def only(account: AccountId) -> Reach:
    return Reach(everywhere=False, accounts=(account,))


def all_but(account: AccountId) -> Reach:
    return Reach(everywhere=True, accounts=(account,))


@pytest.fixture
async def account(engine: AsyncEngine) -> AccountId:
    return (await an_account(engine)).account_id


@pytest.fixture
async def conversation(engine: AsyncEngine, account: AccountId) -> ConversationId:
    return await a_conversation(engine, account)


async def a_picture(
    engine: AsyncEngine, account: UUID | None, conversation: UUID | None, *, media_id: str | None = "700"
) -> MessageId:
    """A row of any state, as the previous system may have left it."""
    rows = await execute(
        engine,
        """insert into messages (id, account_id, conversation_id, direction, message_type, media_id, media_mime_type,
                                 media_filename)
           values (:id, :account, :conversation, 'inbound', 'image', :media_id, 'image/jpeg', 'a.jpg') returning id""",
        id=uuid7(),
        account=account,
        conversation=conversation,
        media_id=media_id,
    )
    return MessageId(rows[0].id)


async def test_all_that_is_stored_of_a_file_is_read(engine, database: Database, account, conversation):
    message = await a_picture(engine, account, conversation)
    assert await database.queries.media(only(account), message) == MediaRow(
        account_id=account,
        conversation_id=conversation,
        message_type="image",
        media_id="700",
        mime_type="image/jpeg",
        filename="a.jpg",
    )


async def test_looking_costs_one_statement(engine, database: Database, account, conversation):
    message = await a_picture(engine, account, conversation)
    with counting(engine) as seen:
        await database.queries.media(only(account), message)
    assert len(seen) == 1


async def test_a_message_without_a_file_is_found_without_one(engine, database: Database, account, conversation):
    message = await a_message(engine, account, conversation)
    found = await database.queries.media(EVERYWHERE, message)
    assert found is not None
    assert (found.media_id, found.message_type) == (None, "text")


async def test_only_within_reach_is_anything_found(engine, database: Database, account, conversation):
    other = (await an_account(engine)).account_id
    message = await a_picture(engine, account, conversation)
    queries = database.queries
    for reach in (EVERYWHERE, only(account), all_but(other)):
        assert await queries.media(reach, message) is not None
    for reach in (NOWHERE, only(other), all_but(account)):
        assert await queries.media(reach, message) is None
    assert await queries.media(EVERYWHERE, MessageId(uuid7())) is None


async def test_an_old_message_belongs_to_the_account_of_its_conversation(
    engine, database: Database, account, conversation
):
    message = await a_picture(engine, None, conversation)
    found = await database.queries.media(only(account), message)
    assert found is not None
    assert (found.account_id, found.conversation_id) == (account, conversation)
    owner = Owner(account_id=account, conversation_id=conversation)
    assert await database.queries.owner_of_message(message) == owner


async def test_the_owner_of_a_message_is_its_account_and_conversation(engine, database, account, conversation):
    message = await a_picture(engine, account, conversation)
    owner = Owner(account_id=account, conversation_id=conversation)
    assert await database.queries.owner_of_message(message) == owner
    assert await database.queries.owner_of_message(MessageId(uuid7())) is None


async def test_a_message_without_a_conversation_is_reached_through_its_account(engine, database, account):
    message = await a_picture(engine, account, None)
    found = await database.queries.media(only(account), message)
    assert found is not None
    assert (found.account_id, found.conversation_id) == (account, None)
    assert await database.queries.media(all_but(account), message) is None
    assert await database.queries.owner_of_message(message) is None


async def test_a_message_without_any_owner_is_seen_by_those_who_see_everything(engine, database, account):
    message = await a_picture(engine, None, None)
    found = await database.queries.media(EVERYWHERE, message)
    assert found is not None
    assert (found.account_id, found.conversation_id) == (None, None)
    assert await database.queries.media(only(account), message) is None


async def test_a_message_that_contradicts_its_conversation_is_never_given_to_the_other_account(
    engine, database, account, conversation
):
    other = (await an_account(engine)).account_id
    message = await a_picture(engine, other, conversation)
    assert await database.queries.media(only(account), message) is None
    found = await database.queries.media(only(other), message)
    assert found is not None
    assert (found.account_id, found.conversation_id) == (other, None)


async def test_a_file_of_ingest_is_found_with_its_kind(engine, database, account, conversation):
    content = Media(kind=MediaKind.DOCUMENT, media_id="7", mime_type="application/pdf", filename="f.pdf")
    message = await a_message(engine, account, conversation, content=content)
    found = await database.queries.media(only(account), message)
    assert found is not None
    assert found.message_type == "document"
