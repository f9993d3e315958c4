"""Messages as threads show them: the statement, and its rows as items."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from inbox.adapters.database.postgres.old_rows import OLD_TEXT, readable
from inbox.adapters.database.postgres.times import shown
from inbox.domain.failure_texts import UNCONFIRMED
from inbox.domain.outbound import State
from inbox.ports.views import MessageItem, MoreOfMessage

_NULL: Final = b"null"
_MORE: Final = msgspec.json.Decoder(MoreOfMessage)


# What few messages have is one column of JSON, empty for most: it is looked up for the rows of the page only, hence
# outside of the lateral with its limit. `reactor` is no key of the index here: an array of keys would cost more.
# Reactions of ours are shown on their messages only.
# Old rows may have any word, or none, as status, and no account: they are reached through their conversation.
def bubbles(of: str, which: str) -> str:
    """SQL for messages `m` of the conversations `c` in `of`, those that are `which`; a `where` may follow."""
    return f"""
select m.id, m.conversation_id, m.direction, m.content_text, m."timestamp", m.wa_message_id, m.message_type, m.status,
       m.media_id, m.media_mime_type, m.media_filename, m.error_message, m.actor, m.client_id, m.delivery_state,
       m.content::text as content,
       case when num_nonnulls(
         m.reply_to_wamid, m.media_id, m.amended_at, m.revoked_at, m.context, m.send_at, r.found) > 0 then
         json_build_object(
           'reply_to_wamid', m.reply_to_wamid, 'edited_at', {shown("m.amended_at")},
           'revoked_at', {shown("m.revoked_at")}, 'context', m.context - 'identity_key_hash',
           'reactions', coalesce(r.found, '[]'),
           'reply_to_message_id', (select q.id from messages q where q.wa_message_id = m.reply_to_wamid
                                     and q.conversation_id = m.conversation_id limit 1),
           'media_state', (select f.state from media_files f where f.message_id = m.id),
           'scheduled_at', {shown("m.send_at")})::text
       end as more,
       {OLD_TEXT} as is_old
from {of} left join lateral (
select m.id, m.conversation_id, case when m.direction = 'outbound' then 'outbound' else 'inbound' end as direction,
       m.content_text, {shown('m."timestamp"')} as "timestamp", m.wa_message_id, m.message_type,
       case when m.status is null then null
            when m.direction <> 'outbound' then 'received'
            when m.status in ('pending', 'sent', 'delivered', 'read', 'failed') then m.status
            else 'sent' end as status,
       m.media_id, m.media_mime_type, m.media_filename, m.error_message, m.author as actor, m.client_id,
       o.state as delivery_state, m.content, m.reply_to_wamid, m.amended_at, m.revoked_at, m.context, o.send_at
from messages m left join outbox o on o.id = m.id and o.account_id = c.account_id
where m.conversation_id = c.id and (m.account_id = c.account_id or m.account_id is null)
  and (m.message_type is distinct from 'reaction' or o.id is null) and {which}
) m on true left join lateral (
  select json_agg(json_build_object('emoji', r.emoji, 'from', case r.reactor when 'business' then r.reactor
                                    else 'contact' end, 'at', {shown("r.reacted_at")})) as found
  from reactions r
  where r.account_id = c.account_id and r.target_wamid = m.wa_message_id and r.emoji is not null
    and (r.reactor = 'business' or r.reactor = c.contact_id::text)
) r on true
"""  # noqa: S608 - constants of ours


def bubble_of(row: Sequence[Any]) -> MessageItem:
    *columns, content, more, is_old = row
    columns.append(None if content is None else msgspec.Raw(content.encode()))
    if more is not None:
        columns += _few(_MORE.decode(more))
    item = MessageItem(*columns)
    if item.delivery_state == State.UNCONFIRMED:  # `pending` for good, if nobody is told
        return msgspec.structs.replace(item, error_message=UNCONFIRMED.sentence())
    if is_old and item.content_text is not None:
        return msgspec.structs.replace(item, content_text=readable(item.message_type, item.content_text))
    return item


def _few(more: MoreOfMessage) -> tuple[object, ...]:
    """The fields of a `MessageItem` that few messages have."""
    reactions = more.reactions
    return (
        more.reply_to_wamid,
        more.edited_at,
        more.revoked_at,
        None if bytes(more.context) == _NULL else more.context,
        tuple(sorted(reactions, key=lambda one: (one.at, one.sender))) if reactions else reactions,
        more.reply_to_message_id,
        more.media_state,
        more.scheduled_at,
    )
