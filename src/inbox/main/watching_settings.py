"""How long health may take, and where logs and traces go."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """The health page asks every dependency at once, for `timeout` seconds at most."""

    timeout: Annotated[float, Meta(gt=0, le=30)] = 2.0


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """Logs go to standard error, one JSON object per line or, at a terminal, coloured text."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text", "auto"] = "auto"


class Otel(Struct, frozen=True, forbid_unknown_fields=True):
    """Traces for OpenTelemetry; needs the extra `otel`."""

    endpoint: Annotated[str, Meta(pattern=r"^https?://[^\s?#@]+$")] | None = None
