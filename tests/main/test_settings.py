import string
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inbox.main.settings import ALIASES, Secret, Settings, SettingsError, load, overview, variables

CANARY = "c4n4ry-Zq7"

# A value for each variable that differs from the default, as it is written and as it is read.
GIVEN: dict[str, tuple[str, object]] = {
    "INBOX_HTTP_HOST": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - nothing listens
    "INBOX_HTTP_PORT": ("8080", 8080),
    "INBOX_HTTP_API_PREFIX": ("/v1", "/v1"),
    "INBOX_HTTP_PUBLIC_URL": ("https://inbox.example.org", "https://inbox.example.org"),
    "INBOX_HTTP_CORS_ORIGINS": (
        "https://a.example, http://b.example:3000",
        ("https://a.example", "http://b.example:3000"),
    ),
    "INBOX_HTTP_DOCS": ("no", False),
    "INBOX_HTTP_MAX_WEBHOOK_BYTES": ("2048", 2048),
    "INBOX_HTTP_TRUSTED_PROXIES": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
    "INBOX_DATABASE_URL": ("postgresql://u:p@db.example:5432/inbox", "postgresql://u:p@db.example:5432/inbox"),
    "INBOX_DATABASE_POOL_SIZE": ("4", 4),
    "INBOX_DATABASE_INTAKE_POOL_SIZE": ("3", 3),
    "INBOX_DATABASE_STATEMENT_TIMEOUT": ("2.5", 2.5),
    "INBOX_DATABASE_SLOW_STATEMENT": ("0.25", 0.25),
    "INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY": ("true", True),
    "INBOX_CACHE_REDIS_URL": ("rediss://u:p@cache.example:6379/0", "rediss://u:p@cache.example:6379/0"),
    "INBOX_WHATSAPP_GRAPH_URL": ("http://127.0.0.1:8101", "http://127.0.0.1:8101"),
    "INBOX_WHATSAPP_GRAPH_VERSION": ("v25.0", "v25.0"),
    "INBOX_WHATSAPP_MEDIA_ORIGINS": ("https://files.example", ("https://files.example",)),
    "INBOX_WHATSAPP_MAX_MEDIA_BYTES": ("2048", 2048),
    "INBOX_WHATSAPP_APP_SECRET": ("newer,older", ("newer", "older")),
    "INBOX_WHATSAPP_SIGNATURE_REQUIRED": ("off", False),
    "INBOX_WHATSAPP_VERIFY_TOKEN": ("handshake", "handshake"),
    "INBOX_WHATSAPP_TOKEN": ("EAAG", "EAAG"),
    "INBOX_WHATSAPP_PHONE_ID": ("106540352242922", "106540352242922"),
    "INBOX_WHATSAPP_PHONE_NUMBER": ("+33 6 12 34 56 78", "+33 6 12 34 56 78"),
    "INBOX_WHATSAPP_WABA_ID": ("102290129340398", "102290129340398"),
    "INBOX_WHATSAPP_COUNTRY_CODE": ("221", "221"),
    "INBOX_GEMINI_URL": ("http://127.0.0.1:8102", "http://127.0.0.1:8102"),
    "INBOX_GEMINI_API_KEY": ("AIza", "AIza"),
    "INBOX_GEMINI_MODEL": ("gemini-9", "gemini-9"),
    "INBOX_WHATSAPP_CONNECT_TIMEOUT": ("2", 2.0),
    "INBOX_WHATSAPP_READ_TIMEOUT": ("6", 6.0),
    "INBOX_WHATSAPP_TOTAL_TIMEOUT": ("15", 15.0),
    "INBOX_WHATSAPP_MEDIA_READ_TIMEOUT": ("60", 60.0),
    "INBOX_GEMINI_CONNECT_TIMEOUT": ("2", 2.0),
    "INBOX_GEMINI_READ_TIMEOUT": ("9", 9.0),
    "INBOX_GEMINI_TOTAL_TIMEOUT": ("20", 20.0),
    "INBOX_SUPABASE_CONNECT_TIMEOUT": ("1", 1.0),
    "INBOX_SUPABASE_READ_TIMEOUT": ("2", 2.0),
    "INBOX_SUPABASE_TOTAL_TIMEOUT": ("6", 6.0),
    "INBOX_OUTGOING_CONNECTIONS": ("50", 50),
    "INBOX_OUTGOING_KEPT_ALIVE": ("10", 10),
    "INBOX_OUTGOING_POOL_TIMEOUT": ("5", 5.0),
    "INBOX_OUTGOING_ATTEMPTS": ("2", 2),
    "INBOX_BREAKER_WHATSAPP_THRESHOLD": ("4", 4),
    "INBOX_BREAKER_WHATSAPP_STAYS_OPEN": ("10", 10.0),
    "INBOX_BREAKER_MEDIA_THRESHOLD": ("6", 6),
    "INBOX_BREAKER_MEDIA_STAYS_OPEN": ("11", 11.0),
    "INBOX_BREAKER_GEMINI_THRESHOLD": ("7", 7),
    "INBOX_BREAKER_GEMINI_STAYS_OPEN": ("12", 12.0),
    "INBOX_BREAKER_SUPABASE_THRESHOLD": ("8", 8),
    "INBOX_BREAKER_SUPABASE_STAYS_OPEN": ("13", 13.0),
    "INBOX_SUPABASE_URL": ("https://x.supabase.co", "https://x.supabase.co"),
    "INBOX_SUPABASE_KEY": ("sb_secret_x", "sb_secret_x"),
    "INBOX_SUPABASE_JWT_SECRET": ("shared", "shared"),
    "INBOX_SUPABASE_EMAIL_TRUSTED": ("yes", True),
    "INBOX_SUPABASE_MODE": ("introspection", "introspection"),
    "INBOX_USERS_BOOTSTRAP_EMAIL": ("ada@example.org", "ada@example.org"),
    "INBOX_USERS_DEFAULT_ROLE": ("viewer", "viewer"),
    "INBOX_BOT_QUIET_SECONDS": ("0", 0.0),
    "INBOX_BOT_HUMAN_BACKUP_NUMBER": ("+33612345678", "+33612345678"),
    "INBOX_SEND_WAIT_SECONDS": ("0.5", 0.5),
    "INBOX_WORKER_SENDS": ("64", 64),
    "INBOX_WORKER_TURNS": ("2", 2),
    "INBOX_WORKER_PORT": ("8001", 8001),
    "INBOX_ENCRYPTION_KEYS": ("k1:AAAA", "k1:AAAA"),
    "INBOX_LOG_LEVEL": ("debug", "debug"),
    "INBOX_LOG_FORMAT": ("text", "text"),
    "INBOX_METRICS_ENABLED": ("0", False),
    "INBOX_METRICS_PATH": ("/internal/metrics", "/internal/metrics"),
    "INBOX_METRICS_PORT": ("9000", 9000),
    "INBOX_OTEL_ENDPOINT": ("http://collector:4318", "http://collector:4318"),
    "INBOX_METRICS_AUTH_TOKEN": ("scrape", "scrape"),
    "INBOX_DATA_DIR": ("/srv/inbox data", "/srv/inbox data"),
    "INBOX_TEST_FAILPOINTS": ("deliveries.store:after_commit", "deliveries.store:after_commit"),
}

