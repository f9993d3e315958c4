"""What the fuzzed service holds: the objects that the examples of the description name, so that those succeed."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from dishka import AsyncContainer
from litestar import Litestar
from litestar.types import Message, Scope
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, execute
from inbox.domain.access import Actor, ActorKind, Grant, Permission
from inbox.domain.ids import UserId, uuid7
from inbox.entrypoints.http.examples_knowledge import ARTICLE_ID
from inbox.entrypoints.http.examples_templates import TEMPLATE_ID
from inbox.entrypoints.http.examples_values import ACCOUNT, CONTACT, CONVERSATION, NUMBER, PERSON, ROLE
from inbox.ports.records import RoleChange
from inbox.services.members import Members
from inbox.services.roles import Roles


async def build_world(engine: AsyncEngine) -> None:
    """One account with a conversation whose window is open, one person, one role."""
    await execute(
        engine,
        """insert into whatsapp_accounts (id, name, slug, phone_number_id, waba_id, access_token_sealed)
           values (:id, 'Boutique', 'boutique', '106000000001', '102000000001', :token)""",
        id=ACCOUNT,
        token=SEALER.seal("token", table="whatsapp_accounts", column="access_token", row_id=ACCOUNT),
    )
    await execute(engine, "insert into contacts (id, whatsapp_number) values (:id, :number)", id=CONTACT, number=NUMBER)
    await execute(
        engine,
        """insert into conversations (id, contact_id, account_id, client_number, window_expires_at)
           values (:id, :contact, :account, :number, :window)""",
        id=CONVERSATION,
        contact=CONTACT,
        account=ACCOUNT,
        number=NUMBER,
        window=datetime.now(UTC) + timedelta(hours=12),
    )
    await execute(
        engine,
        """insert into message_templates (id, account_id, waba_id, name, language, meta_id, status, components)
           values (:id, :account, '102000000001', 'velo_pret', 'fr', '9008', 'APPROVED',
                   '[{"type": "BODY", "text": "Bonjour {{1}}, votre vélo est prêt."}]')""",
        id=TEMPLATE_ID,
        account=ACCOUNT,
    )
    await execute(
        engine,
        """insert into knowledge_articles (id, account_id, kind, title, body, language, created_by)
           values (:id, :account, 'qa', 'Quels horaires ?', 'De 9 h à 18 h.', 'fr', :person)""",
        id=ARTICLE_ID,
        account=ACCOUNT,
        person=PERSON,
    )
    await execute(engine, "insert into app_users (user_id, is_active) values (:id, true)", id=PERSON)
    await execute(
        engine,
        "insert into app_roles (id, slug, name) values (:id, 'role-of-examples', 'Lecteur') on conflict do nothing",
        id=ROLE,
    )


@contextlib.asynccontextmanager
async def roles_restored(engine: AsyncEngine) -> AsyncIterator[None]:
    """The roles that migrations seed outlive a test: whatever it does to them is undone."""
    for table in ("app_roles", "role_permissions"):
        await execute(engine, f"create table kept_{table} as table {table}")
    try:
        yield
    finally:
        await execute(engine, "delete from app_roles")
        for table in ("app_roles", "role_permissions"):
            await execute(engine, f"insert into {table} select * from kept_{table}")  # noqa: S608 - names of our schema
            await execute(engine, f"drop table kept_{table}")


async def keep_in_office(app: Litestar, container: AsyncContainer, engine: AsyncEngine, user: UserId) -> None:
    """Before the answer to any change of rights goes out, `user` is an administrator again.

    Otherwise the first requests that take a right away would make all later ones a 403.
    """
    members, roles = await container.get(Members), await container.get(Roles)
    (role,) = await execute(engine, "select id from app_roles where slug = 'admin'")
    everything = tuple(Grant(code=code, account_id=None) for code in Permission)
    actor = Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=everything, kind=ActorKind.SYSTEM)
    changing = ("/admin/users", "/admin/roles")

    async def restore(message: Message, scope: Scope) -> None:
        is_change = scope.get("method", "GET") != "GET" and scope["path"].startswith(changing)
        if message["type"] == "http.response.start" and is_change:
            await roles.change(actor, role.id, RoleChange(permissions=tuple(Permission)))
            await members.set_active(actor, user, is_active=True)
            await members.assign_roles(actor, user, [(role.id, None)])
            await members.set_overrides(actor, user, [])

    app.before_send.append(restore)
