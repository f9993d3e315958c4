"""The table of model ids: what each may be asked, and which model really answers (facts of 2026-11-14).

Capabilities follow the vendor's model pages: thinking levels, sunset dates, silent re-routing of deprecated ids.
A model that was shut down is simply not in the table: the vendor answers 404 for both.
"""

from enum import StrEnum
from typing import Final

import msgspec

GENERATE: Final = ("generateContent", "countTokens", "createCachedContent", "batchGenerateContent")
EMBED: Final = ("embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent")
ALL_LEVELS: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
THREE_LEVELS: Final = ("LOW", "MEDIUM", "HIGH")
MILLION: Final = 1_048_576


class Stage(StrEnum):
    """`modelStatus.modelStage` of an answer; only stages that need attention are put on the wire."""

    STABLE = "STABLE"
    PREVIEW = "PREVIEW"
    DEPRECATED = "DEPRECATED"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One model id and its limits. Token figures are tokens; a level is a `thinkingLevel` in upper case."""

    id: str
    version: str
    display_name: str
    answers_as: str = ""  # the id in `modelVersion` when another model answers; "" = itself
    stage: Stage = Stage.STABLE
    input_limit: int = MILLION
    output_limit: int = 65_536
    methods: tuple[str, ...] = GENERATE
    levels: tuple[str, ...] = ()  # empty: the model knows no thinkingLevel (before Gemini 3)
    default_level: str = ""
    default_budget: int = 0  # for models without levels: 0 = thinking off, -1 = automatic
    smallest_budget: int = 0
    largest_budget: int = 24_576
    current: bool = False  # refuses a trailing model turn and penalties (3.5-flash-lite and newer)
    signatures: bool = False  # wants thought signatures on function calls (Gemini 3 and later)
    vector_sizes: tuple[int, int] = (0, 0)  # smallest and largest outputDimensionality of an embedding model

    @property
    def model_version(self) -> str:
        return self.answers_as or self.id

    def offers(self, method: str) -> bool:
        """Whether the API method can be called; streaming and batching ride on their single form."""
        return _LISTED_AS.get(method, method) in self.methods

    def describe(self) -> dict[str, object]:
        """The `Model` resource of `models.get`."""
        described: dict[str, object] = {
            "name": f"models/{self.id}",
            "version": self.version,
            "displayName": self.display_name,
            "description": self.display_name,
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": list(self.methods),
        }
        if "generateContent" in self.methods:
            described |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
            if self.levels or self.largest_budget:
                described["thinking"] = True
        return described


_LISTED_AS: Final = {"streamGenerateContent": "generateContent", "batchEmbedContents": "embedContent"}


def _flash(version: str, levels: tuple[str, ...], *, current: bool = True, lite: bool = False) -> ModelSpec:
    return ModelSpec(
        id=f"gemini-{version}-flash{'-lite' if lite else ''}",
        version=version,
        display_name=f"Gemini {version} Flash{'-Lite' if lite else ''}",
        levels=levels,
        default_level="MINIMAL" if lite else "MEDIUM",
        current=current,
        signatures=True,
    )


def _four(name: str, levels: tuple[str, ...], default: str) -> ModelSpec:
    return ModelSpec(
        id=f"gemini-4-{name}",
        version="4",
        display_name=f"Gemini 4 {name.title()}",
        levels=levels,
        default_level=default,
        current=True,
        signatures=True,
    )


def _routed(model: ModelSpec, target: str) -> ModelSpec:
    return msgspec.structs.replace(model, answers_as=target, stage=Stage.DEPRECATED)


def _alias(name: str, target: ModelSpec) -> ModelSpec:
    return msgspec.structs.replace(target, id=name, answers_as=target.model_version)


def _preview(name: str, title: str, levels: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(
        id=name,
        version=name.split("-")[1],
        display_name=title,
        stage=Stage.PREVIEW,
        levels=levels,
        default_level="HIGH",
        signatures=True,
    )


def _two_five(kind: str, title: str, default: int, smallest: int, largest: int) -> ModelSpec:
    return ModelSpec(
        id=f"gemini-2.5-{kind}",
        version="2.5",
        display_name=f"Gemini 2.5 {title}",
        stage=Stage.STABLE if kind == "flash-lite" else Stage.DEPRECATED,
        default_budget=default,
        smallest_budget=smallest,
        largest_budget=largest,
    )


def _embedding(name: str, title: str, tokens: int) -> ModelSpec:
    return ModelSpec(
        id=name,
        version="2" if name.endswith("2") else "001",
        display_name=title,
        input_limit=tokens,
        output_limit=1,
        methods=EMBED,
        largest_budget=0,
        vector_sizes=(128, 3072),
    )


_FLASH_LITE: Final = _flash("3.5", ALL_LEVELS, lite=True)
_FLASH: Final = _flash("3.8", THREE_LEVELS)
_PRO: Final = _preview("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", THREE_LEVELS)

DEFAULT_MODELS: Final[tuple[ModelSpec, ...]] = (
    _FLASH_LITE,
    _FLASH,
    _flash("3.6", ALL_LEVELS),
    _routed(_flash("3.7", THREE_LEVELS), "gemini-3.8-flash"),
    _routed(_flash("3.5", ALL_LEVELS, current=False), "gemini-3.6-flash"),
    _flash("3.1", ALL_LEVELS, current=False, lite=True),
    _four("hydrogen", (*THREE_LEVELS, "XHIGH"), "HIGH"),
    _four("argon", THREE_LEVELS, "MEDIUM"),
    _four("carbon", THREE_LEVELS, "MEDIUM"),
    _PRO,
    _preview("gemini-3-flash-preview", "Gemini 3 Flash Preview", ALL_LEVELS),
    _two_five("pro", "Pro", -1, 128, 32_768),
    _two_five("flash", "Flash", -1, 0, 24_576),
    _two_five("flash-lite", "Flash-Lite", 0, 0, 24_576),
    _alias("gemini-flash-latest", _FLASH),
    _alias("gemini-flash-lite-latest", _FLASH_LITE),
    _alias("gemini-pro-latest", _PRO),
    _embedding("gemini-embedding-2", "Gemini Embedding 2", 8192),
    _embedding("gemini-embedding-001", "Gemini Embedding 001", 2048),
)
