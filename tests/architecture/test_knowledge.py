"""Customer text never becomes knowledge: nothing but the calls for people writes or approves an article."""

import re
from pathlib import Path

import inbox

SOURCES = Path(inbox.__file__).parent
WRITES = re.compile(r"\bknowledge\.(?:add|rewrite|approve)\(|\b(?:insert into|update) knowledge_articles\b")


def test_articles_are_written_and_approved_by_the_calls_for_people_alone():
    found = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if WRITES.search(path.read_text(encoding="utf-8"))
    }
    assert found == {
        "adapters/database/postgres/knowledge.py",
        "entrypoints/http/knowledge.py",
        "services/knowledge.py",
    }
