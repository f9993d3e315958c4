"""Deliveries that are signed with the app secret of one account: the installation's secrets come first."""

import json

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import NUMBER, a_body, a_message, a_status, an_envelope
from builders import SEALER, an_account, execute
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.errors import (
    DatabaseUnavailable,
    InvalidSignature,
    MissingSignature,
    SecretUnreadable,
    SignatureNotConfigured,
)
from inbox.kit.signing import sign
from inbox.ports.database import Database
from inbox.ports.records import AppSecret
from inbox.services.intake import Intake
from services.rights_scene import Seconds, remembering
from statement_counts import counting

SECRET = b"app-secret"
OWN = b"of-the-shop"
WABA = "800111"
"""The one that `an_envelope` speaks of."""


class Downed:
    """A database that cannot be read."""

    def __init__(self) -> None:
        self.queries = self

    async def app_secrets(self) -> list[AppSecret]:
        raise DatabaseUnavailable


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(signals: MemoryEvents, seconds: Seconds) -> MemoryCache:
    return MemoryCache(signals, clock=seconds)


@pytest.fixture
async def make(database: Database, cache: MemoryCache, seconds: Seconds):
    async with remembering(database, cache, seconds) as rights:

        def intake(*secrets: bytes, database=database) -> Intake:
            return Intake(database, CloudApiCodec(secrets), rights, verify_token=None, is_signed=True)

        yield intake


async def with_secret(
    engine: AsyncEngine,
    secret: bytes = OWN,
    *,
    is_active: bool = True,
    phone_number_id: str | None = None,
    waba_id: str | None = None,
):
    account_id = (await an_account(engine, is_active=is_active, phone_number_id=phone_number_id)).account_id
    sealed = SEALER.seal(secret.decode(), table="whatsapp_accounts", column="app_secret", row_id=account_id)
    await execute(
        engine,
        "update whatsapp_accounts set app_secret_sealed = :sealed, waba_id = :waba_id where id = :id",
        sealed=sealed,
        waba_id=waba_id,
        id=account_id,
    )
    return account_id


def noticed(field: str, /, *, number: str | None = None, **value: str) -> bytes:
    """A notice about a WABA, and about a number of ours if one is named."""
    metadata = {"metadata": {"phone_number_id": number}} if number else {}
    return json.dumps(an_envelope({**value, **metadata}, field=field)).encode()


TEMPLATE = {"message_template_name": "promo", "message_template_language": "fr"}
NOTICES = [
    noticed("account_update", event="DISABLED_UPDATE"),
    noticed("phone_number_quality_update", event="THROUGHPUT_UPGRADE", display_phone_number="33190000000"),
    noticed("message_template_status_update", event="DISABLED", **TEMPLATE),
]


async def bodies(engine: AsyncEngine) -> list[bytes]:
    return [row.body for row in await execute(engine, "select body from deliveries order by id")]


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("configured", [(), (SECRET,)])
async def test_a_delivery_that_is_signed_with_the_secret_of_an_account_is_stored(
    make, engine: AsyncEngine, configured, is_active
) -> None:
    await with_secret(engine, b"of-another")
    await with_secret(engine, is_active=is_active, phone_number_id=NUMBER)
    body = a_body(a_message())
    await make(*configured).accept([sign(OWN, body)], body)
    assert await bodies(engine) == [body]


@pytest.mark.parametrize("body", [a_body(a_message()), a_body(statuses=[a_status()]), a_body({"broken": True})])
async def test_the_secret_of_an_account_proves_nothing_about_the_number_of_another(make, engine: AsyncEngine, body):
    await with_secret(engine, phone_number_id="1")
    await an_account(engine, phone_number_id=NUMBER)
    with pytest.raises(InvalidSignature):
        await make(SECRET).accept([sign(OWN, body)], body)
    hidden = body.replace(b"phone_number_id", rb"phone_number\u005fid")
    assert hidden != body
    with pytest.raises(InvalidSignature):
        await make(SECRET).accept([sign(OWN, hidden)], hidden)
    assert await bodies(engine) == []


@pytest.mark.parametrize("body", NOTICES)
async def test_the_secret_of_an_account_proves_nothing_about_the_waba_of_another(
    make, engine: AsyncEngine, body
) -> None:
    await with_secret(engine, phone_number_id=NUMBER, waba_id="800999")
    for waba_id in (WABA, None):
        await with_secret(engine, b"of-another", waba_id=waba_id)
    with pytest.raises(InvalidSignature):
        await make(SECRET).accept([sign(OWN, body)], body)
    assert await bodies(engine) == []


async def test_templates_of_another_waba_are_not_reached_by_naming_a_number_of_ones_own(make, engine: AsyncEngine):
    await with_secret(engine, phone_number_id=NUMBER)
    body = noticed("message_template_status_update", number=NUMBER, event="DISABLED", **TEMPLATE)
    with pytest.raises(InvalidSignature):
        await make(SECRET).accept([sign(OWN, body)], body)
    assert await bodies(engine) == []


@pytest.mark.parametrize("body", NOTICES)
async def test_a_notice_about_the_waba_of_an_account_is_proven_by_its_secret(make, engine: AsyncEngine, body) -> None:
    await with_secret(engine, phone_number_id=NUMBER, waba_id=WABA)
    await make(SECRET).accept([sign(OWN, body)], body)
    assert await bodies(engine) == [body]


