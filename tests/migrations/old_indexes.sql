-- Script 010: ten names, most of which repeat what is there.
create index if not exists idx_conversations_account_updated on public.conversations (account_id, updated_at desc);
create index if not exists idx_messages_conversation_timestamp on public.messages (conversation_id, "timestamp" desc);
create index if not exists idx_conversations_contact on public.conversations (contact_id);
create index if not exists idx_accounts_phone_number_id on public.whatsapp_accounts (phone_number_id);
create index if not exists idx_app_users_user_id on public.app_users (user_id);
create index if not exists idx_user_roles_user_id on public.app_user_roles (user_id);
create index if not exists idx_messages_status on public.messages (conversation_id, status) where status <> 'read';
create index if not exists idx_bot_profiles_account on public.bot_profiles (account_id);
create index if not exists idx_accounts_phone_verify on public.whatsapp_accounts (phone_number_id, verify_token)
  where is_active = true;
create index if not exists idx_conversations_status on public.conversations (account_id, status, updated_at desc)
  where status = 'open';
comment on index public.idx_conversations_contact is 'Jointure avec les contacts';
analyze public.conversations, public.messages;
