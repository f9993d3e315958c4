"""Which rule of ours stands behind a constraint. The names are those of the schema; nobody else reads them."""

from typing import Final

from sqlalchemy.exc import DBAPIError

from inbox.domain.errors import (
    AccountNotFound,
    ContactInUse,
    ConversationNotFound,
    InboxError,
    MessageNotFound,
    PhoneNumberIdTaken,
    RoleNotFound,
    SlugTaken,
    UserNotFound,
    WhatsAppNumberTaken,
)

ERRORS: Final[dict[str, type[InboxError]]] = {
    "whatsapp_accounts_slug_key": SlugTaken,
    "app_roles_slug_key": SlugTaken,
    "whatsapp_accounts_phone_number_id_key": PhoneNumberIdTaken,
    "contacts_whatsapp_number_key": WhatsAppNumberTaken,
    "conversations_contact_id_fkey": ContactInUse,
    "conversations_account_id_fkey": AccountNotFound,
    "messages_account_id_fkey": AccountNotFound,
    "outbox_account_id_fkey": AccountNotFound,
    "idempotency_keys_account_id_fkey": AccountNotFound,
    "bot_profiles_account_id_fkey": AccountNotFound,
    "bot_turns_account_id_fkey": AccountNotFound,
    "app_user_roles_account_id_fkey": AccountNotFound,
    "app_user_overrides_account_id_fkey": AccountNotFound,
    "api_key_grants_account_id_fkey": AccountNotFound,
    "messages_conversation_id_fkey": ConversationNotFound,
    "outbox_conversation_id_fkey": ConversationNotFound,
    "bot_turns_conversation_id_fkey": ConversationNotFound,
    "bot_turns_trigger_message_id_fkey": MessageNotFound,
    "idempotency_keys_message_id_fkey": MessageNotFound,
    "app_user_roles_user_id_fkey": UserNotFound,
    "app_user_roles_role_id_fkey": RoleNotFound,
    "app_user_overrides_user_id_fkey": UserNotFound,
}


def constraint_error(error: DBAPIError) -> InboxError | None:
    """The domain error of a violated constraint; None if the failure is none, or the constraint says nothing to us."""
    driver_error = getattr(error.orig, "__cause__", None)
    known = ERRORS.get(getattr(driver_error, "constraint_name", None) or "")
    return known() if known else None
