"""Work that is done in portions takes one portion."""

import re

from architecture.statements import statements

REPEATED = re.compile(r"\bin\s*\(\s*select\b[^()]*\blimit\b[^()]*\bfor (?:no key )?update\b")


def test_a_portion_is_chosen_in_a_statement_of_its_own_which_no_plan_repeats():
    """PostgreSQL may run a subquery behind `in` once for every row: each time it locks another portion."""
    assert REPEATED.search("delete from t where k in (select k from t limit 5 for update skip locked)")
    assert [name for name, text in statements() if REPEATED.search(text)] == []