# The names of the system that this service replaces, with what they are here; None: without meaning, ignored.
OLD_NAMES: dict[str, str | None] = {
    "SUPABASE_URL": "INBOX_SUPABASE_URL",
    "SUPABASE_KEY": "INBOX_SUPABASE_KEY",
    "WHATSAPP_TOKEN": "INBOX_WHATSAPP_TOKEN",
    "WHATSAPP_PHONE_ID": "INBOX_WHATSAPP_PHONE_ID",
    "WHATSAPP_VERIFY_TOKEN": "INBOX_WHATSAPP_VERIFY_TOKEN",
    "WHATSAPP_PHONE_NUMBER": "INBOX_WHATSAPP_PHONE_NUMBER",
    "GEMINI_API_KEY": "INBOX_GEMINI_API_KEY",
    "GEMINI_MODEL": "INBOX_GEMINI_MODEL",
    "HUMAN_BACKUP_NUMBER": "INBOX_BOT_HUMAN_BACKUP_NUMBER",
    "PROMETHEUS_ENABLED": "INBOX_METRICS_ENABLED",
    "PROMETHEUS_METRICS_PATH": "INBOX_METRICS_PATH",
    "PROMETHEUS_APP_LABEL": None,
    "META_APP_SECRET": "INBOX_WHATSAPP_APP_SECRET",
    "META_APP_ID": None,
    "DATABASE_URL": "INBOX_DATABASE_URL",
    "PG_POOL_MIN_SIZE": None,
    "PG_POOL_MAX_SIZE": "INBOX_DATABASE_POOL_SIZE",
    "APP_ENV": None,
    "CORS_ORIGINS": "INBOX_HTTP_CORS_ORIGINS",
    "CORS_ORIGINS_DEV": None,
    "CORS_ORIGINS_PROD": None,
    "WEBHOOK_SIGNATURE_REQUIRED": "INBOX_WHATSAPP_SIGNATURE_REQUIRED",
    "RATE_LIMIT_ENABLED": None,
    "METRICS_AUTH_TOKEN": "INBOX_METRICS_AUTH_TOKEN",
    "MAX_MEDIA_UPLOAD_SIZE": None,
    "BACKEND_URL": "INBOX_HTTP_PUBLIC_URL",
    "FRONTEND_URL": None,
}

