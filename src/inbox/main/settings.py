"""Everything that can be set, in one place. Only this module and the commands see the environment.

A setting `section.field` is the variable `INBOX_SECTION_FIELD`. The names of the system that this service replaces are
accepted as aliases. Unknown `INBOX_` names and bad values stop the start with the name and the remedy.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

from inbox.kit.client_address import networks
from inbox.main.bot_settings import Bot, backup_problem
from inbox.main.cache_settings import redis_problem
from inbox.main.embedded import EmbeddedPostgresError, default_data_dir
from inbox.main.events_settings import Events
from inbox.main.feed_settings import Feed
from inbox.main.llm_settings import Gemini, Llm, OpenAi, missing
from inbox.main.media_settings import Media
from inbox.main.retention_settings import Retention
from inbox.main.secret import Secret
from inbox.main.upstream_settings import Breaker, Intake, Outgoing, Timed, contradiction
from inbox.main.watching_settings import Health, Log, Otel
from inbox.ports.messaging import MEDIA_IDLE_SECONDS, MOST_SEND_SECONDS

_DATABASE_URL: Final = re.compile(
    r"postgres(ql)?(\+asyncpg)?://([^\s@/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^\s:@/?#]*)(:\d{1,5})?(/[^\s?#]*)?(\?[^\s#]*)?"
)


class SettingsError(Exception):
    """A bad setting; the message names the variable and what to do. It never holds a value."""


Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(ge=1, le=1000)]
WebUrl = Annotated[str, Meta(pattern=r"^https?://[^\s?#@]+$")]
"""Without user and password: it is shown and logged."""
Origin = Annotated[str, Meta(pattern=r"^https?://[^\s?#@/]+$")]
"""As browsers send it: no slash at the end (RFC 6454)."""


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """The web side."""

    host: str = "127.0.0.1"
    port: Port = 8000
    api_prefix: Annotated[str, Meta(pattern=r"^(/[a-z0-9_-]+)?$")] = "/api"
    public_url: WebUrl | None = None
    cors_origins: tuple[Origin, ...] = ()
    docs: bool = True
    max_webhook_bytes: Annotated[int, Meta(ge=1024)] = 4 * 1024 * 1024
    trusted_proxies: tuple[str, ...] = ()


class Database(Struct, frozen=True, forbid_unknown_fields=True):
    """PostgreSQL. Without a URL an embedded server is started."""

    url: Secret | None = None
    pool_size: Annotated[int, Meta(ge=2, le=1000)] = 8  # whoever holds the lock of the sweeps needs another one
    intake_pool_size: Count = 2
    intake_commit_interval: Annotated[float, Meta(ge=0, le=1)] = 0.005
    statement_timeout: Seconds = 10.0
    slow_statement: Seconds = 0.5
    allow_unsafe_durability: bool = False


class Cache(Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered. Without a Redis each process remembers for itself."""

    redis_url: Secret | None = None


class WhatsApp(Struct, frozen=True, forbid_unknown_fields=True):
    """Meta's Cloud API, and the default account of installations that have one number."""

    graph_url: WebUrl = "https://graph.facebook.com"
    graph_version: Annotated[str, Meta(pattern=r"^v\d{2}\.\d$")] = "v24.0"
    media_origins: tuple[Origin, ...] = ("https://lookaside.fbsbx.com",)
    max_media_bytes: Annotated[int, Meta(ge=1024)] = 100 * 1024 * 1024
    app_secret: tuple[Secret, ...] = ()
    signature_required: bool = True
    verify_token: Secret | None = None
    token: Secret | None = None
    phone_id: Annotated[str, Meta(pattern=r"^[0-9]{1,32}$")] | None = None
    phone_number: str | None = None
    waba_id: str | None = None
    country_code: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}$")] = "33"
    connect_timeout: Seconds = 3.0
    read_timeout: Seconds = 7.0
    total_timeout: Annotated[float, Meta(gt=0, le=MOST_SEND_SECONDS)] = 10.0
    media_read_timeout: Seconds = MEDIA_IDLE_SECONDS
    template_sync_hours: Annotated[float, Meta(ge=0, le=168)] = 6.0


class Supabase(Struct, frozen=True, forbid_unknown_fields=True):
    """Supabase Auth as the identity provider. Without a URL people sign in at this service."""

    url: WebUrl | None = None
    key: Secret | None = None
    jwt_secret: Secret | None = None
    email_trusted: bool = False
    mode: Literal["jwks", "secret", "introspection"] | None = None
    """None is `secret` if there is a secret, else `jwks`."""
    connect_timeout: Seconds = 3.0
    read_timeout: Seconds = 5.0
    total_timeout: Seconds = 5.0


class Users(Struct, frozen=True, forbid_unknown_fields=True):
    """Who becomes what at the first sign-in."""

    bootstrap_email: str | None = None
    default_role: Annotated[str, Meta(pattern=r"^[a-z0-9_.-]+$")] = "none"


