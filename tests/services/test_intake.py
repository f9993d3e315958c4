"""A delivery of Meta arrives: it is genuine and stored, or refused by name."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import a_body, a_message
from builders import an_account, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.errors import (
    DatabaseUnavailable,
    InvalidJson,
    InvalidSignature,
    MissingSignature,
    SignatureNotConfigured,
    VerificationFailed,
)
from inbox.kit.signing import sign
from inbox.ports.database import Database
from inbox.services.intake import Intake
from services.rights_scene import forgetful

SECRET = b"app-secret"


TOKEN = "verify-me"


def intake(
    database: Database, *, secrets: tuple[bytes, ...] = (SECRET,), verify_token: str | None = TOKEN, signed=True
) -> Intake:
    rights = forgetful(database)
    return Intake(database, CloudApiCodec(secrets), rights, verify_token=verify_token, is_signed=signed)


async def bodies(engine: AsyncEngine) -> list[bytes]:
    return [row.body for row in await execute(engine, "select body from deliveries order by id")]


# --- the handshake ----------------------------------------------------------------------------------------------------


async def test_the_token_of_the_installation_is_good(database: Database) -> None:
    await intake(database).verify("subscribe", TOKEN)


@pytest.mark.parametrize("is_active", [True, False])
async def test_the_token_of_any_account_is_good(database: Database, engine: AsyncEngine, is_active) -> None:
    await an_account(engine, verify_token="of-the-shop", is_active=is_active)
    await intake(database, verify_token=None).verify("subscribe", "of-the-shop")


@pytest.mark.parametrize(
    ("mode", "token"),
    [
        ("subscribe", "verify-you"),
        ("subscribe", ""),
        ("subscribe", None),
        ("unsubscribe", "verify-me"),
        (None, "verify-me"),
        ("subscribe", "é"),
        ("subscribe", "nul \x00"),
    ],
)
async def test_anything_else_is_refused(database: Database, mode, token) -> None:
    with pytest.raises(VerificationFailed):
        await intake(database).verify(mode, token)


@pytest.mark.parametrize("nothing", ["", None])
async def test_no_token_of_ours_is_never_an_open_door(database: Database, engine: AsyncEngine, nothing) -> None:
    await an_account(engine, verify_token=None)
    with pytest.raises(VerificationFailed):
        await intake(database, verify_token=nothing).verify("subscribe", "")
    with pytest.raises(VerificationFailed):
        await intake(database, verify_token=nothing).verify("subscribe", "anything")


# --- deliveries -------------------------------------------------------------------------------------------------------


async def test_a_signed_delivery_is_stored_byte_by_byte_and_wakes_its_lane(
    database: Database, engine: AsyncEngine
) -> None:
    body = b" " + a_body(a_message())
    await intake(database).accept([sign(SECRET, body)], body)
    assert await bodies(engine) == [body]
    (lane,) = await execute(engine, "select kind, key, ver > done as is_open from lanes")
    assert (lane.kind, lane.key, lane.is_open) == ("ingest", CloudApiCodec([]).lane(body), True)


async def test_run_twice_one_delivery_is_stored(database: Database, engine: AsyncEngine) -> None:
    body = a_body(a_message())
    service = intake(database)
    await asyncio.gather(*(service.accept([sign(SECRET, body)], body) for _ in range(3)))
    await service.accept([sign(SECRET, body)], body)
    assert await bodies(engine) == [body]


async def test_without_a_signature_nothing_is_stored(database: Database, engine: AsyncEngine) -> None:
    with pytest.raises(MissingSignature):
        await intake(database).accept([], a_body(a_message()))
    assert await bodies(engine) == []


async def test_the_signature_must_be_of_these_bytes(database: Database, engine: AsyncEngine) -> None:
    body = a_body(a_message())
    with pytest.raises(InvalidSignature):
        await intake(database).accept([sign(SECRET, body + b" ")], body)
    with pytest.raises(InvalidSignature):
        await intake(database).accept([sign(b"another secret", body)], body)
    assert await bodies(engine) == []


async def test_two_signatures_are_one_too_many(database: Database, engine: AsyncEngine) -> None:
    body = a_body(a_message())
    with pytest.raises(InvalidSignature):
        await intake(database).accept([sign(SECRET, body), b"sha256=00"], body)
    assert await bodies(engine) == []


async def test_without_a_secret_nobody_can_be_believed(database: Database) -> None:
    body = a_body(a_message())
    with pytest.raises(SignatureNotConfigured):
        await intake(database, secrets=()).accept([sign(b"", body)], body)


async def test_the_check_can_be_switched_off_for_tests(database: Database, engine: AsyncEngine) -> None:
    await intake(database, secrets=(), signed=False).accept([], b"{}")
    assert await bodies(engine) == [b"{}"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'"text"', b"{", b"null"])
async def test_what_is_no_object_is_refused_and_not_stored(database: Database, engine: AsyncEngine, body) -> None:
    with pytest.raises(InvalidJson):
        await intake(database).accept([sign(SECRET, body)], body)
    assert await bodies(engine) == []


@pytest.mark.parametrize(
    "body", [b'{"a": "\\ud800"}', b'{"a": "\xff"}', b'{"a": "\\u0000"}', b'{"a":' * 3_000 + b"1" + b"}" * 3_000]
)
async def test_what_is_only_strange_is_stored_and_looked_at_later(
    database: Database, engine: AsyncEngine, body: bytes
) -> None:
    await intake(database).accept([sign(SECRET, body)], body)
    assert await bodies(engine) == [body]


async def test_a_database_that_is_down_is_no_yes(database: Database, engine: AsyncEngine) -> None:
    body = a_body(a_message())
    down = FaultyDatabase(database, Failpoints.parse("deliveries.store:before=raise@1"))
    with pytest.raises(DatabaseUnavailable):
        await intake(down).accept([sign(SECRET, body)], body)
    assert await bodies(engine) == []
    await intake(down).accept([sign(SECRET, body)], body)
    assert await bodies(engine) == [body]
