-- What years of use leave behind. Ids are readable: the first group is the table, the last the row.

insert into public.app_permissions (code, label, description) values
  ('accounts.view', 'Voir les comptes (modifié)', 'Afficher la liste des comptes WhatsApp'),
  ('conversations.view', 'Voir les conversations', null),
  ('messages.view', 'Voir les messages', null),
  ('messages.send', 'Envoyer des messages', null),
  ('contacts.view', 'Voir les contacts', null),
  ('users.manage', 'Gérer les utilisateurs', null);
-- The role viewer was removed, manager renamed, dev added.
insert into public.app_roles (id, slug, name) values
  ('00000005-0000-4000-8000-000000000001', 'admin', 'Administrateur'),
  ('00000005-0000-4000-8000-000000000002', 'manager', 'Chef d’équipe'),
  ('00000005-0000-4000-8000-000000000003', 'dev', 'Développement');
insert into public.role_permissions (role_id, permission_code) values
  ('00000005-0000-4000-8000-000000000001', 'accounts.view'),
  ('00000005-0000-4000-8000-000000000002', 'messages.send');

insert into public.whatsapp_accounts
  (id, name, slug, phone_number, phone_number_id, access_token, verify_token, is_active, created_at) values
  ('00000001-0000-4000-8000-000000000001', 'Boutique', 'boutique', '+33 1 02 03 04 05', '1000000000001',
   'EAAclear-token-of-boutique', 'verify-boutique', true, '2025-03-30 02:30:00'),
  ('00000001-0000-4000-8000-000000000002', 'Atelier', 'atelier', null, '1000000000002',
   'EAAclear-token-of-atelier', 'verify-atelier', null, '2025-10-26 02:30:00.123456'),
  ('00000001-0000-4000-8000-000000000003', 'Sans jeton', 'sans-jeton', null, '1000000000003', '', '', false, null),
  ('00000001-0000-4000-8000-000000000004', 'Legacy account', 'legacy-migration', null, 'legacy-phone-id',
   'legacy-token', 'legacy-verify', true, '2024-01-01 00:00:00');

insert into public.contacts (id, whatsapp_number, display_name, created_at) values
  ('00000002-0000-4000-8000-000000000001', '33600000001', 'Aïcha', '2025-06-01 12:00:00'),
  ('00000002-0000-4000-8000-000000000002', '33600000002', null, '2025-06-02 12:00:00');

insert into public.conversations
  (id, contact_id, account_id, client_number, is_group, is_favorite, unread_count, status, updated_at, bot_enabled) values
  ('00000003-0000-4000-8000-000000000001', '00000002-0000-4000-8000-000000000001',
   '00000001-0000-4000-8000-000000000001', '33600000001', false, true, 3, 'open', '2025-07-01 10:00:00', true),
  ('00000003-0000-4000-8000-000000000002', '00000002-0000-4000-8000-000000000002',
   '00000001-0000-4000-8000-000000000002', '33600000002', null, null, null, null, null, null),
  ('00000003-0000-4000-8000-000000000003', null,
   '00000001-0000-4000-8000-000000000004', '33600000003', false, false, 0, 'open', '2025-07-03 10:00:00', false);

insert into public.messages
  (id, conversation_id, direction, content_text, "timestamp", wa_message_id, message_type, status, media_id,
   media_mime_type, media_filename) values
  ('00000004-0000-4000-8000-000000000001', '00000003-0000-4000-8000-000000000001', 'inbound', 'Bonjour',
   '2025-03-30 02:30:00', 'wamid.A1', 'text', 'received', null, null, null),
  ('00000004-0000-4000-8000-000000000002', '00000003-0000-4000-8000-000000000001', 'outbound', 'Bonjour à vous',
   '2025-10-26 02:30:00', 'wamid.A2', 'text', 'delivered', null, null, null),
  ('00000004-0000-4000-8000-000000000003', '00000003-0000-4000-8000-000000000001', 'outbound', '[status update]',
   '2025-06-01 09:00:00', 'wamid.A3', 'status', 'deleted', null, null, null),
  ('00000004-0000-4000-8000-000000000004', '00000003-0000-4000-8000-000000000001', 'inbound',
   '{"from":"33600000001","id":"wamid.A4","type":"sticker","sticker":{"id":"99"}}',
   '2025-07-01 09:59:59.5', 'wamid.A4', 'sticker', 'received', '99', 'image/webp',
   'n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg='),
  ('00000004-0000-4000-8000-000000000005', '00000003-0000-4000-8000-000000000002', 'outbound', 'Sans identifiant',
   '2025-07-02 08:00:00', null, null, null, null, null, null),
  ('00000004-0000-4000-8000-000000000006', null, 'inbound', 'Sans conversation',
   '2025-07-02 08:00:01', 'wamid.A6', 'text', null, null, null, null);

insert into public.app_users (user_id, email, display_name, is_active, created_at) values
  ('00000006-0000-4000-8000-000000000001', 'admin@example.org', 'Admin', true, '2025-01-01 00:00:00+00'),
  ('00000006-0000-4000-8000-000000000002', 'off@example.org', null, null, '2025-01-01 00:00:00+00');

insert into public.app_user_roles (id, user_id, role_id, account_id, created_at) values
  ('00000007-0000-4000-8000-000000000001', '00000006-0000-4000-8000-000000000001',
   '00000005-0000-4000-8000-000000000001', null, '2025-02-02 00:00:00+00'),
  ('00000007-0000-4000-8000-000000000002', '00000006-0000-4000-8000-000000000001',
   '00000005-0000-4000-8000-000000000001', null, '2025-02-01 00:00:00+00'),
  ('00000007-0000-4000-8000-000000000003', '00000006-0000-4000-8000-000000000001',
   '00000005-0000-4000-8000-000000000001', '00000001-0000-4000-8000-000000000001', '2025-02-03 00:00:00+00'),
  ('00000007-0000-4000-8000-000000000004', null,
   '00000005-0000-4000-8000-000000000001', null, '2025-02-04 00:00:00+00');

insert into public.app_user_overrides (id, user_id, permission_code, account_id, is_allowed, created_at) values
  ('00000008-0000-4000-8000-000000000001', '00000006-0000-4000-8000-000000000001', 'messages.send', null, true,
   '2025-02-01 00:00:00+00'),
  ('00000008-0000-4000-8000-000000000002', '00000006-0000-4000-8000-000000000001', 'messages.send', null, false,
   '2025-02-02 00:00:00+00'),
  ('00000008-0000-4000-8000-000000000003', '00000006-0000-4000-8000-000000000001', 'messages.send', null, false,
   '2025-02-03 00:00:00+00'),
  ('00000008-0000-4000-8000-000000000004', '00000006-0000-4000-8000-000000000001', 'messages.send',
   '00000001-0000-4000-8000-000000000001', true, '2025-02-05 00:00:00+00'),
  ('00000008-0000-4000-8000-000000000005', '00000006-0000-4000-8000-000000000001', 'messages.send',
   '00000001-0000-4000-8000-000000000001', true, '2025-02-04 00:00:00+00'),
  ('00000008-0000-4000-8000-000000000006', '00000006-0000-4000-8000-000000000001', null, null, true,
   '2025-02-06 00:00:00+00');

insert into public.bot_profiles (id, account_id, business_name, custom_fields, template_config) values
  ('00000009-0000-4000-8000-000000000001', '00000001-0000-4000-8000-000000000001', 'Boutique',
   '[{"label": "Parking", "value": "oui"}]', '{}'),
  ('00000009-0000-4000-8000-000000000002', '00000001-0000-4000-8000-000000000002', null, null, null);
