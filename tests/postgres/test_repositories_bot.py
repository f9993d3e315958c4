"""What the assistant knows, as it was stored by anybody, and its turns."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_conversation, a_message, an_account, execute
from inbox.adapters.database.postgres.bot import PostgresBot
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.bot_briefing import knowledge
from inbox.domain.bot_profile import Behaviour, Company, CustomField, Faq, Offer, Profile, SystemRules, TemplateConfig
from inbox.domain.bot_schedule import Answers, OpeningHours, Schedule
from inbox.domain.errors import AccountNotFound, ConversationNotFound
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, TurnId, uuid7
from inbox.ports.bot import TurnEnd
from inbox.ports.records import BotTurn


async def stored(engine: AsyncEngine, account: AccountId, custom_fields: str | None, config: str | None) -> None:
    await execute(
        engine,
        """insert into bot_profiles (account_id, custom_fields, template_config)
           values (:account, cast(:fields as jsonb), cast(:config as jsonb))
           on conflict (account_id) do update
           set custom_fields = excluded.custom_fields, template_config = excluded.template_config""",
        account=account,
        fields=custom_fields,
        config=config,
    )


async def profile_of(engine: AsyncEngine, account: AccountId) -> Profile | None:
    row = await PostgresQueries(Reader(engine), SEALER).bot_profile(account)
    return None if row is None else Profile(**{name: getattr(row, name) for name in Profile.__struct_fields__})


async def read(engine: AsyncEngine, account: AccountId) -> Profile:
    profile = await profile_of(engine, account)
    assert profile is not None
    return profile


async def put(engine: AsyncEngine, profile: Profile) -> None:
    async with engine.begin() as connection:
        await PostgresBot(connection).put_profile(profile)


async def test_a_profile_comes_back_as_it_was_put_and_is_replaced_as_a_whole(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    assert await profile_of(engine, AccountId(uuid7())) is None
    assert (await read(engine, account)).behaviour == Behaviour()
    profile = Profile(
        account_id=account,
        business_name="Atelier Lyon",
        hours="Mar-Sam 9h-18h",
        custom_fields=[CustomField(id="1", label="Parking", value="Gratuit")],
        template_config=TemplateConfig(
            company=Company(name="Atelier"), offers=[Offer(category="Révision", content="Sur devis")]
        ),
        behaviour=Behaviour(
            language=Language.ENGLISH,
            link_domains=("a.example",),
            schedule=Schedule(time_zone="UTC", business_hours=(OpeningHours(day=1, opens="09:00", closes="18:00"),)),
            auto_on=True,
        ),
    )
    await put(engine, profile)
    assert await profile_of(engine, account) == profile
    await put(engine, Profile(account_id=account, description="Vélos"))
    assert await profile_of(engine, account) == Profile(account_id=account, description="Vélos")


@pytest.mark.parametrize("stored", ["[]", "null", '{"language": "elvish"}', '{"schedule": 7}'])
async def test_a_behaviour_that_this_version_does_not_understand_makes_the_assistant_silent(
    engine: AsyncEngine, stored: str
) -> None:
    account = (await an_account(engine)).account_id
    await put(engine, Profile(account_id=account, hours="9h"))
    await execute(engine, "update bot_profiles set behaviour = cast(:stored as jsonb)", stored=stored)
    profile = await read(engine, account)
    silent = Schedule(answers=Answers.NEVER, time_zone="UTC")
    assert (profile.behaviour, profile.hours) == (Behaviour(schedule=silent), "9h")


async def test_who_knows_nothing_of_a_behaviour_leaves_it_as_it_is(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    told = Behaviour(language=Language.ENGLISH, auto_on=True)
    await put(engine, Profile(account_id=account, behaviour=told))
    async with engine.begin() as connection:
        await PostgresBot(connection).put_profile(Profile(account_id=account, hours="9h"), keeps_behaviour=True)
    profile = await read(engine, account)
    assert (profile.behaviour, profile.hours) == (told, "9h")


async def test_a_profile_belongs_to_its_account(engine: AsyncEngine) -> None:
    mine, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    await put(engine, Profile(account_id=mine, business_name="Atelier"))
    assert (await read(engine, other)).business_name == ""
    with pytest.raises(AccountNotFound):
        await put(engine, Profile(account_id=AccountId(uuid7())))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, TemplateConfig()),
        ("null", TemplateConfig()),
        ("{}", TemplateConfig()),
        ("[]", TemplateConfig()),
        ('"text"', TemplateConfig()),
        ('{"company": []}', TemplateConfig()),
        ('{"offers": {"category": "x"}}', TemplateConfig()),
        ('{"special_rules": null, "unknown": 1}', TemplateConfig()),
        ('{"company": {"name": "Atelier", "siret": "1"}}', TemplateConfig(company=Company(name="Atelier"))),
        (
            '{"system_rules": {"tone": null, "role": 3, "style": true}}',
            TemplateConfig(system_rules=SystemRules(role="3")),
        ),
        (
            '{"faq": [{"question": "Ouvert ?", "_id": "1"}, "x", null]}',
            TemplateConfig(faq=[Faq(question="Ouvert ?")]),
        ),
    ],
)
async def test_a_playbook_of_an_old_row_is_read_whatever_it_holds(
    engine: AsyncEngine, config: str | None, expected: TemplateConfig
) -> None:
    account = (await an_account(engine)).account_id
    await stored(engine, account, None, config)
    assert (await read(engine, account)).template_config == expected


async def test_custom_fields_without_id_get_one_that_stays(engine: AsyncEngine) -> None:
    account, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    fields = '[{"label": "Parking", "value": "oui"}, {"id": "kept", "label": "Wifi"}, 7, {"label": "x", "id": null}]'
    for one in (account, other):
        await stored(engine, one, fields, None)
    profile = await read(engine, account)
    first, second, third = profile.custom_fields
    assert (first.label, first.value) == ("Parking", "oui")
    assert second == CustomField(id="kept", label="Wifi")
    assert len({first.id, second.id, third.id, ""}) == 4
    assert await profile_of(engine, account) == profile
    assert (await read(engine, other)).custom_fields[0].id != first.id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*TemplateConfig.__struct_fields__, "name", "question", "id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(fields=JSON, config=JSON)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_no_stored_json_fails_to_read(engine: AsyncEngine, fields: object, config: object) -> None:
    account = (await an_account(engine)).account_id
    await stored(engine, account, msgspec.json.encode(fields).decode(), msgspec.json.encode(config).decode())
    profile = await read(engine, account)
    assert msgspec.convert(msgspec.to_builtins(profile), Profile) == profile
    assert knowledge(profile, None)


# --- turns ------------------------------------------------------------------------------------------------------------


async def a_turn(engine: AsyncEngine, **changes: Any) -> BotTurn:  # noqa: ANN401 - fields of a turn
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    trigger = await a_message(engine, account, conversation, direction="inbound")
    turn = BotTurn(
        id=TurnId(uuid7()),
        account_id=account,
        conversation_id=conversation,
        trigger_message_id=trigger,
        epoch=2,
    )
    return msgspec.structs.replace(turn, **changes)


async def open_turn(engine: AsyncEngine, turn: BotTurn) -> BotTurn | None:
    async with engine.begin() as connection:
        return await PostgresBot(connection).open_turn(turn)


def again(turn: BotTurn, **changes: Any) -> BotTurn:  # noqa: ANN401 - fields of a turn
    return msgspec.structs.replace(turn, id=TurnId(uuid7()), **changes)


async def test_a_turn_is_opened_once_for_a_message_and_an_epoch(engine: AsyncEngine) -> None:
    turn = await a_turn(engine)
    assert await open_turn(engine, turn) == turn
    assert await open_turn(engine, again(turn)) == turn
    later = again(turn, epoch=3)
    assert await open_turn(engine, later) == later


async def test_many_workers_open_the_same_turn(engine: AsyncEngine) -> None:
    turn = await a_turn(engine)
    opened = await asyncio.gather(*(open_turn(engine, again(turn)) for _ in range(6)))
    assert None not in opened
    assert len({one.id for one in opened if one}) == 1


async def test_a_closed_turn_is_not_opened_again_and_keeps_its_first_outcome(engine: AsyncEngine) -> None:
    turn = await a_turn(engine)
    await open_turn(engine, turn)
    async with engine.begin() as connection:
        bot = PostgresBot(connection)
        await bot.close_turn(turn, TurnEnd(state="answered", answer="Oui.", model="m-1", tokens=(120, 8), cost=7))
        await bot.close_turn(turn, TurnEnd(state="handed_over", reason="too_old"))
    assert await open_turn(engine, again(turn)) is None
    (row,) = await execute(engine, "select * from bot_turns")
    assert (row.state, row.answer, row.reason, row.model) == ("answered", "Oui.", None, "m-1")
    assert (row.tokens_in, row.tokens_out, row.cost, row.finished_at is not None) == (120, 8, 7, True)


async def test_a_turn_of_another_account_is_neither_opened_nor_closed(engine: AsyncEngine) -> None:
    turn = await a_turn(engine)
    other = (await an_account(engine)).account_id
    with pytest.raises(ConversationNotFound):
        await open_turn(engine, again(turn, account_id=other))
    await open_turn(engine, turn)
    foreign = msgspec.structs.replace(turn, account_id=other)
    async with engine.begin() as connection:
        await PostgresBot(connection).close_turn(foreign, TurnEnd(state="dropped"))
    assert await open_turn(engine, again(turn)) == turn
    elsewhere = await a_conversation(engine, other)
    with pytest.raises(ConversationNotFound):
        await open_turn(engine, again(turn, account_id=other, conversation_id=elsewhere))