class Send(Struct, frozen=True, forbid_unknown_fields=True):
    """Sending."""

    wait_seconds: Annotated[float, Meta(ge=0, le=60)] = 10.0
    auto_resend: bool = False


class Worker(Struct, frozen=True, forbid_unknown_fields=True):
    """How much is worked on at once, per process."""

    sends: Count = 32
    turns: Count = 8
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


class Encryption(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys for tokens at rest, newest first: `id:base64,id:base64`, 32 bytes each."""

    keys: Secret | None = None


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """The Prometheus page. With a port of its own it is not on the one of the API."""

    enabled: bool = True
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    path: Annotated[str, Meta(pattern=r"^/[a-z0-9_/-]+$")] = "/metrics"
    auth_token: Secret | None = None


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the embedded database and media files live; None is the user's data folder."""

    dir: str | None = None


class Test(Struct, frozen=True, forbid_unknown_fields=True):
    """Switches for crash tests. Never set them in production."""

    failpoints: str = ""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree."""

    http: Http = Http()
    database: Database = Database()
    cache: Cache = Cache()
    events: Events = Events()
    feed: Feed = Feed()
    whatsapp: WhatsApp = WhatsApp()
    llm: Llm = Llm()
    gemini: Gemini = Gemini()
    openai: OpenAi = OpenAi()
    supabase: Supabase = Supabase()
    users: Users = Users()
    bot: Bot = Bot()
    send: Send = Send()
    worker: Worker = Worker()
    media: Media = Media()
    intake: Intake = Intake()
    health: Health = Health()
    outgoing: Outgoing = Outgoing()
    breaker: Breaker = Breaker()
    encryption: Encryption = Encryption()
    log: Log = Log()
    metrics: Metrics = Metrics()
    otel: Otel = Otel()
    data: Data = Data()
    retention: Retention = Retention()
    test: Test = Test()
    data_home: str = ""
    """Of the environment: the folder for this program's data; empty if the user has no home."""


ALIASES: Final[Mapping[str, str]] = {
    "DATABASE_URL": "INBOX_DATABASE_URL",
    "PG_POOL_MAX_SIZE": "INBOX_DATABASE_POOL_SIZE",
    "SUPABASE_URL": "INBOX_SUPABASE_URL",
    "SUPABASE_KEY": "INBOX_SUPABASE_KEY",
    "SUPABASE_JWT_SECRET": "INBOX_SUPABASE_JWT_SECRET",
    "WHATSAPP_TOKEN": "INBOX_WHATSAPP_TOKEN",
    "WHATSAPP_PHONE_ID": "INBOX_WHATSAPP_PHONE_ID",
    "WHATSAPP_PHONE_NUMBER": "INBOX_WHATSAPP_PHONE_NUMBER",
    "WHATSAPP_VERIFY_TOKEN": "INBOX_WHATSAPP_VERIFY_TOKEN",
    "META_APP_SECRET": "INBOX_WHATSAPP_APP_SECRET",
    "WEBHOOK_SIGNATURE_REQUIRED": "INBOX_WHATSAPP_SIGNATURE_REQUIRED",
    "GEMINI_API_KEY": "INBOX_GEMINI_API_KEY",
    "GEMINI_MODEL": "INBOX_GEMINI_MODEL",
    "HUMAN_BACKUP_NUMBER": "INBOX_BOT_HUMAN_BACKUP_NUMBER",
    "PROMETHEUS_ENABLED": "INBOX_METRICS_ENABLED",
    "PROMETHEUS_METRICS_PATH": "INBOX_METRICS_PATH",
    "METRICS_AUTH_TOKEN": "INBOX_METRICS_AUTH_TOKEN",
    "CORS_ORIGINS": "INBOX_HTTP_CORS_ORIGINS",
    "BACKEND_URL": "INBOX_HTTP_PUBLIC_URL",
}
"""Names of the system that this service replaces. Others of it (META_APP_ID, PROMETHEUS_APP_LABEL, APP_ENV,
PG_POOL_MIN_SIZE, FRONTEND_URL) meant nothing for the back end and are ignored."""


def variables() -> dict[str, tuple[str, str]]:
    """Every variable with its section and field."""
    return {
        f"INBOX_{section.name}_{field.name}".upper(): (section.name, field.name)
        for section in msgspec.structs.fields(Settings)
        if section.name != "data_home"
        for field in msgspec.structs.fields(section.type)
    }


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """The settings from `environ` over `env_file` (`.env` format, may be absent). Raises `SettingsError`."""
    known = variables()
    texts = {**_given(_from_file(env_file), known), **_given(environ, known)}
    tree: dict[str, Any] = {"data_home": _data_home(environ)}
    for name, (text, _) in texts.items():
        section, field = known[name]
        tree.setdefault(section, {})[field] = _prepared(section, field, text)
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_explained(str(error), {name: given for name, (_, given) in texts.items()})) from None
    _check_database(settings)
    if (problem := redis_problem(settings.cache.redis_url)) is not None:
        raise SettingsError(problem)
    _check_proxies(settings.http)
    _check_supabase(settings.supabase)
    if (problem := missing(settings.llm, settings.gemini, settings.openai)) is not None:
        raise SettingsError(problem)
    timed: dict[str, Timed] = {
        "whatsapp": settings.whatsapp,
        "gemini": settings.gemini,
        "openai": settings.openai,
        "supabase": settings.supabase,
    }
    if (problem := contradiction(settings.outgoing, settings.media, timed)) is not None:
        raise SettingsError(problem)
    if (problem := backup_problem(settings.bot, settings.whatsapp.country_code)) is not None:
        raise SettingsError(problem)
    return settings