# For each variable that can be wrong a value that is.
BAD = {
    "INBOX_HTTP_PORT": "eighty",
    "INBOX_HTTP_API_PREFIX": "api/",
    "INBOX_HTTP_PUBLIC_URL": "inbox.example.org",
    "INBOX_HTTP_CORS_ORIGINS": "https://fine.example, *",
    "INBOX_HTTP_DOCS": "perhaps",
    "INBOX_HTTP_MAX_WEBHOOK_BYTES": "1",
    "INBOX_HTTP_TRUSTED_PROXIES": "10.0.0.0/8, 10.0.0.1/8",
    "INBOX_DATABASE_URL": f"mysql://root:{CANARY}@db/inbox",
    "INBOX_DATABASE_POOL_SIZE": "0",
    "INBOX_DATABASE_INTAKE_POOL_SIZE": "1.5",
    "INBOX_DATABASE_STATEMENT_TIMEOUT": "nan",
    "INBOX_DATABASE_SLOW_STATEMENT": "0",
    "INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY": "2",
    "INBOX_CACHE_REDIS_URL": f"http://root:{CANARY}@cache",
    "INBOX_WHATSAPP_GRAPH_URL": "ftp://graph.example",
    "INBOX_WHATSAPP_GRAPH_VERSION": "24",
    "INBOX_WHATSAPP_SIGNATURE_REQUIRED": "nope",
    "INBOX_GEMINI_URL": f"https://user:{CANARY}@gemini.example",
    "INBOX_GEMINI_MODEL": "models/gemini",
    "INBOX_WHATSAPP_CONNECT_TIMEOUT": "4",
    "INBOX_WHATSAPP_READ_TIMEOUT": "11",
    "INBOX_WHATSAPP_TOTAL_TIMEOUT": "16",
    "INBOX_WHATSAPP_MEDIA_READ_TIMEOUT": "0",
    "INBOX_WHATSAPP_MEDIA_ORIGINS": "https://files.example/",
    "INBOX_WHATSAPP_MAX_MEDIA_BYTES": "1023",
    "INBOX_GEMINI_CONNECT_TIMEOUT": "5",
    "INBOX_GEMINI_READ_TIMEOUT": "16",
    "INBOX_GEMINI_TOTAL_TIMEOUT": "-1",
    "INBOX_SUPABASE_CONNECT_TIMEOUT": "4.5",
    "INBOX_SUPABASE_READ_TIMEOUT": "6",
    "INBOX_SUPABASE_TOTAL_TIMEOUT": "never",
    "INBOX_OUTGOING_CONNECTIONS": "0",
    "INBOX_OUTGOING_KEPT_ALIVE": "101",
    "INBOX_OUTGOING_POOL_TIMEOUT": "-4",
    "INBOX_OUTGOING_ATTEMPTS": "11",
    "INBOX_BREAKER_WHATSAPP_THRESHOLD": "0",
    "INBOX_BREAKER_WHATSAPP_STAYS_OPEN": "0",
    "INBOX_BREAKER_MEDIA_THRESHOLD": "0",
    "INBOX_BREAKER_MEDIA_STAYS_OPEN": "0",
    "INBOX_BREAKER_GEMINI_THRESHOLD": "few",
    "INBOX_BREAKER_GEMINI_STAYS_OPEN": "inf",
    "INBOX_BREAKER_SUPABASE_THRESHOLD": "1.5",
    "INBOX_BREAKER_SUPABASE_STAYS_OPEN": "-30",
    "INBOX_SUPABASE_URL": "x.supabase.co",
    "INBOX_SUPABASE_EMAIL_TRUSTED": "ja",
    "INBOX_SUPABASE_MODE": "remote",
    "INBOX_USERS_DEFAULT_ROLE": "Boss!",
    "INBOX_BOT_QUIET_SECONDS": "61",
    "INBOX_BOT_HUMAN_BACKUP_NUMBER": "call Ada",
    "INBOX_SEND_WAIT_SECONDS": "inf",
    "INBOX_WORKER_SENDS": "many",
    "INBOX_WORKER_TURNS": "1001",
    "INBOX_WORKER_PORT": "-1",
    "INBOX_LOG_LEVEL": "loud",
    "INBOX_LOG_FORMAT": "xml",
    "INBOX_METRICS_ENABLED": "yep",
    "INBOX_METRICS_PATH": "Metrics?",
    "INBOX_METRICS_PORT": "65536",
    "INBOX_OTEL_ENDPOINT": "collector:4318",
}


