"""Wiring of the assistant's turns."""

from datetime import timedelta
from importlib import resources
from secrets import token_hex

from dishka import Provider, Scope, provide

from inbox.domain.bot import LoopLimits
from inbox.domain.clock import Clock
from inbox.domain.explanations import Language
from inbox.domain.model_usage import MICRO
from inbox.main.bot_settings import Bot as Manners
from inbox.main.bot_settings import backup_number
from inbox.main.llm_settings import prices_of
from inbox.main.runtime import Runtime
from inbox.ports.bot import Charge
from inbox.ports.database import Database
from inbox.ports.llm import Assistant
from inbox.ports.media import MediaStore
from inbox.services.bot import Bot
from inbox.services.bot_context import Contexts
from inbox.services.bot_profiles import BotProfiles
from inbox.services.bot_settings import AlertTemplate, BotSettings, PromptFile, Prompts
from inbox.services.bot_summary import Summaries
from inbox.services.bot_views import BotViews
from inbox.services.composing import Composing
from inbox.services.knowledge import Knowledge
from inbox.services.rights import Rights

_ASSISTANT, _SUMMARY = "assistant_2", "summary_1"
"""Files of `services/prompts`, in each language. One that is changed gets the next number."""


class Assisting(Provider):
    """What a turn is made of."""

    scope = Scope.APP

    @provide
    def settings(self, runtime: Runtime) -> BotSettings:
        told, llm = runtime.settings.bot, runtime.settings.llm
        return BotSettings(
            prompts=Prompts(assistant=prompts(_ASSISTANT), summary=prompts(_SUMMARY)),
            canary=f"ref-{token_hex(8)}",
            backup_number=backup_number(told, runtime.settings.whatsapp.country_code),
            alert=_alert(told),
            quiet=timedelta(seconds=told.quiet_seconds),
            gather=timedelta(seconds=max(told.quiet_seconds, told.gather_seconds)),
            turn_seconds=told.turn_seconds,
            min_confidence=told.min_confidence,
            media_bytes=told.media_bytes,
            history_tokens=told.history_tokens,
            loop=LoopLimits(replies=told.loop_replies, seconds=told.loop_seconds, repeats=told.loop_repeats),
            contact_budget=_charge(told.contact_turns, told.contact_tokens, told.contact_cost),
            account_budget=_charge(told.daily_turns, told.daily_tokens, told.daily_cost),
            prices=prices_of(llm),
        )

    @provide
    def contexts(self, assistant: Assistant, settings: BotSettings, articles: Knowledge, store: MediaStore) -> Contexts:
        return Contexts(assistant, settings, articles, store)

    @provide
    def profiles(self, database: Database, rights: Rights, assistant: Assistant) -> BotProfiles:
        return BotProfiles(database, rights, assistant)

    summaries = provide(Summaries)
    views = provide(BotViews)

    @provide
    def bot(
        self,
        database: Database,
        rights: Rights,
        contexts: Contexts,
        clock: Clock,
        summaries: Summaries,
        composing: Composing,
    ) -> Bot:
        return Bot(database, rights, contexts, clock, summaries=summaries, typing=composing)


def prompts(name: str) -> dict[Language, PromptFile]:
    """A file of instructions in every language."""
    folder = resources.files("inbox.services").joinpath("prompts")
    return {
        language: PromptFile(
            name=f"{language}/{name}", text=folder.joinpath(f"{language}/{name}.txt").read_text("utf-8")
        )
        for language in Language
    }


def _alert(told: Manners) -> AlertTemplate | None:
    if told.alert_template is None:
        return None
    return AlertTemplate(name=told.alert_template, language=told.alert_template_language)


def _charge(turns: int, tokens: int, cost: float) -> Charge:
    return Charge(turns=turns, tokens=tokens, cost=round(cost * MICRO))
