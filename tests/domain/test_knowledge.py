"""The pure half of the knowledge base: words, passages, and how two rankings become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.errors import Invalid
from inbox.domain.ids import uuid7
from inbox.domain.knowledge import MAX_PASSAGE, Passage, asked, cleaned, merged, passages, within, words
from knowledge_builders import a_text


def a_passage(text: str = "Bonjour", *, title: str = "") -> Passage:
    return Passage(article_id=uuid7(), version=1, place=0, title=title, text=text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L\u2019atelier d'Élodie, à Lyon", ["atelier", "élodie", "lyon"]),
        ("E\u0301te\u0301", ["été"]),
        ("Nœud ‘cœur’", ["noeud", "coeur"]),
        ("4,90 € / 2 h", ["4", "90", "2"]),
        ("it's fully-charged!", ["it", "fully", "charged"]),
        ("'a' & !b | c:* <-> \\ \0 \ud800 %_", []),
        ("", []),
    ],
)
def test_words_are_letters_and_digits_and_nothing_else(text, expected):
    assert words(text) == expected


@given(st.text(alphabet=st.characters(), max_size=200))
def test_no_word_of_any_text_can_mean_anything_to_a_search(text):
    assert all(word.isalnum() and len(word) <= 60 for word in words(text))


def test_a_question_is_asked_by_its_own_words_each_once():
    assert asked("Bonjour, combien coûte une chambre ? Une chambre double, merci") == [
        "coûte",
        "une",
        "chambre",
        "double",
    ]
    assert asked("Bonjour, merci !") == ["bonjour", "merci"]


def test_of_a_long_question_the_end_counts_and_not_more_than_some_words():
    found = asked("début " + "x" * 1500 + " " + " ".join(f"mot{n}" for n in range(100)))
    assert found == [f"mot{n}" for n in range(68, 100)]
    assert asked("début " + "x" * 1990 + " fin")[-1] == "fin"
    assert "début" not in asked("début " + "x" * 2000)


def test_paragraphs_stay_together_as_long_as_they_fit():
    body = "\n\n".join(["a" * 500, "b" * 500, "c" * 500, "d"])
    assert [len(passage) for passage in passages(body)] == [1002, 503]
    assert passages("Un.\r\n \r\nDeux.\n\n\n\n") == ["Un.\n\nDeux."]


def test_a_long_paragraph_is_cut_between_sentences_and_one_word_anywhere():
    sentence = "Le vélo est prêt. "
    parts = passages(sentence * 200)
    assert all(part.endswith("prêt.") and len(part) <= MAX_PASSAGE for part in parts)
    assert [len(part) for part in passages("x" * 3000)] == [1200, 1200, 600]


@given(st.text(alphabet="ab .!\n\r\té", max_size=6000))
def test_passages_lose_no_letter_and_are_never_too_long_or_empty(body):
    parts = passages(body)
    assert "".join("".join(parts).split()) == "".join(body.split())
    assert all(0 < len(part) <= MAX_PASSAGE for part in parts)


def test_what_both_rankings_know_comes_first_and_the_order_is_always_the_same():
    one, two, three, four = sorted((a_passage() for _ in range(4)), key=lambda passage: passage.article_id)
    found = merged([four, two], [three, two])
    assert [source.article_id for source in found] == [two.article_id, three.article_id, four.article_id]
    assert [(source.text_rank, source.vector_rank) for source in found] == [(2, 2), (None, 1), (1, None)]
    assert found[0].score > found[1].score == found[2].score
    assert merged([one])[0].score > merged([four, one])[1].score


def test_sources_are_left_out_that_do_not_fit():
    sources = merged([a_passage("x" * 400, title="t" * 100), a_passage("y" * 600), a_passage("z" * 500)])
    chosen = within(sources, limit=5, max_chars=1000)
    assert [source.text[0] for source in chosen] == ["x", "z"]
    assert within(sources, limit=1, max_chars=10_000) == tuple(sources[:1])
    assert within(sources, limit=5, max_chars=100) == ()


def test_an_article_says_something():
    assert cleaned(a_text(" Vos\nhoraires ? ", "\n9 h\n")) == a_text("Vos horaires ?", "9 h")
    for text, path in ((a_text(" "), "body.title"), (a_text(body="\n"), "body.body")):
        with pytest.raises(Invalid) as refused:
            cleaned(text)
        assert refused.value.errors == [{"path": path, "message": "required"}]