def _from_file(env_file: Path | None) -> dict[str, str]:
    if env_file is None or not env_file.is_file():
        return {}
    try:
        # Values are taken as they stand: a token may hold `${`.
        found = dotenv_values(env_file, interpolate=False)
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8: save it in that encoding.") from None
    return {name: value for name, value in found.items() if value is not None}


def _data_home(environ: Mapping[str, str]) -> str:
    try:
        return str(default_data_dir(environ).parent)
    except EmbeddedPostgresError:
        return ""  # Said by whoever needs it.


def _given(source: Mapping[str, str], known: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """For each variable of ours its text, and the name under which it was found."""
    unknown = [name for name in source if name.startswith("INBOX_") and name not in known]
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.8)
        hint = f"did you mean {close[0]}?" if close else "remove it, or see `inbox check-settings` for all names."
        raise SettingsError(f"{unknown[0]} is not a setting: {hint}")
    found: dict[str, tuple[str, str]] = {}
    for name, value in source.items():
        target, text = name if name in known else ALIASES.get(name), value.strip()
        if target is None or not text:
            continue
        if found.setdefault(target, (text, name))[0] != text:
            raise SettingsError(f"{found[target][1]} and {name} are the same setting with different values: keep one.")
    return found


def _prepared(section: str, field: str, text: str) -> object:
    types = {s.name: s.type for s in msgspec.structs.fields(Settings)}
    kind = next(f.type for f in msgspec.structs.fields(types[section]) if f.name == field)
    if getattr(kind, "__origin__", None) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        return {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }.get(text.lower(), text)
    return text


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"no way to read a {kind.__name__}")


def _explained(message: str, names: Mapping[str, str]) -> str:
    """The variable's name instead of the path, and never the value, which only the words about enums hold."""
    what, _, where = message.rpartition(" - at `$.")
    path = re.sub(r"\[[^\]]*\]", "", where.rstrip("`"))
    name = f"INBOX_{path.replace('.', '_')}".upper()
    if what.startswith("Invalid enum value"):
        what = "Not one of the allowed words"
    shown = name if names.get(name, name) == name else f"{name} (set as {names[name]})"
    return f"{shown}, setting {path}: {what}. See .env.example for what it takes."


def _check_database(settings: Settings) -> None:
    url = settings.database.url
    if url is not None and not _DATABASE_URL.fullmatch(url.reveal()):
        raise SettingsError(
            "INBOX_DATABASE_URL (also DATABASE_URL), setting database.url: must look like "
            "postgresql://user:password@host:5432/name, with special characters of the password percent-encoded."
        )


def _check_proxies(http: Http) -> None:
    try:
        networks(http.trusted_proxies)
    except ValueError:
        raise SettingsError(
            "INBOX_HTTP_TRUSTED_PROXIES, setting http.trusted_proxies: must look like 10.0.0.0/8, ::1: networks "
            "with no bits set behind the prefix, or addresses, separated by commas."
        ) from None


def _check_supabase(supabase: Supabase) -> None:
    needed = {
        "introspection": ("INBOX_SUPABASE_KEY", supabase.key),
        "secret": ("INBOX_SUPABASE_JWT_SECRET", supabase.jwt_secret),
    }
    name, given = needed.get(supabase.mode or "", ("", None))
    if supabase.url is not None and name and given is None:
        raise SettingsError(
            f"INBOX_SUPABASE_MODE, setting supabase.mode: {supabase.mode} needs {name} (also {name[6:]}). "
            "Set it, or another mode."
        )


def from_environment(env_file: Path | None = None) -> Settings:
    """The settings of this process. Raises `SettingsError`."""
    return load(os.environ, env_file)  # noqa: TID251 - the one place


def overview(settings: Settings) -> Iterator[str]:
    """One line per variable: its name and what is used. A secret shows only that it is set."""
    for name, (section, field) in variables().items():
        value = getattr(getattr(settings, section), field)
        yield f"{name} = {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return "(set)"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value) or "(none)"
    return "(not set)" if value is None or value == "" else str(value)
