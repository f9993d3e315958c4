"""`inbox bot eval`: files with transcripts, the model that answers them, and the run."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.adapters.llm.absent import NoAssistant
from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.errors import Invalid
from inbox.domain.evaluation import Result, Transcript
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, uuid7
from inbox.domain.knowledge import ArticleKind, ArticleText, Passage, cleaned, passages
from inbox.domain.model_usage import MICRO
from inbox.entrypoints.http.bot_profiles import ProfileBody, profile_of
from inbox.kit.sealing import Sealer
from inbox.main.container import build
from inbox.main.runtime import Runtime, data_folder
from inbox.main.settings import Settings, SettingsError
from inbox.ports.llm import Assistant
from inbox.services.bot_settings import BotSettings
from inbox.services.evaluating import evaluated

SCRIPTED: Final = "scripted"
_LARGEST: Final = 5 << 20
_WIDEST: Final = 44
_ACCOUNT: Final = AccountId(UUID(int=0))
_Text = Annotated[str, Meta(min_length=1, max_length=4_096)]


class _ArticleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=300)]
    body: Annotated[str, Meta(max_length=20_000)]


class _TranscriptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`profile` and `knowledge` are those of the file if they are missing."""

    name: _Text
    customer: Annotated[list[_Text], Meta(min_length=1, max_length=30)]
    contact_name: str | None = None
    profile: ProfileBody | None = None
    knowledge: list[_ArticleBody] | None = None
    expect: list[_Text | list[_Text]] = []
    forbid: list[_Text] = []
    handover: bool = False
    scripted: list[dict[str, Any]] = []


class _FileBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    transcripts: Annotated[list[_TranscriptBody], Meta(min_length=1, max_length=1_000)]
    profile: ProfileBody = ProfileBody()
    knowledge: list[_ArticleBody] = []


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript, and what a scripted model answers to each of its turns."""

    transcript: Transcript
    scripted: tuple[dict[str, Any], ...]


def golden() -> Path:
    """The set that comes with the service."""
    return Path(str(resources.files("inbox.main").joinpath("golden_transcripts.yaml")))


def read(file: Path) -> list[Case]:
    """The cases of a YAML or JSON file. Raises `SettingsError` with the place of what is wrong in it."""
    decode: Callable[..., _FileBody]
    match file.suffix.lower():
        case ".json":
            decode = msgspec.json.decode
        case ".yaml" | ".yml":
            decode = msgspec.yaml.decode
        case _:
            raise SettingsError(f"{file}: the name of a file with transcripts ends in .yaml, .yml or .json.")
    try:
        data = file.read_bytes()
        if len(data) > _LARGEST:
            raise SettingsError(f"{file}: larger than 5 MiB.")
        body = decode(data, type=_FileBody)
        return [_case(one, body) for one in body.transcripts]
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}.") from error
    except (msgspec.DecodeError, Invalid, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error


async def play(settings: Settings, cases: Sequence[Case], *, model: str | None, told: Callable[[Result], None]) -> None:
    """One after the other, for the quotas of vendors; `told` is each result. Asks no database.

    `model` is `scripted`, or one of the configured vendor; it counts before those of the profiles. Raises
    `SettingsError` if a case does not script an answer for each turn, and if there is no model.
    """
    if model == SCRIPTED:
        for case in cases:
            if len(case.scripted) != len(case.transcript.customer):
                raise SettingsError(f"{case.transcript.name!r} needs as many `scripted` answers as `customer` texts.")
    container = build(_runtime(settings))
    try:
        bot_settings = await container.get(BotSettings)
        configured = None if model == SCRIPTED else await container.get(Assistant)
        if isinstance(configured, NoAssistant):
            raise SettingsError("No language model is configured: set INBOX_LLM_VENDOR, or take --model scripted.")
        for case in cases:
            transcript = case.transcript if model in {None, SCRIPTED} else _asking(case.transcript, model)
            told(await evaluated(transcript, configured or _recorded(case), bot_settings, lambda: datetime.now(UTC)))
    finally:
        await container.close()


class Board:
    """Writes a line for each result, and the last one."""

    def __init__(self, write: Callable[[str], None], *, currency: str, shows_answers: bool) -> None:
        self._write = write
        self._currency = currency
        self._shows_answers = shows_answers
        self._results: list[Result] = []

    @property
    def mean(self) -> float:
        """Of all scores."""
        return sum(one.score for one in self._results) / max(1, len(self._results))

    def add(self, result: Result) -> None:
        self._results.append(result)
        model = next((turn.model for turn in result.turns if turn.model), "-")
        name = result.name if len(result.name) <= _WIDEST else f"{result.name[: _WIDEST - 1]}…"
        figures = f"{result.score:5.2f}  {len(result.turns):5}  {_money(result.cost):>6}  {result.slowest:6.2f}s"
        self._write(f"{name:{_WIDEST}} {figures}  {model}")
        for fault in result.faults:
            self._write(f"    {fault}")
        if self._shows_answers:
            for turn in result.turns:
                self._write(f"    > {turn.reply if turn.reply is not None else '(nothing)'}")

    def total(self) -> str:
        """Score, cost and time of all."""
        costs = [one.cost for one in self._results]
        known = [cost for cost in costs if cost is not None]
        cost = (
            f"{_money(sum(known))} {self._currency}" if len(known) == len(costs) else "unknown (no price of the model)"
        )
        slowest = max((one.slowest for one in self._results), default=0.0)
        right = sum(one.score == 1.0 for one in self._results)
        return f"{right} of {len(costs)} as expected, mean score {self.mean:.3f}, cost {cost}, slowest {slowest:.2f} s"


def _money(cost: int | None) -> str:
    return "-" if cost is None else f"{cost / MICRO:.4f}"


def _asking(transcript: Transcript, model: str | None) -> Transcript:
    profile = transcript.profile
    behaviour = msgspec.structs.replace(profile.behaviour, model=model)
    return msgspec.structs.replace(transcript, profile=msgspec.structs.replace(profile, behaviour=behaviour))


def _recorded(case: Case) -> FakeAssistant:
    assistant = FakeAssistant()
    assistant.then(*case.scripted)
    return assistant


def _runtime(settings: Settings) -> Runtime:
    """With keys for nothing: what would need them, or the database, is never made."""
    key = secrets.token_bytes(32)
    return Runtime(
        settings=settings,
        database_url="postgresql+asyncpg://127.0.0.1:1/none",
        sealer=Sealer([("eval", key)]),
        token_secrets=(key,),
        data_dir=data_folder(settings),
    )


def _case(one: _TranscriptBody, file: _FileBody) -> Case:
    articles = file.knowledge if one.knowledge is None else one.knowledge
    transcript = Transcript(
        name=one.name,
        profile=profile_of(one.profile or file.profile, _ACCOUNT),
        customer=tuple(one.customer),
        knowledge=tuple(passage for article in articles for passage in _passages(article, one.name)),
        contact_name=one.contact_name,
        expect=tuple((fact,) if isinstance(fact, str) else tuple(fact) for fact in one.expect),
        forbid=tuple(one.forbid),
        handover=one.handover,
    )
    return Case(transcript=transcript, scripted=tuple(one.scripted))


def _passages(article: _ArticleBody, name: str) -> list[Passage]:
    text = ArticleText(kind=ArticleKind.ARTICLE, title=article.title, body=article.body, language=Language.FRENCH)
    whole, article_id = cleaned(text, f"knowledge of {name!r}"), uuid7()
    return [
        Passage(article_id=article_id, version=1, place=place, title=whole.title, text=part)
        for place, part in enumerate(passages(whole.body))
    ]
