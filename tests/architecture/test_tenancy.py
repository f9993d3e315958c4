"""Every way to the rows of an account names the account; what cannot is listed here with its reason."""

import inspect
import re
from collections.abc import Iterator

from architecture.statements import statements
from inbox.ports import bot, database, knowledge, queries, receipts, repositories, team, templates, uploads

TENANT_TABLES = (
    "account_notices",
    "bot_profiles",
    "bot_turn_sources",
    "bot_turns",
    "contact_preferences",
    "conversations",
    "event_log",
    "idempotency_keys",
    "knowledge_articles",
    "knowledge_passages",
    "media_files",
    "message_templates",
    "message_amendments",
    "message_statuses",
    "messages",
    "outbox",
    "reactions",
    "read_receipts",
    "template_syncs",
    "uploads",
)
"""Tables whose rows belong to one account. Of `whatsapp_accounts` the id is the account."""

TOUCHES = re.compile(r"\b(?:from|join|into|update)\s+(" + "|".join(TENANT_TABLES) + r")\b")
NAMES_ACCOUNT = re.compile(r":account_ids?\b|:accounts\b|\bu\.account_id\b|\baccount_id = :")

STATEMENTS_WITHOUT_ACCOUNT = {
    # The feed reads the log for everybody, and shows each listener what is theirs; its sweep knows ages only.
    "event_feed._READ",
    "event_feed._NEWEST",
    "retention._EVENTS",
    # Who owns it: found by an unguessable id, and the rights are checked against the answer.
    "queries._OWNER",
    "queries._OWNERS",
    "queries._OWNER_OF_MESSAGE",
    # Figures of the whole installation, for its administrators.
    "operations._PARKED",
    "operations._SENDS",
    "operations._SILENT",
    # What operators compare with what was delivered: numbers name their account, and wamids are unique.
    "lookups._MESSAGES",
    "lookups._STATUSES",
    "lookups._REACTIONS",
    "lookups._AMENDMENTS",
    "lookups._PREFERENCES",
    "lookups._NOTICES",
    # Contacts are the installation's: one that any account talks to stays.
    "contacts._IN_USE",
    # ... and every account that talks to one shows its name.
    "threads._HOLD",
    # ... and show what they told each account.
    "contacts.CONTACTS",
    "queries.CONTACTS",
    "contacts._ADD",
    "contacts._LIST",
    "contacts._CHANGE",
    # Two of them become one, with all that they did.
    "merging._PREFERENCES",
    "merging._CONVERSATIONS",
    "merging._FOLD",
    "merging._EMPTY",
    "merging._REASSIGN",
    "merging._MESSAGES",
    "merging._OUTBOX",
    "merging._TURNS",
    "merging._VANISH",
    "identity_rows._FOLLOW",
    "reactions._FOLLOW",
    "amendments._FOLLOW",
    "amendments._OF_CONTACTS",
    # ... unless somebody else knows one of them.
    "own_secrets._THEIRS",
    "own_secrets._RENAME",
    "own_secrets._HUSH",
    # Messages that were found for their account before.
    "amendments._WAITING",
    "amendments._SHOW",
    "reactions._STORE_OURS",
    "reactions._WITHDRAW",
    # The worker's: by the id and token that a claim gave, or by a lane that is held.
    "outbox_fences._TOGETHER",
    "outbox_fences._ALONE",
    "outbox_outcomes._LEARN",
    "outbox._RELEASE",
    "outbox._HURRY",
    "outbox._REAP",
    "outbox._ORPHANS",
    # ... by what is due, and what surely never arrived.
    "scheduled._DUE",
    "scheduled._LOCK",
    "scheduled._HEADS",
    "scheduled._QUEUE",
    "scheduled._END",
    "absences._SUSPECTS",
    "absences._EVIDENCE",
    "absences._LANE",
    "absences._RESEND",
    "outbox_heads._EXPIRED",
    "outbox_heads._HEADS",
    "outbox_heads._OVER",
    "outbox_heads._END",
    # ... by the messages whose failure was just written.
    "undelivered._FIND",
    "undelivered._ENQUEUE",
    # Whose lists are due, for who reads them.
    "templates._CLAIM",
    # Whose vectors are missing, for who makes them.
    "knowledge._CLAIM",
    "knowledge._RENEW",
    # Ingest: wamids are unique in all of WhatsApp, numbers name their account, and rows were found for it before.
    "arrivals._KNOWN",
    "arrivals._COUNT",
    "windows._CLOSE",
    "windows._GIVE_UP",
    "windows._LOCK",
    "windows._LOCK_ALL",
    "windows._LOCK_SENDING",
    "windows._RENEW",
    "statuses._FIND",
    "statuses._ADOPT",
    "statuses._LEARN",
    "statuses._KEEP",
    "statuses._SHOW",
    "statuses._ECHO",
}

