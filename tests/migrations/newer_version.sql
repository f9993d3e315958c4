-- A database of the newer version of the existing system, and of an operator with tables of his own.

alter table public.whatsapp_accounts add column waba_id text, add column business_id text, add column app_secret text;
update public.whatsapp_accounts set waba_id = '2000000000001' where slug = 'boutique';
alter table public.contacts add column profile_picture_url text, add column whatsapp_name text;
alter table public.conversations add column bot_reply_mode text;
alter table public.messages
  add column interactive_data jsonb,
  add column storage_url text,
  add column error_message text,
  add column reply_to_message_id uuid,
  add column is_system boolean default false,
  add column sent_by_user_id uuid;
update public.messages set error_message = 'Message non distribuable' where wa_message_id = 'wamid.A2';
create index messages_search on public.messages (lower(content_text));

create table public.message_reactions (
  id uuid primary key default gen_random_uuid(),
  message_id uuid not null references public.messages (id),
  from_number text not null,
  emoji text not null,
  unique (message_id, from_number, emoji)
);
insert into public.message_reactions (message_id, from_number, emoji)
  values ('00000004-0000-4000-8000-000000000001', '33600000001', '👍');

create table public.webhook_events (id bigserial primary key, signature_id text unique, body jsonb);
create view public.unread_accounts as select account_id, sum(unread_count) as unread from public.conversations group by 1;

alter table public.messages enable row level security;
create policy messages_of_members on public.messages for select using (true);
