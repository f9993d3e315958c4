"""Back at a version that knows nothing of messages for later, none of them waits for ever."""

from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import execute, rows

ONE = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def test_what_waits_for_its_time_is_cancelled_and_says_so(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    execute(
        new_database,
        f"""
        insert into whatsapp_accounts (id, name, slug, phone_number_id) values ('{ONE}', 'Boutique', 'boutique', '1');
        insert into conversations (id, account_id, client_number) values ('{ONE}', '{ONE}', '33612345678');
        insert into messages (id, account_id, conversation_id, direction, status)
        select id::uuid, '{ONE}', '{ONE}', 'outbound', 'pending' from unnest(array['{ONE}', '{OTHER}']) m(id);
        insert into outbox (id, account_id, conversation_id, state, expires_at, send_at)
        values ('{ONE}', '{ONE}', '{ONE}', 'scheduled', now() + interval '2 days', now() + interval '1 day'),
               ('{OTHER}', '{ONE}', '{ONE}', 'queued', now() + interval '2 days', null);
        """,  # noqa: S608 - of this test
    )
    migrating.downgrade(new_database, "receipts", sealer=sealer)
    found = rows(
        new_database,
        "select o.state, m.status, m.error_message from outbox o join messages m on m.id = o.id order by o.id",
    )
    assert [tuple(row.values()) for row in found] == [
        ("cancelled", "failed", "Message annulé avant l'envoi."),
        ("queued", "pending", None),
    ]
