"""What a model is asked about a conversation: this one's messages, what the business says, and nothing else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from inbox.domain.bot import SENTENCES, Sentences
from inbox.domain.bot_briefing import knowledge, one_line
from inbox.domain.bot_context import Line, described, kept, tokens_of, tokens_of_file
from inbox.domain.bot_guards import Allowed
from inbox.domain.bot_profile import Profile
from inbox.domain.content import Media, MediaKind, is_readable
from inbox.domain.errors import InboxError
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.knowledge import Source
from inbox.ports import llm
from inbox.ports.bot import StoredFile
from inbox.ports.llm import Assistant, MediaPart, Prompt, Tuning, Turn
from inbox.ports.media import MediaKey, MediaStore
from inbox.ports.records import BotTurn, History
from inbox.services.bot_settings import BotSettings

_SOURCE_CHARACTERS: Final = 1_200
_MOST_FILES: Final = 3
_VOICES: Final = frozenset({MediaKind.VOICE, MediaKind.AUDIO})


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as a turn found it. `history` is oldest first, `waiting` its unanswered end.

    `begun_at` is when the first of `waiting` was written that a turn has taken up, None if it is the newest. `since` is
    when the conversation was last handed over to a person: what was said before is theirs.
    """

    turn: BotTurn
    profile: Profile
    client_number: str
    contact_name: str | None
    history: Sequence[History]
    waiting: Sequence[History]
    begun_at: datetime | None = None
    since: datetime | None = None
    files: Sequence[StoredFile] = ()

    @property
    def sentences(self) -> Sentences:
        return SENTENCES[self.profile.behaviour.language]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is asked, and what its answer is held against. `offered` are the sources by their names.

    `is_readable` if there is anything in it that a model can answer. `lacks_sources` if they could not be looked for.
    """

    prompt: Prompt
    prompt_name: str
    allowed: Allowed
    offered: Mapping[str, Source]
    is_readable: bool
    tokens: int
    lacks_sources: bool = False


class Articles(Protocol):
    """Where sources are looked for."""

    async def find(
        self, account_id: AccountId, question: str, language: Language | None, *, limit: int, max_chars: int
    ) -> tuple[Source, ...]:
        """As `Knowledge.find`."""
        ...


class Contexts:
    """Nothing of it runs inside a transaction."""

    def __init__(
        self,
        assistant: Assistant,
        settings: BotSettings,
        articles: Articles | None = None,
        store: MediaStore | None = None,
    ) -> None:
        """Without a store no file is given to the model, without articles it knows the profile only."""
        self.assistant = assistant
        self.settings = settings
        self._articles = articles
        self._store = store

    def takes(self, message: History, profile: Profile, mime_type: str | None) -> bool:
        """True if the file of `message` is to be given to the model."""
        content, told = message.content, profile.behaviour
        if self._store is None or not isinstance(content, Media):
            return False
        wanted = (content.kind is MediaKind.IMAGE and told.reads_images) or (
            content.kind in _VOICES and told.reads_voice
        )
        kind = mime_type or content.mime_type
        return wanted and kind is not None and self.assistant.reads(kind)

    async def of(self, talk: Talk) -> Asked:
        """For the next answer."""
        media = await self._media(talk)
        found = await self._sources(talk)
        sources = found or ()
        lines = self._lines(talk, media)
        file = self.settings.prompts.assistant[talk.profile.behaviour.language]
        told = knowledge(talk.profile, None, talk.sentences.nothing_known)
        system = file.rendered(unreadable=talk.sentences.unreadable, canary=self.settings.canary, knowledge=told)
        offered = {f"k{place}": source for place, source in enumerate(sources, 1)}
        quoted = [_contact(talk.contact_name), *(_quoted(name, source) for name, source in offered.items())]
        behaviour = talk.profile.behaviour
        prompt = Prompt(
            system=system,
            history=tuple(turn for turn, _ in lines),
            sources=tuple(source for source in quoted if source is not None),
            tuning=Tuning(model=behaviour.model, temperature=behaviour.temperature),
        )
        written = " ".join(line.text for _, line in lines)
        return Asked(
            prompt=prompt,
            prompt_name=file.name,
            allowed=Allowed(
                canary=self.settings.canary,
                instructions=file.text,
                told="\n".join([told, *(f"{source.title} {source.text}" for source in sources)]),
                asked=f"{written} {talk.client_number}",
                domains=behaviour.link_domains,
            ),
            offered=offered,
            is_readable=bool(media) or any(m.content is None or is_readable(m.content) for m in talk.waiting),
            tokens=_tokens(prompt, [line for _, line in lines]),
            lacks_sources=found is None,
        )

    def for_summary(self, talk: Talk) -> Asked:
        """For whoever goes on with the conversation."""
        file = self.settings.prompts.summary[talk.profile.behaviour.language]
        lines = self._lines(talk, {})
        tuning = Tuning(model=talk.profile.behaviour.model)
        system = file.rendered(canary=self.settings.canary)
        prompt = Prompt(system=system, history=tuple(turn for turn, _ in lines), tuning=tuning)
        return Asked(
            prompt=prompt,
            prompt_name=file.name,
            allowed=Allowed(canary=self.settings.canary, instructions=file.text),
            offered={},
            is_readable=True,
            tokens=_tokens(prompt, [line for _, line in lines]),
        )

    def _lines(self, talk: Talk, media: Mapping[MessageId, MediaPart]) -> list[tuple[Turn, Line]]:
        """The newest that fit, oldest first. What waits for an answer counts whenever it was written."""
        waiting = {message.id for message in talk.waiting}
        found: list[tuple[Turn, Line]] = []
        for message in talk.history:
            if talk.since is not None and message.at < talk.since and message.id not in waiting:
                continue
            text = described(message.content, message.content_text or "", talk.profile.behaviour.language)
            file = media.get(message.id)
            turn = Turn(role="customer" if message.is_inbound else "business", text=text, media=(file,) if file else ())
            cost = tokens_of_file(file.mime_type, len(file.data)) if file else 0
            found.append((turn, Line(is_inbound=message.is_inbound, text=text, media_tokens=cost)))
        return found[-kept([line for _, line in found], self.settings.history_tokens) :] if found else []

    async def _sources(self, talk: Talk) -> Sequence[Source] | None:
        """None if they cannot be looked for: an answer from the profile is better than none."""
        if self._articles is None:
            return ()
        question = "\n".join(message.content_text or "" for message in talk.waiting)
        behaviour, account_id = talk.profile.behaviour, talk.turn.account_id
        try:
            return await self._articles.find(
                account_id, question, behaviour.language, limit=self.settings.most_sources, max_chars=_SOURCE_CHARACTERS
            )
        except InboxError:
            return None

    async def _media(self, talk: Talk) -> dict[MessageId, MediaPart]:
        """The newest unanswered files that the model reads, as long as there is room for them."""
        stored = {file.message_id: file for file in talk.files if file.size is not None}
        room, found = self.settings.media_bytes, dict[MessageId, MediaPart]()
        for message in reversed(talk.waiting):
            file = stored.get(message.id)
            if file is None or not file.size or file.size > room or len(found) == _MOST_FILES:
                continue
            if not self.takes(message, talk.profile, file.mime_type):
                continue
            data = await self._read(MediaKey(talk.turn.account_id, message.id), file.size)
            if data:
                room -= len(data)
                found[message.id] = MediaPart(mime_type=file.mime_type or "", data=data)
        return found

    async def _read(self, key: MediaKey, most: int) -> bytes:
        """Empty if it cannot be had: then the model reads what it is called."""
        if self._store is None:
            return b""
        data = bytearray()
        try:
            async with self._store.open(key) as body:
                async for chunk in body.chunks:
                    data += chunk
                    if len(data) > most:
                        return b""
        except InboxError:
            return b""
        return bytes(data)


def _contact(name: str | None) -> llm.Source | None:
    said = one_line(name)
    return llm.Source(text=f"Prenom/nom du contact: {said}", kind="contact") if said else None


def _quoted(name: str, source: Source) -> llm.Source:
    return llm.Source(id=name, title=source.title, text=source.text)


def _tokens(prompt: Prompt, lines: Sequence[Line]) -> int:
    """All that the model reads, at most."""
    texts = [prompt.system, *(line.text for line in lines), *(f"{s.id}{s.title}{s.text}" for s in prompt.sources)]
    return sum(tokens_of(text) + 20 for text in texts) + sum(line.media_tokens for line in lines)
