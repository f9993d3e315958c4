"""The table of Meta's codes, and where a code without a row falls."""

import pytest

from inbox.domain.explanations import Language
from inbox.domain.failure_cases import CASES
from inbox.domain.failure_texts import WORDS, explain, logged
from inbox.domain.graph_error_rows import GraphError, Verdict, by_code, refused
from inbox.domain.graph_errors import FAMILIES, GRAPH_ERRORS, OPEN_ENDED, WINDOW_CODES, find, judge, sentence, words_in

EXPLANATIONS = [*GRAPH_ERRORS.values(), *WORDS.values(), *CASES.values()]


@pytest.mark.parametrize("language", Language)
def test_every_text_is_made_of_whole_sentences(language):
    for said in EXPLANATIONS:
        for phrase in filter(None, (said.what, said.next)):
            text = phrase.said_in(language)
            assert text.endswith(".")
            assert text[0].isupper()
            assert "  " not in text


def test_no_text_is_the_same_in_both_languages():
    assert all(phrase.fr != phrase.en for said in EXPLANATIONS for phrase in filter(None, (said.what, said.next)))


def test_every_code_says_what_to_do_next():
    assert [code for code, row in GRAPH_ERRORS.items() if row.next is None] == [2593107, 2593108, 2593109]


def test_the_contracts_codes_have_a_text():
    assert GRAPH_ERRORS.keys() >= {100, 190, 131026, 131030, 131042, 131047, 131048, 131051, 131052}


def test_a_code_stands_in_one_row():
    row = refused(7, None, fr="Sept.", en="Seven.", last=9)
    assert by_code(row).keys() == {7, 8, 9}
    with pytest.raises(ValueError, match="9"):
        by_code(row, refused(9, None, fr="Neuf.", en="Nine."))


def test_what_has_to_wait_is_named_where_a_repetition_follows():
    for row in GRAPH_ERRORS.values():
        assert (row.scope is not None) == (row.verdict is Verdict.LATER)


def test_the_window_has_two_codes():
    assert sorted(WINDOW_CODES) == [470, 131047]


@pytest.mark.parametrize(
    ("code", "status", "verdict", "scope"),
    [
        (777_777, 429, Verdict.LATER, "number"),
        (131026, 429, Verdict.LATER, "number"),
        (131016, 429, Verdict.LATER, "number"),
        (131056, 429, Verdict.LATER, "pair"),
        (230, 400, Verdict.ACCOUNT, "number"),
        (230, 500, Verdict.ACCOUNT, "number"),
        (133_999, 400, Verdict.ACCOUNT, "number"),
        (777_777, 401, Verdict.ACCOUNT, "number"),
        (131026, 401, Verdict.ACCOUNT, "number"),
        (777_777, 500, Verdict.UNKNOWN, "number"),
        (777_777, 408, Verdict.UNKNOWN, "number"),
        (131026, 500, Verdict.UNKNOWN, "number"),
        (131047, 503, Verdict.UNKNOWN, "number"),
        (1, 400, Verdict.UNKNOWN, "number"),
        (777_777, 400, Verdict.REFUSED, "number"),
        (132_999, 404, Verdict.REFUSED, "number"),
        (131047, 400, Verdict.WINDOW, "number"),
    ],
)
def test_a_code_falls_to_its_row_its_family_or_the_status(code, status, verdict, scope):
    judged = judge(code, status=status)
    assert (judged.verdict, judged.scope) == (verdict, scope)


def row(code, subcode=None) -> GraphError:
    found = find(code, subcode)
    assert found is not None
    return found


def test_a_subcode_says_more_than_100():
    assert row(100, 2388024).code == 2388024
    assert judge(100, status=400, subcode=33).verdict is Verdict.ACCOUNT
    assert row(100, 34).code == row(100).code == 100
    assert row(190, 33).code == 190


def test_a_family_holds_no_code_that_another_verdict_needs():
    for codes, verdict in FAMILIES.items():
        found = {row.verdict for code, row in GRAPH_ERRORS.items() if code in codes}
        assert found <= {verdict, Verdict.LATER}


def test_the_words_of_whatsapp_follow_only_where_they_say_more():
    assert 131009 in OPEN_ENDED
    assert sentence(131009, "Button title too long").endswith(" (Button title too long)")
    assert sentence(131026, "Unable to deliver") == GRAPH_ERRORS[131026].sentence()


@pytest.mark.parametrize("code", [777_777, None])
def test_of_a_code_without_a_row_a_general_sentence_is_said_and_the_words_of_whatsapp(code):
    general = WORDS["whatsapp_rejected"].sentence()
    assert sentence(code, "Odd") == f"{general} (Odd)"
    assert sentence(code, "") == general
    assert sentence(code, "x" * 5_000) == f"{general} ({'x' * 300})"


@pytest.mark.parametrize(
    ("code", "said", "found"), [(777_777, "Odd (1)", "Odd (1)"), (131009, "b", "b"), (131026, "c", "")]
)
def test_the_words_of_whatsapp_are_found_again_in_what_is_shown(code, said, found):
    assert words_in(code, sentence(code, said)) == found
    assert words_in(code, "A title of before (x)") == words_in(code, "") == ""


def test_the_next_step_is_about_a_message_only_where_there_is_one():
    def next_of(word, code):
        said = explain(word, code)
        assert said is not None
        assert said.next is not None
        return said.next.en

    assert next_of("whatsapp_rejected", 100) == "Correct the message and send it again."
    assert next_of("whatsapp_api_error", 100) == "Correct the request, then make it again."
    assert next_of("whatsapp_unavailable", 80007) == "Try again later."
    assert next_of("whatsapp_api_error", 190) == next_of("whatsapp_account_problem", 190)


def test_any_code_about_rights_says_that_rights_are_missing():
    assert explain("whatsapp_api_error", 299) == explain("whatsapp_api_error", 200)
    assert explain("whatsapp_api_error", 300) is WORDS["whatsapp_api_error"]


def test_a_case_says_more_than_the_word():
    assert explain("validation_error", None, "file_empty") is CASES["file_empty"]
    assert explain("validation_error", None, None) is None
    assert explain("payload_too_large", None, "image_too_large") is CASES["image_too_large"]


def test_the_code_of_whatsapp_says_more_than_the_word():
    assert explain("whatsapp_rejected", 131026) is GRAPH_ERRORS[131026]
    assert explain("whatsapp_rejected", 777_777) is WORDS["whatsapp_rejected"]
    closed = explain("window_closed")
    assert closed is not None
    assert closed.sentence() == GRAPH_ERRORS[131047].sentence()
    assert explain("role_not_found") is None


def test_the_log_is_english():
    assert logged("whatsapp_rejected", 131026) == GRAPH_ERRORS[131026].sentence(Language.ENGLISH)
    assert logged("something") == "something"