def secrets() -> list[str]:
    """The variables whose values are hidden, by the types of the tree."""
    found = []
    for name, (section, field) in variables().items():
        kinds = {f.name: f.type for f in msgspec.structs.fields(type(getattr(Settings(), section)))}
        if Secret in (kinds[field], *get_args(kinds[field])):
            found.append(name)
    return sorted(found)


SECRETS = secrets()


def value(settings: Settings, name: str) -> Any:  # noqa: ANN401 - of any setting
    section, field = variables()[name]
    return getattr(getattr(settings, section), field)


def revealed(found: object) -> object:
    if isinstance(found, Secret):
        return found.reveal()
    if isinstance(found, tuple):
        return tuple(revealed(item) for item in found)
    return found


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    error = caught.value
    assert error.__context__ is None or error.__suppress_context__, (
        "a traceback would print a cause, which has the value"
    )
    return str(caught.value)


def read(environ: dict[str, str]) -> Settings | SettingsError:
    try:
        return load(environ)
    except SettingsError as error:
        return error


def test_every_variable_is_tried_here():
    assert set(GIVEN) == set(variables())
    unrestricted = {name for name, (_, read) in GIVEN.items() if isinstance(read, str)} | {"INBOX_WHATSAPP_APP_SECRET"}
    assert set(GIVEN) - unrestricted <= set(BAD)


