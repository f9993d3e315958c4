"""What becomes of what people type into the assistant's profile."""

from itertools import count
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.bot_profile import Company, CustomField, Faq, Offer, SystemRules, TemplateConfig
from inbox.domain.bot_profiles import MAX_ITEMS, MAX_TEXT, cleaned_config, cleaned_fields
from inbox.domain.errors import Invalid


def fields(*given: tuple[str, str, str]) -> list[CustomField]:
    numbers = count(1)
    return cleaned_fields(
        [CustomField(id=field_id, label=label, value=value) for field_id, label, value in given],
        new_id=lambda: UUID(int=next(numbers)),
    )


def field(field_id: str, label: str, value: str) -> CustomField:
    return CustomField(id=field_id, label=label, value=value)


def test_custom_fields_are_trimmed_and_empty_rows_dropped():
    assert fields(
        ("a", " Parking ", "\tGratuit\n"), ("b", "", ""), ("c", " ", " "), ("d", "", "x"), ("e", "x", "")
    ) == [
        field("a", "Parking", "Gratuit"),
        field("d", "", "x"),
        field("e", "x", ""),
    ]


def test_a_field_without_id_gets_one_and_a_repeated_id_stays_with_the_first():
    first, second = str(UUID(int=1)), str(UUID(int=2))
    assert fields(("", "a", ""), ("x", "b", ""), (" x ", "c", "")) == [
        field(first, "a", ""),
        field("x", "b", ""),
        field(second, "c", ""),
    ]


def test_new_ids_are_different_at_each_time():
    one, other = cleaned_fields([CustomField(label="a"), CustomField(label="a")])
    assert UUID(one.id) != UUID(other.id)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, TemplateConfig()),
        ({"unknown": 1, "company": {"siret": "1"}}, TemplateConfig()),
        ({"company": {"name": " Atelier ", "_id": "1"}}, TemplateConfig(company=Company(name="Atelier"))),
        ({"company": {"name": None}}, TemplateConfig()),
        ({"system_rules": {"role": 3, "tone": True, "style": False, "mission": 1.5}},
         TemplateConfig(system_rules=SystemRules(role="3", tone="true", style="false", mission="1.5"))),
        ({"special_rules": " Jamais de prix. "}, TemplateConfig(special_rules="Jamais de prix.")),
        ({"special_rules": None}, TemplateConfig()),
        ({"offers": []}, TemplateConfig()),
        ({"offers": [{"category": " ", "content": ""}, {}, {"_id": "7"}, {"content": "x", "_id": "8"}]},
         TemplateConfig(offers=[Offer(content="x")])),
        ({"faq": [{"question": "b"}, {"question": "a"}]},
         TemplateConfig(faq=[Faq(question="b"), Faq(question="a")])),
    ],
)  # fmt: skip
def test_of_a_playbook_the_known_keys_are_kept_as_trimmed_texts(given, kept):
    assert cleaned_config(given) == kept


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"company": []}, "company"),
        ({"company": None}, "company"),
        ({"company": "x"}, "company"),
        ({"offers": {}}, "offers"),
        ({"offers": None}, "offers"),
        ({"offers": "x"}, "offers"),
        ({"faq": [{"question": "a"}, "b"]}, "faq[1]"),
        ({"faq": [None]}, "faq[0]"),
        ({"special_rules": []}, "special_rules"),
        ({"special_rules": {}}, "special_rules"),
        ({"links": {"site": {"url": "x"}}}, "links.site"),
        ({"faq": [{"answer": ["a"]}]}, "faq[0].answer"),
        ({"special_rules": "x" * (MAX_TEXT + 1)}, "special_rules"),
        ({"conditions": {"zone": "x" * (MAX_TEXT + 1)}}, "conditions.zone"),
        ({"procedures": [{}] * (MAX_ITEMS + 1)}, "procedures"),
    ],
)
def test_a_section_of_the_wrong_kind_or_size_is_refused_with_its_path(given, path):
    with pytest.raises(Invalid) as refused:
        cleaned_config(given)
    assert [error["path"] for error in refused.value.errors] == [f"body.template_config.{path}"]


def test_the_limits_themselves_are_allowed():
    given = {"special_rules": "x" * MAX_TEXT + " ", "offers": [{"content": "x"}] * MAX_ITEMS}
    kept = cleaned_config(given)
    assert (len(kept.special_rules), len(kept.offers)) == (MAX_TEXT, MAX_ITEMS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*TemplateConfig.__struct_fields__, "name", "question"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*TemplateConfig.__struct_fields__, "x"]), JSON, max_size=4))
def test_any_json_is_either_cleaned_for_good_or_refused(given):
    try:
        kept = cleaned_config(given)
    except Invalid:
        return
    assert cleaned_config(msgspec.to_builtins(kept)) == kept
