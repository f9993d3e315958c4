import string
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inbox.main.bot_settings import backup_number
from inbox.main.secret import Secret
from inbox.main.settings import ALIASES, Settings, SettingsError, load, overview, variables
from main.settings_tried import BAD, CANARY, GIVEN, OLD_NAMES


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


@pytest.mark.parametrize("written", ["+33 6 12 34 56 78", "0033612345678", "06.12.34.56.78", "33612345678"])
def test_the_number_for_alerts_is_called_as_whatsapp_calls_it(written):
    loaded = load({"HUMAN_BACKUP_NUMBER": written, "INBOX_WHATSAPP_COUNTRY_CODE": "33"})
    assert backup_number(loaded.bot, loaded.whatsapp.country_code) == "33612345678"


@pytest.mark.parametrize("written", ["123456", "+33 (0)0", "+3306123456789012"])
def test_what_can_be_no_number_for_alerts_is_refused_at_the_start(written):
    assert "INBOX_BOT_HUMAN_BACKUP_NUMBER" in refusal({"HUMAN_BACKUP_NUMBER": written})


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


def test_a_vendor_of_the_model_names_what_it_needs():
    for vendor, needed in (("gemini", "INBOX_GEMINI_API_KEY"), ("openai", "INBOX_OPENAI_MODEL")):
        said = refusal({"INBOX_LLM_VENDOR": vendor})
        assert said.startswith("INBOX_LLM_VENDOR, setting llm.vendor:")
        assert needed in said
        assert load({"INBOX_LLM_VENDOR": vendor, needed: "x"}).llm.vendor == vendor
    for name in ("INBOX_LLM_FALLBACK_MODEL", "INBOX_LLM_EMBEDDING_MODEL"):
        assert refusal({"INBOX_GEMINI_API_KEY": "x", name: "google/../files"}).startswith(name)


# --- secrets ----------------------------------------------------------------------------------------------------------

canaries = st.text(string.ascii_letters + string.digits + "'\"`$.,:;@/\\- \n[]{}%é", min_size=8, max_size=60)


def test_the_secrets_are_known():
    assert SECRETS == [
        "INBOX_CACHE_REDIS_URL",
        "INBOX_DATABASE_URL",
        "INBOX_ENCRYPTION_KEYS",
        "INBOX_GEMINI_API_KEY",
        "INBOX_MEDIA_ACCESS_KEY_ID",
        "INBOX_MEDIA_SECRET_ACCESS_KEY",
        "INBOX_METRICS_AUTH_TOKEN",
        "INBOX_OPENAI_API_KEY",
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
