"""The assistant's profile as screens get it."""

import pytest
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, execute
from inbox.adapters.database.postgres.bot import PostgresBot
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.bot_profile import Company, CustomField, Profile, TemplateConfig
from inbox.domain.ids import AccountId, uuid7
from inbox.ports.views import BotProfileRow
from statement_counts import counting


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


async def test_what_is_stored_is_shown_with_nulls_as_nulls(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    profile = Profile(
        account_id=account,
        business_name="Atelier",
        description="",
        custom_fields=[CustomField(id="1", label="Parking", value="Gratuit")],
        template_config=TemplateConfig(company=Company(name="Atelier")),
    )
    async with engine.begin() as connection:
        await PostgresBot(connection).put_profile(profile)
    with counting(engine) as statements:
        row = await queries.bot_profile(account)
    assert len(statements) == 1
    (stored,) = await execute(engine, "select id from bot_profiles")
    assert isinstance(row, BotProfileRow)
    assert (row.id, row.account_id) == (stored.id, account)
    assert (row.business_name, row.description, row.address, row.hours) == ("Atelier", "", None, None)
    assert (row.custom_fields, row.template_config) == (profile.custom_fields, profile.template_config)
    assert isinstance(row.updated_at, str)
    assert row.updated_at.endswith("Z")
    empty = await queries.bot_profile(other)
    assert isinstance(empty, BotProfileRow)
    assert (empty.id, empty.updated_at, empty.business_name) == (UNSET, UNSET, "")
    assert await queries.bot_profile(AccountId(uuid7())) is None


async def test_a_row_of_the_existing_system_is_complete_and_the_same_at_every_read(
    engine: AsyncEngine, queries: PostgresQueries
) -> None:
    account = (await an_account(engine)).account_id
    await execute(
        engine,
        """insert into bot_profiles (account_id, custom_fields, template_config, created_at, updated_at)
           values (:account, '[{"label": "Parking", "value": "oui"}, {"label": "Wifi", "value": 1}]',
                   '{"company": [], "offers": null}', null, null)""",
        account=account,
    )
    row = await queries.bot_profile(account)
    assert row is not None
    assert row.template_config == TemplateConfig()
    assert [(field.label, field.value) for field in row.custom_fields] == [("Parking", "oui"), ("Wifi", "1")]
    assert len({field.id for field in row.custom_fields} | {""}) == 3
    assert row.updated_at == "1970-01-01T00:00:00.000000Z"
    assert await queries.bot_profile(account) == row
