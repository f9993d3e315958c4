-- A database of the existing system after its scripts 001 to 009, from the contract's tables. Columns of grown databases
-- come in another order; so do some here.

create table public.whatsapp_accounts (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  slug text not null unique,
  phone_number text,
  phone_number_id text not null unique,
  access_token text not null,
  verify_token text not null,
  is_active boolean default true,
  created_at timestamp default now(),
  bot_auto_on boolean default false
);

create table public.contacts (
  id uuid primary key default gen_random_uuid(),
  display_name text,
  whatsapp_number text not null unique,
  created_at timestamp default now()
);

create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  contact_id uuid references public.contacts (id),
  client_number text not null,
  status text default 'open',
  is_group boolean default false,
  is_favorite boolean default false,
  unread_count integer default 0,
  updated_at timestamp default now()
);
alter table public.conversations add column account_id uuid references public.whatsapp_accounts (id);
alter table public.conversations alter column account_id set not null;
alter table public.conversations add column bot_enabled boolean default false;
alter table public.conversations add column bot_last_reply_at timestamptz;
create unique index conversations_account_client_unique on public.conversations (account_id, client_number);

create table public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid references public.conversations (id),
  direction text not null,
  content_text text,
  "timestamp" timestamp default now(),
  wa_message_id text unique,
  message_type text,
  status text
);
alter table public.messages add column media_id text, add column media_mime_type text, add column media_filename text;

create table public.app_permissions (
  code text primary key,
  label text,
  description text
);

create table public.app_roles (
  id uuid primary key default gen_random_uuid(),
  slug text unique not null,
  name text not null,
  description text,
  created_at timestamptz default now()
);

create table public.role_permissions (
  role_id uuid references public.app_roles (id) on delete cascade,
  permission_code text references public.app_permissions (code) on delete cascade,
  created_at timestamptz default now(),
  primary key (role_id, permission_code)
);

create table public.app_users (
  user_id uuid primary key,
  email text,
  display_name text,
  is_active boolean default true,
  created_at timestamptz default now()
);

create table public.app_user_roles (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references public.app_users (user_id) on delete cascade,
  role_id uuid references public.app_roles (id) on delete cascade,
  account_id uuid references public.whatsapp_accounts (id),
  created_at timestamptz default now(),
  unique (user_id, role_id, account_id)
);

create table public.app_user_overrides (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references public.app_users (user_id) on delete cascade,
  permission_code text references public.app_permissions (code) on delete cascade,
  account_id uuid references public.whatsapp_accounts (id),
  is_allowed boolean not null,
  created_at timestamptz default now()
);

create table public.bot_profiles (
  id uuid primary key default gen_random_uuid(),
  account_id uuid not null references public.whatsapp_accounts (id) on delete cascade,
  business_name text,
  description text,
  address text,
  hours text,
  knowledge_base text,
  custom_fields jsonb default '[]'::jsonb,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
alter table public.bot_profiles add column template_config jsonb default '{}'::jsonb;
create unique index bot_profiles_account_id_idx on public.bot_profiles (account_id);

create index idx_app_user_roles_user on public.app_user_roles (user_id);
create index idx_app_user_roles_account on public.app_user_roles (account_id);
create index idx_app_user_overrides_user on public.app_user_overrides (user_id);
create index idx_app_user_overrides_account on public.app_user_overrides (account_id);
create index idx_conversations_account_updated on public.conversations (account_id, updated_at desc);
create index idx_messages_conversation_timestamp on public.messages (conversation_id, "timestamp" desc);

create function public.bot_profiles_set_updated_at() returns trigger language plpgsql as $body$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END;
$body$;

create trigger trg_bot_profiles_updated_at before update on public.bot_profiles
  for each row execute function public.bot_profiles_set_updated_at();
