"""Wiring of the assistant beside people."""

import msgspec
from dishka import Provider, Scope, provide

from inbox.domain.clock import Clock
from inbox.main.assisting import prompts
from inbox.ports.database import Database
from inbox.ports.llm import Assistant
from inbox.ports.media import MediaStore
from inbox.services.bot_context import Contexts
from inbox.services.bot_settings import BotSettings, Prompts
from inbox.services.copilot import Copilot
from inbox.services.knowledge import Knowledge
from inbox.services.rights import Rights

_SUGGEST, _SUMMARY, _TRANSLATE = "copilot_suggest_1", "copilot_summary_1", "copilot_translate_1"
"""Files of `services/prompts`, in each language. One that is changed gets the next number."""


class Copiloting(Provider):
    """The same model and the same context as that of a turn, with other instructions."""

    scope = Scope.APP

    @provide
    def copilot(
        self,
        database: Database,
        rights: Rights,
        assistant: Assistant,
        settings: BotSettings,
        articles: Knowledge,
        store: MediaStore,
        clock: Clock,
    ) -> Copilot:
        own = Prompts(assistant=prompts(_SUGGEST), summary=prompts(_SUMMARY))
        contexts = Contexts(assistant, msgspec.structs.replace(settings, prompts=own), articles, store)
        return Copilot(database, rights, contexts, prompts(_TRANSLATE), clock)
