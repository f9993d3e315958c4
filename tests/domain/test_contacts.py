"""How people write numbers and names, and what is kept of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.contacts import CountryCode, digits_of, name_of, whatsapp_number
from inbox.domain.errors import Invalid

FRANCE = CountryCode("33")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("33612345678", "33612345678"),
        ("+33612345678", "33612345678"),
        ("0033612345678", "33612345678"),
        ("0612345678", "33612345678"),
        ("06 12 34 56 78", "33612345678"),
        ("06.12.34.56.78", "33612345678"),
        ("06-12-34-56-78", "33612345678"),
        ("(06) 12 34 56 78", "33612345678"),
        ("+33 6 12 34 56 78", "33612345678"),
        ("00 33 6 12 34 56 78", "33612345678"),
        ("+33 (0)6 12 34 56 78", "33612345678"),
        ("33 (0)6 12 34 56 78", "33612345678"),
        ("(0)6 12 34 56 78", "33612345678"),
        ("+1 (555) 010-0199", "15550100199"),
        ("+221 77 123 45 67", "221771234567"),
        ("０６ １２ ３４ ５６ ７８", "33612345678"),
        ("＋３３ ６ １２ ３４ ５６ ７８", "33612345678"),
        ("06\u00a012\u202f34\u200956\t78", "33612345678"),
        ("06\u201112\u201334\u201456\u221278", "33612345678"),
        ("\u202a+33 6 12 34 56 78\u202c", "33612345678"),
        ("  0612345678  ", "33612345678"),
        ("12345678", "12345678"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_a_number_is_understood_as_people_write_it(written, kept):
    assert whatsapp_number(written, FRANCE, path="body.phone_number") == kept


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "+",
        "00",
        "0",
        "1234567",
        "+1234567",
        "1234567890123456",
        "012345",
        "01234567890123456",
        "+0612345678",
        "000612345678",
        "++33612345678",
        "+0033612345678",
        "33+612345678",
        "0612345678x",
        "06/12/34/56/78",
        "tel:0612345678",
        "06,12,34,56,78",
        "06\n12\n34\n56\n78",
        "٠٦١٢٣٤٥٦٧٨",
        "²612345678",
        "FR.1234567890",
        "(0)",
        "+33 (0) (0)",
    ],
)
def test_anything_else_is_refused_with_the_path_of_the_value(written):
    with pytest.raises(Invalid) as refused:
        whatsapp_number(written, FRANCE, path="body.phone_number")
    assert [error["path"] for error in refused.value.errors] == ["body.phone_number"]


def test_the_error_does_not_repeat_what_was_written():
    with pytest.raises(Invalid) as refused:
        whatsapp_number("06 12 34 56 78 x", FRANCE, path="p")
    assert "34 56" not in str(refused.value)


def test_a_national_number_belongs_to_the_country_of_the_installation():
    assert whatsapp_number("077 123 45 67", CountryCode("221"), path="p") == "221771234567"


@given(st.text(max_size=30))
def test_no_text_gives_anything_but_digits(written):
    try:
        kept = whatsapp_number(written, FRANCE, path="p")
    except Invalid:
        return
    assert kept.isascii()
    assert kept.isdigit()
    assert 8 <= len(kept) <= 15
    assert kept[0] != "0"


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True))
def test_a_number_that_is_kept_is_understood_as_itself(digits):
    assert whatsapp_number(digits, FRANCE, path="p") == digits
    assert whatsapp_number("+" + digits, FRANCE, path="p") == digits


@pytest.mark.parametrize(
    ("search", "digits"),
    [
        ("12 34", "1234"),
        ("+33 6", "336"),
        ("06.12", "0612"),
        ("７８", "78"),
        ("Marc", None),
        ("Marc 2", None),
        ("+", None),
        ("-", None),
        ("%", None),
        ("²", None),
    ],
)
def test_a_search_is_for_a_number_only_if_it_can_be_nothing_else(search, digits):
    assert digits_of(search) == digits


@pytest.mark.parametrize(
    ("written", "kept"), [("Marc", "Marc"), ("  Marc D. ", "Marc D."), ("", None), (" \t", None), (None, None)]
)
def test_a_name_without_letters_is_none(written, kept):
    assert name_of(written) == kept
