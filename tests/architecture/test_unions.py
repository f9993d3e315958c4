"""No union stands unprotected beside rows that a statement locks or changes.

PostgreSQL looks at such a row once more if it changed meanwhile (READ COMMITTED, `EvalPlanQual`). What it stood beside
is held fast for that, but not the rows of a union that was taken into the query: all of them come again, the first one
counts, and one that does not fit makes the changed row disappear from the result.
"""

import re

from architecture.statements import statements

WRITES = re.compile(
    r"\bfor (?:no key )?update\b|\bfor (?:key )?share\b|\bupdate\b.*\bfrom\b|\bdelete\b.*\busing\b", re.DOTALL
)
MATERIALIZED = re.compile(r"\bas materialized \(")
UNION = re.compile(r"\bunion\b")

SHOWN = "only shows what other parts locked or changed"
INSERTED = "what it gives is inserted, beside rows that were locked before"
HARMLESS = {
    "arrivals._REPLACE": SHOWN,
    "identity_rows._USERNAMES": SHOWN,
    "lanes.CLAIM_SENDS": "an array of keys is made of it, and it is shown",
    "messages._QUEUE_AND_TELL": INSERTED,
    "outbox_outcomes._LOCK": SHOWN,
    "outbox_posting._POST": INSERTED,
    "paces.CLAIM_SENDS": "an array of keys is made of it, and it is shown",
    "statuses._SHOW": "the messages that it changes are locked by those who call it",
}
"""Statements with a union that stands beside nothing that could have changed."""


def outside_of_materialized(statement: str) -> str:
    """`statement` without what stands in its materialized parts."""
    while found := MATERIALIZED.search(statement):
        end, depth = found.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(statement[end], 0)
            end += 1
        statement = statement[: found.start()] + statement[end:]
    return statement


def is_unprotected(statement: str) -> bool:
    return bool(WRITES.search(statement) and UNION.search(outside_of_materialized(statement)))


def test_a_union_beside_rows_that_are_changed_is_materialized():
    assert is_unprotected("with u as (select a union all select b) select from t join u on true for update of t")
    assert not is_unprotected("with u as materialized (select f(a) union all select b) select from t for update of t")
    assert {name for name, text in statements() if is_unprotected(text)} == HARMLESS.keys()
