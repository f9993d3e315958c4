"""What may be named in a subscription, and what it costs to look."""

from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.errors import AccountNotFound
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, UserId
from inbox.entrypoints.http.interests import permitted
from inbox.ports.database import Database
from services.rights_scene import forgetful
from statement_counts import counting


def everywhere() -> Actor:
    """Knows every account, also one that is not there."""
    grants = (Grant(code=Permission.ACCOUNTS_VIEW, account_id=None),)
    return Actor(user_id=UserId(uuid4()), email=None, is_active=True, grants=grants)


async def test_however_many_are_named_they_cost_two_statements(database: Database, engine: AsyncEngine) -> None:
    accounts = [(await an_account(engine, is_active=bool(n))).account_id for n in range(3)]
    talks = [await a_conversation(engine, account) for account in accounts]
    with counting() as statements:
        interest = await permitted(forgetful(database), everywhere(), [*accounts, accounts[0]], talks)
    assert interest == Interest(frozenset(accounts), frozenset(talks))
    assert len(statements) == 2


async def test_one_that_is_missing_refuses_all(database: Database, engine: AsyncEngine) -> None:
    there, missing = (await an_account(engine)).account_id, AccountId(uuid4())
    for wanted in ([missing], [there, missing]):
        with pytest.raises(AccountNotFound):
            await permitted(forgetful(database), everywhere(), wanted, None)
