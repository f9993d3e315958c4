"""The schema of the existing system, as its scripts 001 to 009 make it.

A database that those scripts made has all of it already: then the layout is checked, nothing is created, and only the
stamp is new. A new database also gets the seeds: permissions, three roles and their contents. They are written once,
here; what was edited or deleted later stays so.

The names of constraints and indexes are the existing ones. Script 010 (indexes) is the next revision.
"""

from alembic import context, op
from sqlalchemy import text

revision = "baseline"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    create table whatsapp_accounts (
      id uuid not null default gen_random_uuid() constraint whatsapp_accounts_pkey primary key,
      name text not null,
      slug text not null constraint whatsapp_accounts_slug_key unique,
      phone_number text,
      phone_number_id text not null constraint whatsapp_accounts_phone_number_id_key unique,
      access_token text not null,
      verify_token text not null,
      is_active boolean default true,
      created_at timestamp without time zone default now(),
      bot_auto_on boolean default false)
    """,
    """
    create table contacts (
      id uuid not null default gen_random_uuid() constraint contacts_pkey primary key,
      whatsapp_number text not null constraint contacts_whatsapp_number_key unique,
      display_name text,
      created_at timestamp without time zone default now())
    """,
    """
    create table conversations (
      id uuid not null default gen_random_uuid() constraint conversations_pkey primary key,
      contact_id uuid constraint conversations_contact_id_fkey references contacts (id),
      account_id uuid not null constraint conversations_account_id_fkey references whatsapp_accounts (id),
      client_number text not null,
      is_group boolean default false,
      is_favorite boolean default false,
      unread_count integer default 0,
      status text default 'open',
      updated_at timestamp without time zone default now(),
      bot_enabled boolean default false,
      bot_last_reply_at timestamp with time zone)
    """,
    """
    create table messages (
      id uuid not null default gen_random_uuid() constraint messages_pkey primary key,
      conversation_id uuid constraint messages_conversation_id_fkey references conversations (id),
      direction text not null,
      content_text text,
      "timestamp" timestamp without time zone default now(),
      wa_message_id text constraint messages_wa_message_id_key unique,
      message_type text,
      status text,
      media_id text,
      media_mime_type text,
      media_filename text)
    """,
    """
    create table app_permissions (
      code text not null constraint app_permissions_pkey primary key,
      label text,
      description text)
    """,
    """
    create table app_roles (
      id uuid not null default gen_random_uuid() constraint app_roles_pkey primary key,
      slug text not null constraint app_roles_slug_key unique,
      name text not null,
      description text,
      created_at timestamp with time zone default now())
    """,
    """
    create table role_permissions (
      role_id uuid not null constraint role_permissions_role_id_fkey references app_roles (id) on delete cascade,
      permission_code text not null
        constraint role_permissions_permission_code_fkey references app_permissions (code) on delete cascade,
      created_at timestamp with time zone default now(),
      constraint role_permissions_pkey primary key (role_id, permission_code))
    """,
    """
    create table app_users (
      user_id uuid not null constraint app_users_pkey primary key,
      email text,
      display_name text,
      is_active boolean default true,
      created_at timestamp with time zone default now())
    """,
    """
    create table app_user_roles (
      id uuid not null default gen_random_uuid() constraint app_user_roles_pkey primary key,
      user_id uuid constraint app_user_roles_user_id_fkey references app_users (user_id) on delete cascade,
      role_id uuid constraint app_user_roles_role_id_fkey references app_roles (id) on delete cascade,
      account_id uuid constraint app_user_roles_account_id_fkey references whatsapp_accounts (id),
      created_at timestamp with time zone default now(),
      constraint app_user_roles_user_id_role_id_account_id_key unique (user_id, role_id, account_id))
    """,
    """
    create table app_user_overrides (
      id uuid not null default gen_random_uuid() constraint app_user_overrides_pkey primary key,
      user_id uuid constraint app_user_overrides_user_id_fkey references app_users (user_id) on delete cascade,
      permission_code text
        constraint app_user_overrides_permission_code_fkey references app_permissions (code) on delete cascade,
      account_id uuid constraint app_user_overrides_account_id_fkey references whatsapp_accounts (id),
      is_allowed boolean not null,
      created_at timestamp with time zone default now())
    """,
    """
    create table bot_profiles (
      id uuid not null default gen_random_uuid() constraint bot_profiles_pkey primary key,
      account_id uuid not null
        constraint bot_profiles_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      business_name text,
      description text,
      address text,
      hours text,
      knowledge_base text,
      custom_fields jsonb default '[]'::jsonb,
      created_at timestamp with time zone default now(),
      updated_at timestamp with time zone default now(),
      template_config jsonb default '{}'::jsonb)
    """,
)

INDEXES = (
    "create unique index conversations_account_client_unique on conversations (account_id, client_number)",
    "create unique index bot_profiles_account_id_idx on bot_profiles (account_id)",
    "create index idx_app_user_roles_user on app_user_roles (user_id)",
    "create index idx_app_user_roles_account on app_user_roles (account_id)",
    "create index idx_app_user_overrides_user on app_user_overrides (user_id)",
    "create index idx_app_user_overrides_account on app_user_overrides (account_id)",
    "create index idx_conversations_account_updated on conversations (account_id, updated_at desc)",
    'create index idx_messages_conversation_timestamp on messages (conversation_id, "timestamp" desc)',
)

TRIGGER = (
    """
    create function bot_profiles_set_updated_at() returns trigger language plpgsql as $$
    begin
      new.updated_at = now();
      return new;
    end;
    $$
    """,
    """
    create trigger trg_bot_profiles_updated_at before update on bot_profiles
      for each row execute function bot_profiles_set_updated_at()
    """,
)

PERMISSIONS = (
    ("accounts.view", "Voir les comptes", "Afficher la liste des comptes WhatsApp"),
    ("accounts.manage", "Gérer les comptes", "Créer / modifier / supprimer des comptes WhatsApp"),
    ("accounts.assign", "Assigner des comptes", "Attribuer des comptes aux membres"),
    ("conversations.view", "Voir les conversations", "Consulter les conversations et leurs métadonnées"),
    ("messages.view", "Voir les messages", "Afficher le contenu des messages"),
    ("messages.send", "Envoyer des messages", "Répondre ou envoyer des messages sortants"),
    ("contacts.view", "Voir les contacts", "Accéder à la liste des contacts"),
    ("users.manage", "Gérer les utilisateurs", "Activer/Désactiver les membres et gérer leurs accès"),
    ("roles.manage", "Gérer les rôles", "Créer/éditer les rôles et affecter les permissions"),
    ("settings.manage", "Gérer les réglages", "Modifier les paramètres généraux de l\u2019application"),
)

ROLES = (
    ("admin", "Administrateur", "Accès complet à toutes les fonctions", tuple(code for code, *_ in PERMISSIONS)),
    (
        "manager",
        "Manager",
        "Gestion opérationnelle : conversations et réponses",
        ("accounts.view", "conversations.view", "messages.view", "messages.send", "contacts.view"),
    ),
    (
        "viewer",
        "Lecteur",
        "Lecture seule des conversations et contacts",
        ("accounts.view", "conversations.view", "messages.view", "contacts.view"),
    ),
)

# Rows that no seed made. In the order in which tables can be dropped.
DROPPED = (
    "bot_profiles",
    "app_user_overrides",
    "app_user_roles",
    "app_users",
    "role_permissions",
    "app_roles",
    "app_permissions",
    "messages",
    "conversations",
    "contacts",
    "whatsapp_accounts",
)
SEEDED = {"role_permissions", "app_roles", "app_permissions"}


def upgrade() -> None:
    if context.config.attributes["adopt"](op.get_bind()):
        return
    for statement in (*TABLES, *INDEXES, *TRIGGER):
        op.execute(statement)
    seed()


def seed() -> None:
    permission = text("insert into app_permissions (code, label, description) values (:code, :label, :description)")
    for code, label, description in PERMISSIONS:
        op.execute(permission.bindparams(code=code, label=label, description=description))
    role = text("insert into app_roles (slug, name, description) values (:slug, :name, :description)")
    content = text(
        "insert into role_permissions (role_id, permission_code) "
        "select id, unnest(cast(:codes as text[])) from app_roles where slug = :slug"
    )
    for slug, name, description, codes in ROLES:
        op.execute(role.bindparams(slug=slug, name=name, description=description))
        op.execute(content.bindparams(slug=slug, codes=list(codes)))


def downgrade() -> None:
    """Drop what is empty but for the seeds.

    A database that holds anything else keeps all its tables and only loses its stamp: it is then just what the old
    scripts would have made, and the next upgrade adopts it. Nobody loses conversations through one command.
    """
    filled = [table for table in DROPPED if table not in SEEDED and has_rows(table)]
    if filled:
        return
    for table in DROPPED:
        op.execute(f"drop table {table}")
    op.execute("drop function bot_profiles_set_updated_at()")


def has_rows(table: str) -> bool:
    return bool(op.get_bind().scalar(text(f"select exists (select from {table})")))