METHODS_WITHOUT_ACCOUNT = {
    # Installation-wide by the contract: contacts, people, roles, keys.
    "Contacts.add",
    "Contacts.change",
    "Contacts.remove",
    "Queries.contacts",
    *(f"{port}.*" for port in ("Members", "Roles", "ApiKeys", "Team", "Remembering")),
    # Before routing: raw bodies and lanes have no account yet.
    *(f"{port}.*" for port in ("Deliveries", "Work")),
    # The worker's, by id and token of a claim.
    "Outbox.take_heads",
    "Outbox.to_wire",
    "Outbox.settle",
    "Outbox.release",
    "Outbox.hurry",
    "Outbox.reap",
    # Says which account it is.
    "Queries.owner_of_conversation",
    "Queries.owners_of",
    "Queries.owner_of_message",
    "Queries.account_by_verify_token",
    "Queries.active_account_ids",
    "Queries.app_secrets",
    "Queries.ping",
    # The account is in the value.
    "Outbox.post",
    "Messages.queue",
    "Messages.add_failed",
    "Messages.remember",
    "MediaFiles.overdue",
    "MediaFiles.expire",
    "MediaUploader.upload",
    # The account is in the channel.
    "TemplateSource.page",
    "TemplateSource.create",
    "TemplateSource.edit",
    "TemplateSource.delete",
    "TemplateSource.upload_sample",
    # Whose lists are due.
    "StoredTemplates.claim_syncs",
    # Whose vectors are missing; then the account is in the value.
    "Articles.claim",
    "Articles.embedded",
    "Articles.postpone",
    "Articles.renew",
    "Uploads.begin",
    "Uploads.remove",
    # Unused files of everybody.
    "Uploads.give_up",
    "Bot.put_profile",
    "Bot.open_turn",
    "Bot.close_turn",
    "Bot.summarise",
    "Bot.undelivered",
    "Bot.reserve",
    "Bot.settle",
}

NAMING = {"account_id", "account_ids", "reach", "actor"}


def methods() -> Iterator[tuple[str, set[str]]]:
    for module in (bot, database, knowledge, queries, receipts, repositories, team, templates, uploads):
        for port in vars(module).values():
            if inspect.isclass(port) and port.__module__ == module.__name__ and getattr(port, "_is_protocol", False):
                for name, method in inspect.getmembers(port, inspect.isfunction):
                    if not name.startswith("_"):
                        yield f"{port.__name__}.{name}", set(inspect.signature(method).parameters)


def test_every_statement_on_rows_of_an_account_names_the_account():
    found = dict(statements())
    assert len(found) > 60
    without = {name for name, text in found.items() if TOUCHES.search(text) and not NAMES_ACCOUNT.search(text)}
    assert without == STATEMENTS_WITHOUT_ACCOUNT & set(found)


def test_every_exception_among_the_statements_still_exists():
    assert set(dict(statements())) >= STATEMENTS_WITHOUT_ACCOUNT


def test_every_method_that_reaches_rows_of_an_account_names_the_account():
    whole = {name.removesuffix(".*") for name in METHODS_WITHOUT_ACCOUNT if name.endswith(".*")}
    skipped = {"Transaction", "Database"}
    without = {
        name
        for name, parameters in methods()
        if not parameters & NAMING and name.partition(".")[0] not in whole | skipped
    }
    assert without == {name for name in METHODS_WITHOUT_ACCOUNT if not name.endswith(".*")}
