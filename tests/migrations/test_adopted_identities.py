"""Which contact of an adopted database a number leads to."""

from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import execute, rows

BOUTIQUE = "00000001-0000-4000-8000-000000000001"

TYPED_AND_NAMED = (
    ("5511987654321", "551187654321", "551187654321"),
    ("5215512345678", "525512345678", "525512345678"),
    ("5491123456789", "541123456789", "541123456789"),
)
"""As people type a mobile number of Brazil, Mexico and Argentina, as WhatsApp names it, and the key of both."""


def a_contact(url: str, number: str, created_at: str) -> None:
    execute(url, f"insert into contacts (whatsapp_number, created_at) values ('{number}', '{created_at}')")  # noqa: S608


def a_thread(url: str, number: str, updated_at: str) -> None:
    execute(
        url,
        "insert into conversations (contact_id, account_id, client_number, updated_at) "  # noqa: S608
        f"select id, '{BOUTIQUE}', '{number}', '{updated_at}' from contacts where whatsapp_number = '{number}'",
    )


def owners(url: str) -> dict[str, str]:
    found = rows(
        url,
        "select i.value, c.whatsapp_number from contact_identities i join contacts c on c.id = i.contact_id "
        "where i.kind = 'phone'",
    )
    return {row["value"]: row["whatsapp_number"] for row in found}


def test_a_number_leads_to_the_contact_that_has_the_thread(old_database: str, sealer: Sealer) -> None:
    for typed, named, _ in TYPED_AND_NAMED:
        a_contact(old_database, typed, "2025-01-01")
        a_contact(old_database, named, "2025-02-01")
        a_thread(old_database, named, "2025-02-02")
    migrating.upgrade(old_database, sealer=sealer)
    found = owners(old_database)
    assert [found[key] for _, _, key in TYPED_AND_NAMED] == [named for _, named, _ in TYPED_AND_NAMED]


def test_of_two_threads_of_one_number_the_last_that_moved_goes_on(old_database: str, sealer: Sealer) -> None:
    for typed, named, _ in TYPED_AND_NAMED:
        a_contact(old_database, typed, "2025-01-01")
        a_thread(old_database, typed, "2025-06-01")
        a_contact(old_database, named, "2025-02-01")
        a_thread(old_database, named, "2025-06-02")
    migrating.upgrade(old_database, sealer=sealer)
    found = owners(old_database)
    assert [found[key] for _, _, key in TYPED_AND_NAMED] == [named for _, named, _ in TYPED_AND_NAMED]


def test_a_number_without_a_thread_is_of_the_oldest_contact(old_database: str, sealer: Sealer) -> None:
    for typed, named, _ in TYPED_AND_NAMED:
        a_contact(old_database, typed, "2025-02-01")
        a_contact(old_database, named, "2025-01-01")
    migrating.upgrade(old_database, sealer=sealer)
    found = owners(old_database)
    assert [found[key] for _, _, key in TYPED_AND_NAMED] == [named for _, named, _ in TYPED_AND_NAMED]