@pytest.mark.parametrize("name", GIVEN)
def test_a_variable_reaches_its_setting_and_no_other(name):
    text, read = GIVEN[name]
    loaded = load({name: text})
    assert revealed(value(loaded, name)) == read
    assert value(Settings(), name) != value(loaded, name)
    for other in set(variables()) - {name}:
        assert value(loaded, other) == value(Settings(), other)


def test_all_of_them_together_are_accepted():
    loaded = load({name: text for name, (text, _) in GIVEN.items()})
    assert {name: revealed(value(loaded, name)) for name in GIVEN} == {name: read for name, (_, read) in GIVEN.items()}


def test_without_any_variable_the_defaults_hold_and_empty_ones_count_as_not_set():
    assert load(dict.fromkeys(GIVEN, "")) == load({})
    assert msgspec.structs.replace(load({}), data_home="") == Settings()


def test_space_around_a_value_is_no_part_of_it():
    assert load({"INBOX_HTTP_PORT": " 8080\n"}).http.port == 8080
    assert revealed(load({"INBOX_WHATSAPP_TOKEN": "EAAG\n"}).whatsapp.token) == "EAAG"


@pytest.mark.parametrize("word", ["1", "true", "True", "YES", "on"])
def test_words_for_true(word):
    assert load({"INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY": word}).database.allow_unsafe_durability is True


@pytest.mark.parametrize("word", ["0", "false", "FALSE", "no", "Off"])
def test_words_for_false(word):
    assert load({"INBOX_HTTP_DOCS": word}).http.docs is False


# --- names of the old system ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OLD_NAMES)
def test_names_of_the_old_system_are_accepted(name):
    target = OLD_NAMES[name]
    if target is None:
        assert load({name: "anything"}) == load({})
    else:
        assert revealed(value(load({name: GIVEN[target][0]}), target)) == GIVEN[target][1]


def test_every_alias_leads_to_a_setting():
    assert set(ALIASES.values()) <= set(variables())
    assert len(set(ALIASES.values())) == len(ALIASES)
    assert {name: target for name, target in OLD_NAMES.items() if target} == {
        name: target for name, target in ALIASES.items() if name in OLD_NAMES
    }


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_beside_its_new_name_must_agree(alias):
    target = ALIASES[alias]
    text = GIVEN[target][0]
    assert revealed(value(load({alias: text, target: text}), target)) == GIVEN[target][1]
    said = refusal({alias: text, target: text + CANARY})
    assert alias in said
    assert target in said
    assert CANARY not in said
    assert "keep one" in said


def test_a_bad_value_under_an_old_name_names_both():
    said = refusal({"PG_POOL_MAX_SIZE": "lots"})
    assert "INBOX_DATABASE_POOL_SIZE (set as PG_POOL_MAX_SIZE), setting database.pool_size" in said


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_names_variable_setting_and_remedy_and_never_the_value(name):
    section, field = variables()[name]
    said = refusal({name: BAD[name]})
    assert said.startswith(name)
    assert f"{section}.{field}" in said
    assert ".env.example" in said or "must look like" in said
    assert CANARY not in said
    if len(BAD[name]) > 4:
        assert BAD[name] not in said


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("INBOX_HTTP_PROT", "INBOX_HTTP_PORT"),
        ("INBOX_WHATSAPP_TOKENS", "INBOX_WHATSAPP_TOKEN"),
        ("INBOX_DATABASEURL", "INBOX_DATABASE_URL"),
        ("INBOX_LOGLEVEL", "INBOX_LOG_LEVEL"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(wrong, right):
    assert refusal({wrong: CANARY}) == f"{wrong} is not a setting: did you mean {right}?"


def test_a_foreign_name_of_ours_is_refused_without_a_guess():
    said = refusal({"INBOX_FLUX_CAPACITOR": CANARY})
    assert said.startswith("INBOX_FLUX_CAPACITOR is not a setting: remove it")


def test_other_programs_variables_are_nobodys_business():
    assert load({"PATH": "/bin", "POSTGRES_PASSWORD": CANARY, "inbox_http_port": "1"}) == load({})


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p@db/inbox",
        "postgresql://u:p%40ss@db.example:5432/inbox?sslmode=require",
        "postgresql+asyncpg://postgres@/inbox?host=/run/postgresql&port=5432",
        "postgresql://u@[::1]:5432/inbox",
        "postgresql://db",
    ],
)
def test_usual_database_urls_are_accepted(url):
    assert revealed(load({"DATABASE_URL": url}).database.url) == url


