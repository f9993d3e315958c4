"""The page that sets a password, in a real browser."""

from collections.abc import Iterator
from itertools import count

import pytest

from identity.running import Service
from identity.webdriver import ENTER, Browser, browser, is_installed
from main.command import call

pytestmark = pytest.mark.skipif(not is_installed(), reason="there is no chromium with its chromedriver on this machine")

PASSWORD = "a good long one"
FIRST, AGAIN, SAVE = "//input[@id='password']", "//input[@id='again']", "//button"
NUMBERS = count()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile"), "en-GB") as opened:
        yield opened


@pytest.fixture
def email() -> str:
    return f"person{next(NUMBERS)}@example.org"


@pytest.fixture
def link(service: Service, email: str) -> str:
    return service.invite(email)


def problem(page: Browser, text: str) -> str:
    return page.text(f"//p[@id='problem'][contains(., '{text}')]")


def outcome(page: Browser, text: str) -> str:
    return page.text(f"//p[@id='outcome'][contains(., '{text}')]")


def fill(page: Browser, first: str, again: str) -> None:
    page.type(FIRST, first)
    page.type(AGAIN, again)


def uses_up(service: Service, link: str) -> bool:
    """Whether the link still opens a session; it does not afterwards."""
    body = dict(part.split("=", 1) for part in link.partition("#")[2].split("&"))
    return call(service.port, "POST", "/auth/v1/verify", body)[0] == 200


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_person_sets_a_password_and_signs_in_with_it(chromium, service, link, email, prefix):
    chromium.complaints()
    chromium.open(link.replace("/auth/set-password", f"{prefix}/auth/set-password"))
    assert chromium.text("//h1") == "Set your password"
    assert chromium.url() == f"{service.url}{prefix}/auth/set-password", "the token is not left in the address bar"
    fill(chromium, PASSWORD, PASSWORD + ENTER)
    assert outcome(chromium, "is set") == "Your password is set. You can close this page and sign in."
    assert not chromium.run("return document.querySelector('form').checkVisibility()")
    assert chromium.run("return document.activeElement.id") == "outcome"
    assert service.signs_in(email, PASSWORD)
    assert chromium.complaints() == []


def test_looking_at_the_page_and_opening_it_twice_do_not_use_the_link_up(chromium, service, link, email):
    for _ in range(2):
        chromium.open("about:blank")
        chromium.open(link)
        chromium.find(FIRST)
    fill(chromium, PASSWORD, PASSWORD)
    chromium.click(SAVE)
    outcome(chromium, "is set")
    assert service.signs_in(email, PASSWORD)


@pytest.mark.parametrize(
    ("first", "again", "said"),
    [
        ("short", "short", "too short: at least 8"),
        (PASSWORD, PASSWORD + "x", "not the same"),
        ("é" * 37, "é" * 37, "too long: at most 72"),
    ],
)
def test_what_the_page_can_refuse_itself_does_not_use_the_link_up(chromium, service, link, first, again, said):
    chromium.open(link)
    fill(chromium, first, again)
    chromium.click(SAVE)
    problem(chromium, said)
    assert chromium.run("return document.activeElement.id") == "password"
    assert uses_up(service, link)


def test_a_link_that_was_used_says_so(chromium, service, link):
    assert uses_up(service, link)
    chromium.open(link)
    fill(chromium, PASSWORD, PASSWORD)
    chromium.click(SAVE)
    outcome(chromium, "used already or has expired")


def test_a_second_link_pasted_into_the_same_tab_is_taken(chromium, service, link, email):
    chromium.open(f"{service.url}/auth/set-password#token_hash=old&type=invite")
    chromium.find(FIRST)
    chromium.open(link)
    fill(chromium, PASSWORD, PASSWORD)
    chromium.click(SAVE)
    outcome(chromium, "is set")
    assert service.signs_in(email, PASSWORD)


def test_without_a_link_the_page_asks_for_it(chromium, service):
    chromium.open("about:blank")
    chromium.open(f"{service.url}/auth/set-password")
    outcome(chromium, "opened with a link from your administrator")
    assert not chromium.run("return document.querySelector('form').checkVisibility()")


def test_every_field_has_a_label_and_every_message_is_announced(chromium, link):
    chromium.open("about:blank")
    chromium.open(link)
    chromium.find(FIRST)
    labels = "return [...document.querySelectorAll('input:not([hidden])')].map(field => field.labels[0].textContent)"
    assert chromium.run(labels) == ["New password", "The same password again"]
    assert chromium.run("return [problem.role, outcome.role, document.documentElement.lang]") == [
        "alert",
        "status",
        "en",
    ]
    assert chromium.run("return document.activeElement.id") == "password"


def test_a_french_browser_reads_french(chromium, link):
    with chromium.preferring("fr-CA,en"):
        chromium.open("about:blank")
        chromium.open(link)
        assert chromium.text("//h1") == "Choisissez votre mot de passe"
        assert chromium.run("return [document.documentElement.lang, document.title]") == [
            "fr",
            "Choisissez votre mot de passe",
        ]
        fill(chromium, "court", "court")
        chromium.click(SAVE)
        problem(chromium, "trop court")
        fill(chromium, PASSWORD, PASSWORD)
        chromium.click(SAVE)
        outcome(chromium, "enregistré")
