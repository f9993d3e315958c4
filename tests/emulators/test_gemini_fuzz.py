"""No body, however odd, gets anything from the Gemini emulator but an answer or one of the vendor's refusals."""

import json

from hypothesis import given
from hypothesis import strategies as st

from inbox.emulators.gemini import GeminiConfig
from inbox.emulators.gemini.emulator import GeminiEmulator
from inbox.emulators.gemini.errors import ApiError
from inbox.emulators.gemini.messages import MESSAGES

NAMES = sorted({name for fields in MESSAGES.values() for name in fields})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "x"]), inner, max_size=4),
    max_leaves=12,
)
PARTS = st.one_of(
    st.fixed_dictionaries({"text": st.text(max_size=20)}),
    st.fixed_dictionaries({"functionCall": st.fixed_dictionaries({"name": st.text(max_size=3)})}),
    st.fixed_dictionaries({"functionResponse": st.just({"name": "a", "response": {}})}),
)
CONTENTS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "model"]), "parts": st.lists(PARTS, min_size=1, max_size=3)}
    ),
    min_size=1,
    max_size=4,
)
KEYWORDS = [
    *("$ref", "$defs", "type", "enum", "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf"),
    *("oneOf", "properties", "required", "propertyOrdering", "action", "reply", "confidence", "a"),
]
WORDS = st.sampled_from(["object", "ARRAY", "string", "number", "integer", "null", "#/$defs/a", "action", "reply", "3"])
SCHEMAS = st.dictionaries(
    st.sampled_from(KEYWORDS),
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 70) | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
        max_leaves=10,
    ),
    max_size=5,
)


def ask(body: object, model: str) -> None:
    """Raises what the emulator raises; a response must be writable as JSON."""
    emulator = GeminiEmulator(GeminiConfig(api_keys=("k",)))
    generation = emulator.read(emulator.models[model], json.dumps(body).encode())
    response = emulator.generate(generation, None, streamed=True)
    assert json.dumps(list(emulator.pieces(response)))


def answered_or_refused(body: object, model: str = "gemini-3.8-flash") -> bool:
    try:
        ask(body, model)
    except ApiError as error:
        assert error.code == 400  # noqa: PT017 - both outcomes are fine, others are not
        return False
    return True


@given(JSON)
def test_any_json_is_answered_or_refused(body: object) -> None:
    answered_or_refused(body)


@given(CONTENTS, JSON)
def test_any_member_beside_good_contents_is_answered_or_refused(contents: object, config: object) -> None:
    answered_or_refused({"contents": contents, "generationConfig": config}, "gemini-2.5-flash")
    answered_or_refused({"contents": contents, "tools": config})


@given(JSON)
def test_a_forced_call_of_any_declaration_is_answered(parameters: object) -> None:
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": parameters}]}]
    forced = {"functionCallingConfig": {"mode": "ANY"}}
    assert answered_or_refused({"contents": [{"parts": [{"text": "a"}]}], "tools": tools, "toolConfig": forced})


@given(SCHEMAS)
def test_every_schema_gets_an_answer(schema: object) -> None:
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert answered_or_refused({"contents": [{"parts": [{"text": "a human"}]}], "generationConfig": config})


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    own = {"$ref": "#/$defs/a"}
    branching = {"type": "object", "properties": {"x": own, "y": own, "z": own}, "required": ["x", "y", "z"]}
    schema = {"$defs": {"a": branching, "b": {"type": "array", "items": own, "minItems": 10**9}}, **branching}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert answered_or_refused({"contents": [{"parts": [{"text": "a human"}]}], "generationConfig": config})