@pytest.mark.parametrize(
    "url",
    ["db.example/inbox", "postgresql+psycopg://u:p@db/x", "postgresql://u:p@db:port/x", "postgresql://u:p@ss@db/x"],
)
def test_unreadable_database_urls_are_refused_without_their_text(url):
    said = refusal({"INBOX_DATABASE_URL": url})
    assert said.startswith("INBOX_DATABASE_URL (also DATABASE_URL), setting database.url: must look like postgresql://")
    assert url not in said


@pytest.mark.parametrize(
    ("mode", "needed"), [("introspection", "INBOX_SUPABASE_KEY"), ("secret", "INBOX_SUPABASE_JWT_SECRET")]
)
def test_a_way_of_checking_tokens_names_what_it_needs(mode, needed):
    given = {"INBOX_SUPABASE_URL": "https://x.supabase.co", "INBOX_SUPABASE_MODE": mode}
    said = refusal(given)
    assert said.startswith("INBOX_SUPABASE_MODE")
    assert needed in said
    assert load({**given, needed: CANARY}).supabase.mode == mode


# --- secrets ----------------------------------------------------------------------------------------------------------

canaries = st.text(string.ascii_letters + string.digits + "'\"`$.,:;@/\\- \n[]{}%é", min_size=8, max_size=60)


def test_the_secrets_are_known():
    assert SECRETS == [
        "INBOX_CACHE_REDIS_URL",
        "INBOX_DATABASE_URL",
        "INBOX_ENCRYPTION_KEYS",
        "INBOX_GEMINI_API_KEY",
        "INBOX_METRICS_AUTH_TOKEN",
        "INBOX_SUPABASE_JWT_SECRET",
        "INBOX_SUPABASE_KEY",
        "INBOX_WHATSAPP_APP_SECRET",
        "INBOX_WHATSAPP_TOKEN",
        "INBOX_WHATSAPP_VERIFY_TOKEN",
    ]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_shows_only_that_it_is_set(name):
    urls = {
        "INBOX_DATABASE_URL": f"postgresql://u:{CANARY}@db/inbox",
        "INBOX_CACHE_REDIS_URL": f"redis://u:{CANARY}@db",
    }
    loaded = load({name: urls.get(name, CANARY)})
    shown = "\n".join(
        [repr(loaded), str(loaded), f"{value(loaded, name)!s} {value(loaded, name)!r}", *overview(loaded)]
    )
    assert CANARY not in shown
    assert f"{name} = (set)" in shown


def test_a_secret_is_nothing_that_can_be_encoded_by_accident():
    with pytest.raises(TypeError):
        msgspec.json.encode(load({"INBOX_WHATSAPP_TOKEN": CANARY}))


@given(name=st.sampled_from(sorted(variables())), text=canaries)
@example(name="INBOX_LOG_LEVEL", text=f"x{CANARY} - at `$.http.port`")
@example(name="INBOX_LOG_FORMAT", text=f"a\n{CANARY}")
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_error_ever_holds_a_value(name, text):
    outcome = read({name: f"{CANARY}{text}{CANARY}"})
    if isinstance(outcome, SettingsError):
        assert name in str(outcome)
        assert CANARY not in str(outcome)
    else:
        assert (CANARY in repr(outcome) + "".join(overview(outcome))) == (name not in SECRETS)


def test_the_overview_has_one_line_for_each_variable():
    assert [line.partition(" = ")[0] for line in overview(Settings())] == list(variables())
