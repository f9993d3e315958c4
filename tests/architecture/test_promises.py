"""What `docs/promises.md` names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(test_[a-z0-9_]+)`", (ROOT / "docs/promises.md").read_text("utf-8"))))
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_[a-z0-9_]+)\(", path.read_text("utf-8"))
}


def test_the_page_names_tests():
    assert len(NAMED) > 40


@pytest.mark.parametrize("name", NAMED)
def test_a_promise_has_its_test(name: str):
    assert name in TESTS