async def test_an_account_without_a_waba_hears_about_its_number(make, engine: AsyncEngine) -> None:
    await with_secret(engine, phone_number_id=NUMBER)
    body = a_body(errors=[{"code": 131031, "title": "Account has been locked"}])
    await make(SECRET).accept([sign(OWN, body)], body)
    assert await bodies(engine) == [body]


async def test_accounts_that_share_an_app_may_share_a_delivery(make, engine: AsyncEngine) -> None:
    await with_secret(engine, phone_number_id="1")
    await with_secret(engine, phone_number_id=NUMBER)
    body = a_body(a_message())
    await make().accept([sign(OWN, body)], body)
    assert await bodies(engine) == [body]


async def test_a_delivery_that_is_signed_with_the_configured_secret_reads_no_secret_of_accounts(
    make, engine: AsyncEngine
) -> None:
    await with_secret(engine)
    body = a_body(a_message())
    with counting() as seen:
        await make(b"newer", SECRET).accept([sign(SECRET, body)], body)
    assert [statement for statement in seen if "whatsapp_accounts" in statement] == []
    assert await bodies(engine) == [body]


async def test_a_forged_delivery_is_refused_whatever_secrets_accounts_have(make, engine: AsyncEngine) -> None:
    await with_secret(engine)
    body = a_body(a_message())
    for configured in ((), (SECRET,)):
        for signature in (sign(b"guessed", body), sign(b"", body), sign(OWN, body + b" "), b"sha256=00", b""):
            with pytest.raises(InvalidSignature):
                await make(*configured).accept([signature], body)
        with pytest.raises(InvalidSignature):
            await make(*configured).accept([sign(OWN, body), sign(OWN, body)], body)
    assert await bodies(engine) == []


async def test_an_unsigned_delivery_is_refused_and_reads_nothing(make, engine: AsyncEngine) -> None:
    await with_secret(engine)
    with counting() as seen, pytest.raises(MissingSignature):
        await make(SECRET).accept([], b"{}")
    assert seen == []
    with pytest.raises(MissingSignature):
        await make().accept([], b"{}")
    assert await bodies(engine) == []


async def test_without_any_secret_nobody_can_be_believed(make, engine: AsyncEngine) -> None:
    await an_account(engine)
    for signatures in ([sign(b"", b"{}")], []):
        with pytest.raises(SignatureNotConfigured):
            await make().accept(signatures, b"{}")


async def test_forgeries_read_the_secrets_once_in_a_minute(make, engine: AsyncEngine, seconds: Seconds) -> None:
    await with_secret(engine)
    intake = make(SECRET)
    with counting() as seen:
        for _ in range(5):
            with pytest.raises(InvalidSignature):
                await intake.accept([sign(b"guessed", b"{}")], b"{}")
        assert len(seen) == 1
        seconds.now += 61
        with pytest.raises(InvalidSignature):
            await intake.accept([sign(b"guessed", b"{}")], b"{}")
    assert len(seen) == 2


async def test_a_secret_that_was_taken_away_is_good_no_longer_than_a_minute_and_not_at_all_after_the_signal(
    make, engine: AsyncEngine, cache: MemoryCache, seconds: Seconds
) -> None:
    await with_secret(engine)
    intake, bodies_sent = make(SECRET), [b'{"n":%d}' % n for n in range(3)]
    await intake.accept([sign(OWN, bodies_sent[0])], bodies_sent[0])
    await execute(engine, "update whatsapp_accounts set app_secret_sealed = null")
    seconds.now += 61
    with pytest.raises(InvalidSignature):
        await intake.accept([sign(OWN, bodies_sent[1])], bodies_sent[1])
    await with_secret(engine)
    await cache.forget("rights")
    await intake.accept([sign(OWN, bodies_sent[1])], bodies_sent[1])
    await execute(engine, "update whatsapp_accounts set app_secret_sealed = null")
    await cache.forget("rights")
    with pytest.raises(InvalidSignature):
        await intake.accept([sign(OWN, bodies_sent[2])], bodies_sent[2])


async def test_while_the_secrets_cannot_be_read_the_answer_is_an_outage_and_no_refusal(
    make, engine: AsyncEngine
) -> None:
    await with_secret(engine)
    intake = make(SECRET, database=Downed())
    with pytest.raises(DatabaseUnavailable):
        await intake.accept([sign(OWN, b"{}")], b"{}")
    await make(SECRET).accept([sign(OWN, b"{}")], b"{}")
    assert await bodies(engine) == [b"{}"]


async def test_a_secret_that_does_not_open_is_named_and_nothing_is_believed(make, engine: AsyncEngine) -> None:
    first, second = await with_secret(engine), await with_secret(engine, b"of-another")
    await execute(
        engine,
        """update whatsapp_accounts set app_secret_sealed =
           (select app_secret_sealed from whatsapp_accounts where id = :first) where id = :second""",
        first=first,
        second=second,
    )
    with pytest.raises(SecretUnreadable):
        await make(SECRET).accept([sign(OWN, b"{}")], b"{}")
    assert await bodies(engine) == []
