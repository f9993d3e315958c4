"""Of a key that its caller used in two accounts, the first use counts."""

from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import execute, rows

ONE = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def test_a_key_of_two_accounts_is_kept_once(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    migrating.downgrade(new_database, "assistant", sealer=sealer)
    execute(
        new_database,
        f"""
        insert into whatsapp_accounts (id, name, slug, phone_number_id)
        values ('{ONE}', 'Boutique', 'boutique', '1'), ('{OTHER}', 'Atelier', 'atelier', '2');
        insert into conversations (id, account_id, client_number)
        values ('{ONE}', '{ONE}', '33612345678'), ('{OTHER}', '{OTHER}', '33612345678');
        insert into messages (id, account_id, conversation_id, direction, status)
        select id::uuid, id::uuid, id::uuid, 'outbound', 'sent' from unnest(array['{ONE}', '{OTHER}']) m(id);
        insert into idempotency_keys (account_id, caller, call, key, request_hash, message_id, created_at)
        values ('{OTHER}', '{ONE}', 'messages.send', 'k', 'b', '{OTHER}', now()),
               ('{ONE}', '{ONE}', 'messages.send', 'k', 'a', '{ONE}', now() - interval '1 hour'),
               ('{OTHER}', '{OTHER}', 'messages.send', 'k', 'c', '{OTHER}', now());
        """,  # noqa: S608 - of this test
    )
    migrating.upgrade(new_database, sealer=sealer)
    found = rows(new_database, "select account_id::text, caller::text from idempotency_keys order by caller")
    assert [tuple(row.values()) for row in found] == [(ONE, ONE), (OTHER, OTHER)]
