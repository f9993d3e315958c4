"""What the upgrade makes of values: times, flags, rights, authors, windows, tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inbox.domain.errors import SchemaRefused, SecretUnreadable
from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import execute, rows, value

BOUTIQUE = "00000001-0000-4000-8000-000000000001"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def message(url: str, number: int) -> dict[str, Any]:
    return rows(url, "select * from messages where id = $1", f"00000004-0000-4000-8000-{number:012}")[0]


def conversation(url: str, number: int) -> dict[str, Any]:
    return rows(url, "select * from conversations where id = $1", f"00000003-0000-4000-8000-{number:012}")[0]


# 02:30 on 30 March 2025 does not exist in Paris, and comes twice on 26 October.
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Tokyo", "America/Caracas"])
def test_times_are_read_as_utc_in_every_zone_and_come_back_the_same(
    old_database: str, sealer: Sealer, zone: str
) -> None:
    as_text = 'select array_agg("timestamp"::text order by id) from messages'
    before = value(old_database, as_text)
    _set_zone(old_database, zone)
    migrating.upgrade(old_database, sealer=sealer, naive_times_are_utc=True)
    assert message(old_database, 1)["timestamp"] == utc(2025, 3, 30, 2, 30)
    assert message(old_database, 2)["timestamp"] == utc(2025, 10, 26, 2, 30)
    assert message(old_database, 4)["timestamp"] == utc(2025, 7, 1, 9, 59, 59, 500_000)
    created = "select created_at from whatsapp_accounts where slug = 'atelier'"
    assert value(old_database, created) == utc(2025, 10, 26, 2, 30, 0, 123_456)
    assert conversation(old_database, 1)["updated_at"] == utc(2025, 7, 1, 10)
    migrating.downgrade(old_database, "baseline", sealer=sealer)
    assert value(old_database, as_text) == before


def test_a_local_time_zone_stops_the_conversion_until_the_operator_answers(old_database: str, sealer: Sealer) -> None:
    _set_zone(old_database, "Europe/Paris")
    with pytest.raises(SchemaRefused, match="TimeZone of this database is Europe/Paris") as refused:
        migrating.upgrade(old_database, sealer=sealer)
    assert "--naive-times-are-utc" in str(refused.value)
    kind = 'select pg_typeof("timestamp")::text from messages limit 1'
    assert value(old_database, kind) == "timestamp without time zone"
    assert migrating.current(old_database) == "performance_indexes"
    migrating.upgrade(old_database, sealer=sealer, naive_times_are_utc=True)
    assert value(old_database, kind) == "timestamp with time zone"


def test_the_zone_of_another_role_counts_too(old_database: str, sealer: Sealer) -> None:
    execute(old_database, "create role writer_of_migrations")
    try:
        execute(
            old_database,
            "do $$ begin execute format('alter role writer_of_migrations in database %I set timezone = %L', "
            "current_database(), 'Africa/Tunis'); end $$",
        )
        with pytest.raises(SchemaRefused, match="Africa/Tunis"):
            migrating.upgrade(old_database, sealer=sealer)
    finally:
        execute(old_database, "drop role writer_of_migrations")


@pytest.mark.parametrize("zone", ["Etc/UTC", "GMT", "Zulu", "Africa/Abidjan"])
def test_zones_that_are_utc_under_another_name_pass(old_database: str, sealer: Sealer, zone: str) -> None:
    _set_zone(old_database, zone)
    assert migrating.upgrade(old_database, sealer=sealer).after == migrating.head()


def test_a_database_without_times_may_have_any_zone(new_database: str, sealer: Sealer) -> None:
    _set_zone(new_database, "Europe/Paris")
    assert migrating.upgrade(new_database, sealer=sealer).after == migrating.head()


def test_default_times_survive_the_conversion(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    execute(old_database, "insert into contacts (whatsapp_number) values ('33600000009')")
    age = "select now() - created_at < interval '1 minute' from contacts where whatsapp_number = '33600000009'"
    assert value(old_database, age)


def test_flags_without_value_get_what_they_meant(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    found = conversation(old_database, 2)
    assert {name: found[name] for name in ("is_group", "is_favorite", "unread_count", "status", "bot_enabled")} == {
        "is_group": False,
        "is_favorite": False,
        "unread_count": 0,
        "status": "open",
        "bot_enabled": False,
    }
    assert found["updated_at"] == utc(2025, 7, 2, 8)
    assert value(old_database, "select is_active from app_users where email = 'off@example.org'") is False
    assert value(old_database, "select is_active from whatsapp_accounts where slug = 'atelier'") is False


def test_of_equal_global_roles_the_oldest_stays(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    assert [str(row["id"])[-1] for row in rows(old_database, "select id from app_user_roles order by id")] == ["2", "3"]
    with pytest.raises(Exception, match="app_user_roles_user_id_role_id_account_id_key"):
        execute(
            old_database,
            "insert into app_user_roles (user_id, role_id) select user_id, role_id from app_user_roles limit 1",
        )


def test_of_contradicting_overrides_the_denying_one_stays(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    found = rows(old_database, "select id, is_allowed from app_user_overrides order by id")
    assert [(str(row["id"])[-1], row["is_allowed"]) for row in found] == [("2", False), ("5", True)]


def test_old_messages_learn_their_account_and_author(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    found = {number: message(old_database, number) for number in range(1, 7)}
    assert {number: row["author"] for number, row in found.items()} == {
        1: "contact",
        2: None,
        3: "system",
        4: "contact",
        5: None,
        6: "contact",
    }
    assert str(found[1]["account_id"]) == BOUTIQUE
    assert found[6]["account_id"] is None
    assert all(row["created_at"] == row["timestamp"] for row in found.values())


def test_conversations_learn_their_customer_service_window(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    first, second, third = (conversation(old_database, number) for number in (1, 2, 3))
    last = utc(2025, 7, 1, 9, 59, 59, 500_000)
    assert (first["last_inbound_at"], first["window_expires_at"]) == (last, last + timedelta(hours=24))
    assert first["created_at"] == utc(2025, 3, 30, 2, 30)
    assert second["last_inbound_at"] is None
    assert third["created_at"] == third["updated_at"]
    assert first["epoch"] == 0


def test_tokens_are_sealed_for_their_place_and_clear_again_afterwards(old_database: str, sealer: Sealer) -> None:
    query = "select slug, access_token, verify_token from whatsapp_accounts order by slug"
    before = rows(old_database, query)
    migrating.upgrade(old_database, sealer=sealer)
    [row] = rows(old_database, "select * from whatsapp_accounts where slug = 'boutique'")
    place = {"table": "whatsapp_accounts", "row_id": row["id"]}
    assert sealer.open(row["access_token_sealed"], column="access_token", **place) == "EAAclear-token-of-boutique"
    assert sealer.open(row["verify_token_sealed"], column="verify_token", **place) == "verify-boutique"
    assert row["verify_token_digest"] == sealer.digest("verify-boutique", "verify_token")
    with pytest.raises(SecretUnreadable):
        sealer.open(row["access_token_sealed"], column="verify_token", **place)
    migrating.downgrade(old_database, "baseline", sealer=sealer)
    assert rows(old_database, query) == before


def test_the_well_known_token_of_the_dummy_account_finds_nothing(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    found = rows(
        old_database,
        "select verify_token_sealed is null as is_empty, verify_token_digest from whatsapp_accounts "
        "where slug in ('legacy-migration', 'sans-jeton') order by slug",
    )
    assert found == [
        {"is_empty": False, "verify_token_digest": None},
        {"is_empty": True, "verify_token_digest": None},
    ]


def test_no_clear_token_stays_in_the_files_of_the_database(old_database: str, sealer: Sealer) -> None:
    def is_on_disk() -> bool:
        execute(old_database, "checkpoint")
        looked = "select coalesce(bool_or(position('EAAclear-token-of-boutique'::bytea in content) > 0), false) from ("
        looked += "select pg_read_binary_file(pg_relation_filepath(oid)) as content from pg_class "
        looked += "where relkind in ('r', 'i', 't') and pg_relation_filepath(oid) is not null) files"
        return bool(value(old_database, looked))

    assert is_on_disk()
    migrating.upgrade(old_database, sealer=sealer)
    assert not is_on_disk()


def test_tokens_need_a_key_and_wait_unchanged_for_it(old_database: str, sealer: Sealer) -> None:
    with pytest.raises(SchemaRefused, match="INBOX_ENCRYPTION_KEYS"):
        migrating.upgrade(old_database, sealer=None)
    query = "select access_token from whatsapp_accounts where slug = 'boutique'"
    assert value(old_database, query) == "EAAclear-token-of-boutique"
    assert migrating.current(old_database) == "utc_times"
    migrating.upgrade(old_database, sealer=sealer)


def test_messages_on_their_way_out_hold_a_downgrade_back(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    execute(
        old_database,
        "insert into outbox (id, account_id, conversation_id, state, expires_at) "
        "select id, account_id, conversation_id, 'queued', now() from messages where wa_message_id is null",
    )
    with pytest.raises(SchemaRefused, match="1 messages are still on their way out"):
        migrating.downgrade(old_database, "baseline", sealer=sealer)
    execute(old_database, "update outbox set state = 'cancelled'")
    migrating.downgrade(old_database, "baseline", sealer=sealer)


def _set_zone(url: str, zone: str) -> None:
    execute(
        url,
        f"do $$ begin execute format('alter database %I set timezone = %L', current_database(), '{zone}'); end $$",
    )


def test_accounts_that_are_there_go_on_telling_customers_nothing_and_new_ones_begin_to(
    old_database: str, sealer: Sealer
) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    execute(
        old_database, "insert into whatsapp_accounts (name, slug, phone_number_id) values ('Neu', 'neu', '1099000')"
    )
    found = rows(old_database, "select slug = 'neu' as is_new, read_receipts, typing_indicators from whatsapp_accounts")
    assert {(row["is_new"], row["read_receipts"], row["typing_indicators"]) for row in found} == {
        (False, False, False),
        (True, True, True),
    }
