"""Which databases are adopted, and what an operator is told about the others."""

from collections.abc import Callable

import pytest

from inbox.adapters.database.postgres.adoption import Found, recognise
from inbox.adapters.database.postgres.schema_session import run
from inbox.domain.errors import SchemaRefused
from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import catalog, differences, execute, rows, value


def recognised(url: str) -> Found:
    return run(url, recognise, alone=False, within=10)


def refusal(url: str, sealer: Sealer) -> SchemaRefused:
    """The refusal of an upgrade that must have changed nothing, not even by a version table."""
    before = catalog(url)
    with pytest.raises(SchemaRefused) as refused:
        migrating.upgrade(url, sealer=sealer)
    assert differences(catalog(url), before) == {}
    assert value(url, "select to_regclass('alembic_version')::text") is None
    return refused.value


def test_a_database_is_new_old_or_stamped(new_database: str, old_database: str, sealer: Sealer) -> None:
    assert recognised(new_database) is Found.NEW
    assert recognised(old_database) is Found.OLD
    migrating.upgrade(old_database, sealer=sealer)
    assert recognised(old_database) is Found.STAMPED


def test_tables_of_others_do_not_make_a_database_old(new_database: str, sealer: Sealer) -> None:
    execute(new_database, "create table invoices (id int); create schema auth; create table auth.contacts (id int)")
    assert not migrating.upgrade(new_database, sealer=sealer).adopted
    migrating.check(new_database)
    assert value(new_database, "select count(*) from invoices") == 0


def test_an_adopted_database_says_so_and_gets_no_seeds(old_database: str, sealer: Sealer) -> None:
    assert migrating.upgrade(old_database, sealer=sealer).adopted
    assert value(old_database, "select array_agg(slug order by slug) from app_roles") == ["admin", "dev", "manager"]
    changed = "select label from app_permissions where code = 'accounts.view'"
    assert value(old_database, changed) == "Voir les comptes (modifié)"
    assert value(old_database, "select count(*) from app_permissions") == 6


def test_a_partial_database_is_refused_with_what_is_missing(old_database: str, sealer: Sealer) -> None:
    execute(old_database, "drop table bot_profiles; drop table app_user_overrides")
    refused = refusal(old_database, sealer)
    assert refused.differences == ("app_user_overrides", "bot_profiles")
    assert "9 of the 11 tables" in str(refused)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("alter table messages drop column media_filename", "column messages.media_filename is missing"),
        (
            "alter table contacts alter display_name type varchar(80)",
            "column contacts.display_name is character varying",
        ),
        ("alter table conversations alter account_id drop not null", "column conversations.account_id is nullable"),
        ("alter table app_users alter email set not null", "column app_users.email is NOT NULL, expected nullable"),
        ("alter table messages drop constraint messages_wa_message_id_key", "messages_wa_message_id_key is missing"),
        ("alter table messages drop constraint messages_conversation_id_fkey", "messages_conversation_id_fkey"),
        ("alter table app_user_roles drop constraint app_user_roles_pkey", "constraint app_user_roles_pkey is missing"),
        ("drop index conversations_account_client_unique", "unique index conversations_account_client_unique"),
        (
            """
            drop index bot_profiles_account_id_idx;
            create index bot_profiles_account_id_idx on bot_profiles (account_id)
            """,
            "unique index bot_profiles_account_id_idx",
        ),
        ("drop trigger trg_bot_profiles_updated_at on bot_profiles", "trigger trg_bot_profiles_updated_at"),
        ("alter table bot_profiles disable trigger trg_bot_profiles_updated_at", "trigger trg_bot_profiles_updated_at"),
        (
            """
            create or replace function bot_profiles_set_updated_at() returns trigger language plpgsql
              as 'begin return new; end'
            """,
            "function bot_profiles_set_updated_at()",
        ),
        (
            """
            alter table conversations
              drop constraint conversations_account_id_fkey,
              add constraint conversations_account_id_fkey
                foreign key (account_id) references whatsapp_accounts on delete cascade
            """,
            "constraint conversations_account_id_fkey is missing or differs",
        ),
        ("drop table role_permissions; create view role_permissions as select 1 as role_id", "is not a table"),
    ],
)
def test_a_differing_database_is_refused_line_by_line(
    old_database: str, sealer: Sealer, change: str, difference: str
) -> None:
    execute(old_database, change)
    refused = refusal(old_database, sealer)
    assert any(difference in line for line in refused.differences), refused.differences
    assert all(line in str(refused).splitlines() for line in [f"  - {found}" for found in refused.differences])


def test_tables_of_a_role_that_is_not_ours_are_refused(old_database: str) -> None:
    execute(old_database, "create role visitor_of_migrations login; grant usage on schema public to public")
    visitor = old_database.replace("postgres@", "visitor_of_migrations@")
    try:
        with pytest.raises(SchemaRefused) as refused:
            migrating.upgrade(visitor, sealer=None)
    finally:
        execute(old_database, "drop role visitor_of_migrations")
    assert "table messages belongs to the role postgres; connect as that role" in refused.value.differences


