"""The written overview of the settings, `.env.example`, says what the code does."""

import io
from itertools import pairwise
from pathlib import Path

from dotenv import dotenv_values

from inbox.main.settings import ALIASES, Settings, load, variables

LINES = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8").splitlines()
ENTRIES = [line.removeprefix("#") for line in LINES if line and not line.startswith("# ")]
WRITTEN = {name: text or "" for name, text in dotenv_values(stream=io.StringIO("\n".join(ENTRIES))).items()}


def test_it_lists_every_variable_once_and_no_other():
    names = [entry.partition("=")[0] for entry in ENTRIES]
    assert names == [*variables(), "POSTGRES_PASSWORD", "GRAFANA_PASSWORD"]


def test_uncommented_it_changes_nothing():
    assert load({name: text for name, text in WRITTEN.items() if name in variables()}) == load({})


def test_it_shows_a_value_wherever_there_is_a_default():
    for name, (section, field) in variables().items():
        default = getattr(getattr(Settings(), section), field)
        assert bool(WRITTEN[name]) == (default not in (None, (), "")), name


def test_it_names_every_alias_in_the_comment_of_its_variable():
    comment = ""
    for line in LINES:
        if line.startswith("# "):
            comment += line
            continue
        target = line.removeprefix("#").partition("=")[0]
        named = {alias for alias in ALIASES if f"Alias: {alias}." in comment}
        assert named == {alias for alias, name in ALIASES.items() if name == target}, line
        comment = ""


def test_each_variable_is_explained_by_the_line_above_it():
    for above, line in pairwise(LINES):
        if line.startswith("#INBOX_"):
            assert above.startswith("# "), line
            assert not above.startswith("# ---"), line
