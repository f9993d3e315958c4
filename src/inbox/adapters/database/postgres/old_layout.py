"""The layout that the old SQL scripts made, as far as a database must match it to be adopted.

Missing or differing: the database is refused, in words. More than this (columns, tables, indexes, policies of a newer
version or of the operator) is left alone.
"""

from types import MappingProxyType
from typing import Final

TIMES_TO_CONVERT: Final = frozenset(
    {
        ("whatsapp_accounts", "created_at"),
        ("contacts", "created_at"),
        ("conversations", "updated_at"),
        ("messages", "timestamp"),
    }
)
"""Without time zone in the old layout; a database where they have one already is adopted too."""

# `!` is NOT NULL; `naive` is a timestamp without, `time` one with time zone.
_COLUMNS: Final = {
    "whatsapp_accounts": (
        "id uuid!, name text!, slug text!, phone_number text, phone_number_id text!, access_token text!, "
        "verify_token text!, is_active boolean, created_at naive, bot_auto_on boolean"
    ),
    "contacts": "id uuid!, whatsapp_number text!, display_name text, created_at naive",
    "conversations": (
        "id uuid!, contact_id uuid, account_id uuid!, client_number text!, is_group boolean, is_favorite boolean, "
        "unread_count integer, status text, updated_at naive, bot_enabled boolean, bot_last_reply_at time"
    ),
    "messages": (
        "id uuid!, conversation_id uuid, direction text!, content_text text, timestamp naive, wa_message_id text, "
        "message_type text, status text, media_id text, media_mime_type text, media_filename text"
    ),
    "app_permissions": "code text!, label text, description text",
    "app_roles": "id uuid!, slug text!, name text!, description text, created_at time",
    "role_permissions": "role_id uuid!, permission_code text!, created_at time",
    "app_users": "user_id uuid!, email text, display_name text, is_active boolean, created_at time",
    "app_user_roles": "id uuid!, user_id uuid, role_id uuid, account_id uuid, created_at time",
    "app_user_overrides": (
        "id uuid!, user_id uuid, permission_code text, account_id uuid, is_allowed boolean!, created_at time"
    ),
    "bot_profiles": (
        "id uuid!, account_id uuid!, business_name text, description text, address text, hours text, "
        "knowledge_base text, custom_fields jsonb, created_at time, updated_at time, template_config jsonb"
    ),
}

_TYPES: Final = {"naive": "timestamp without time zone", "time": "timestamp with time zone"}


def _read(table: str, line: str) -> list[tuple[tuple[str, str], tuple[str, bool]]]:
    columns = []
    for part in line.split(", "):
        name, kind = part.rstrip("!").split(" ")
        columns.append(((table, name), (_TYPES.get(kind, kind), part.endswith("!"))))
    return columns


TABLES: Final = tuple(_COLUMNS)

COLUMNS: Final = MappingProxyType(dict(item for table, line in _COLUMNS.items() for item in _read(table, line)))
"""(table, column) to (type as PostgreSQL prints it, NOT NULL)."""

CONSTRAINTS: Final = MappingProxyType(
    {
        ("whatsapp_accounts", "PRIMARY KEY (id)"): "whatsapp_accounts_pkey",
        ("whatsapp_accounts", "UNIQUE (slug)"): "whatsapp_accounts_slug_key",
        ("whatsapp_accounts", "UNIQUE (phone_number_id)"): "whatsapp_accounts_phone_number_id_key",
        ("contacts", "PRIMARY KEY (id)"): "contacts_pkey",
        ("contacts", "UNIQUE (whatsapp_number)"): "contacts_whatsapp_number_key",
        ("conversations", "PRIMARY KEY (id)"): "conversations_pkey",
        ("conversations", "FOREIGN KEY (contact_id) REFERENCES contacts(id)"): "conversations_contact_id_fkey",
        ("conversations", "FOREIGN KEY (account_id) REFERENCES whatsapp_accounts(id)"): "conversations_account_id_fkey",
        ("messages", "PRIMARY KEY (id)"): "messages_pkey",
        ("messages", "UNIQUE (wa_message_id)"): "messages_wa_message_id_key",
        ("messages", "FOREIGN KEY (conversation_id) REFERENCES conversations(id)"): "messages_conversation_id_fkey",
        ("app_permissions", "PRIMARY KEY (code)"): "app_permissions_pkey",
        ("app_roles", "PRIMARY KEY (id)"): "app_roles_pkey",
        ("app_roles", "UNIQUE (slug)"): "app_roles_slug_key",
        ("role_permissions", "PRIMARY KEY (role_id, permission_code)"): "role_permissions_pkey",
        (
            "role_permissions",
            "FOREIGN KEY (role_id) REFERENCES app_roles(id) ON DELETE CASCADE",
        ): "role_permissions_role_id_fkey",
        (
            "role_permissions",
            "FOREIGN KEY (permission_code) REFERENCES app_permissions(code) ON DELETE CASCADE",
        ): "role_permissions_permission_code_fkey",
        ("app_users", "PRIMARY KEY (user_id)"): "app_users_pkey",
        ("app_user_roles", "PRIMARY KEY (id)"): "app_user_roles_pkey",
        (
            "app_user_roles",
            "UNIQUE (user_id, role_id, account_id)",
        ): "app_user_roles_user_id_role_id_account_id_key",
        (
            "app_user_roles",
            "FOREIGN KEY (user_id) REFERENCES app_users(user_id) ON DELETE CASCADE",
        ): "app_user_roles_user_id_fkey",
        (
            "app_user_roles",
            "FOREIGN KEY (role_id) REFERENCES app_roles(id) ON DELETE CASCADE",
        ): "app_user_roles_role_id_fkey",
        (
            "app_user_roles",
            "FOREIGN KEY (account_id) REFERENCES whatsapp_accounts(id)",
        ): "app_user_roles_account_id_fkey",
        ("app_user_overrides", "PRIMARY KEY (id)"): "app_user_overrides_pkey",
        (
            "app_user_overrides",
            "FOREIGN KEY (user_id) REFERENCES app_users(user_id) ON DELETE CASCADE",
        ): "app_user_overrides_user_id_fkey",
        (
            "app_user_overrides",
            "FOREIGN KEY (permission_code) REFERENCES app_permissions(code) ON DELETE CASCADE",
        ): "app_user_overrides_permission_code_fkey",
        (
            "app_user_overrides",
            "FOREIGN KEY (account_id) REFERENCES whatsapp_accounts(id)",
        ): "app_user_overrides_account_id_fkey",
        ("bot_profiles", "PRIMARY KEY (id)"): "bot_profiles_pkey",
        (
            "bot_profiles",
            "FOREIGN KEY (account_id) REFERENCES whatsapp_accounts(id) ON DELETE CASCADE",
        ): "bot_profiles_account_id_fkey",
    }
)
"""(table, definition as PostgreSQL prints it) to name. Later revisions refer to the names."""

UNIQUE_INDEXES: Final = MappingProxyType(
    {
        ("conversations", "(account_id, client_number)"): "conversations_account_client_unique",
        ("bot_profiles", "(account_id)"): "bot_profiles_account_id_idx",
    }
)
"""(table, columns) to name: unique indexes that are no constraints, the targets of two upserts."""

TRIGGER: Final = "trg_bot_profiles_updated_at"
FUNCTION: Final = "bot_profiles_set_updated_at"