@pytest.mark.parametrize(
    "change",
    [
        "drop index idx_conversations_account_updated; drop index idx_messages_conversation_timestamp",
        """
        drop index idx_app_user_roles_user; drop index idx_app_user_roles_account;
        drop index idx_app_user_overrides_user; drop index idx_app_user_overrides_account
        """,
        "drop index idx_conversations_contact; drop index idx_accounts_phone_verify",
        "alter table conversations add constraint conversations_client_number_key unique (client_number)",
        "create unique index conversations_client_number_key on conversations (client_number)",
        'alter table messages alter "timestamp" type timestamptz using "timestamp" at time zone \'UTC\'',
        "alter table messages rename constraint messages_wa_message_id_key to messages_wamid_unique",
        'alter table app_user_roles rename constraint app_user_roles_user_id_role_id_account_id_key to "Odd name"',
        "alter index conversations_account_client_unique rename to conversations_once",
        "alter table contacts enable row level security",
    ],
)
def test_what_grown_databases_differ_in_is_put_right(
    create: Callable[..., str], old_database: str, sealer: Sealer, change: str
) -> None:
    created = create()
    migrating.upgrade(created, sealer=sealer)
    execute(old_database, change)
    assert migrating.upgrade(old_database, sealer=sealer).adopted
    assert differences(catalog(old_database), catalog(created)) == {}


def test_a_newer_version_keeps_all_that_is_its_own(create: Callable[..., str], sealer: Sealer) -> None:
    database = create("old_layout", "old_indexes", "old_rows", "newer_version")
    migrating.upgrade(database, sealer=sealer)
    migrating.check(database)
    assert value(database, "select waba_id from whatsapp_accounts where slug = 'boutique'") == "2000000000001"
    error = "select error_message from messages where wa_message_id = 'wamid.A2'"
    assert value(database, error) == "Message non distribuable"
    assert value(database, "select emoji from message_reactions") == "👍"
    assert value(database, "select count(*) from unread_accounts") == 3
    assert value(database, "select count(*) from pg_indexes where indexname = 'messages_search'") == 1


def test_a_downgrade_opens_no_table_that_was_closed_before(create: Callable[..., str], sealer: Sealer) -> None:
    database = create("old_layout", "old_indexes", "old_rows", "newer_version")
    migrating.upgrade(database, sealer=sealer)
    migrating.downgrade(database, "durable_work", sealer=sealer)
    assert catalog(database)["row security"] == {("messages",)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter table messages add column content text", "column messages.content is text, expected jsonb"),
        ("create table outbox (id int)", "table outbox is there already"),
        ('create view newest as select max("timestamp") from messages', "uses messages.timestamp"),
        ("create policy late on contacts using (created_at < now())", "uses contacts.created_at"),
    ],
)
def test_names_and_columns_in_use_stop_the_step_in_words(
    old_database: str, sealer: Sealer, change: str, words: str
) -> None:
    execute(old_database, change)
    with pytest.raises(SchemaRefused, match=r"Rename these|Drop these") as refused:
        migrating.upgrade(old_database, sealer=sealer)
    assert words in str(refused.value)
    assert value(old_database, "select count(*) from messages") == 6


def test_a_database_of_a_newer_program_is_refused(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    execute(new_database, "update alembic_version set version_num = 'from_the_future'")
    with pytest.raises(SchemaRefused, match="'from_the_future', which this version does not know"):
        migrating.upgrade(new_database, sealer=sealer)


def test_an_index_that_a_failed_build_left_behind_is_built_again(old_database: str, sealer: Sealer) -> None:
    execute(
        old_database,
        "update pg_index set indisvalid = false where indexrelid = 'idx_conversations_contact'::regclass",
    )
    migrating.upgrade(old_database, revision="performance_indexes", sealer=sealer)
    found = "select indisvalid from pg_index where indexrelid = 'idx_conversations_contact'::regclass"
    assert value(old_database, found)


def test_the_ten_names_are_there_but_for_those_that_repeat_another(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, revision="performance_indexes", sealer=sealer)
    found = rows(new_database, "select indexname from pg_indexes where schemaname = 'public' and indexname like 'idx%'")
    assert {row["indexname"] for row in found} == {
        "idx_conversations_account_updated",
        "idx_messages_conversation_timestamp",
        "idx_conversations_contact",
        "idx_messages_status",
        "idx_accounts_phone_verify",
        "idx_conversations_status",
        # of script 009
        "idx_app_user_roles_user",
        "idx_app_user_roles_account",
        "idx_app_user_overrides_user",
        "idx_app_user_overrides_account",
    }
