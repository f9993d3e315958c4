"""What the Gemini emulator answers: echoes, decisions, scripts, streams, embeddings."""

import json
import math
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.gemini_client import DECISION, FLASH, KEY, LITE, GeminiClient, Json, asking, deciding, running, text_of
from inbox.emulators.gemini.filling import fill


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiClient]:
    async with running() as client:
        yield client


async def events(gemini: GeminiClient, body: Json, model: str = LITE) -> list[Json]:
    """The events of a stream, by the letter of the format: CRLF, blank line between, nothing but `data:`."""
    status, text, headers = await gemini.raw(gemini.path("streamGenerateContent", model) + "?alt=sse", body)
    assert status == 200
    assert headers["Content-Type"] == "text/event-stream"
    assert text.endswith("\r\n\r\n")
    blocks = text[: -len("\r\n\r\n")].split("\r\n\r\n")
    assert all(block.startswith("data: {") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


async def test_the_echo_names_the_customers_last_message(gemini: GeminiClient) -> None:
    response = await gemini.generate(asking("Do you open on Sundays?"))
    assert "Do you open on Sundays?" in text_of(response)
    assert response["candidates"][0]["finishReason"] == "STOP"
    assert response["modelVersion"] == LITE
    assert response["usageMetadata"]["promptTokenCount"] == math.ceil(len("Do you open on Sundays?") / 4)
    assert "thoughtsTokenCount" not in response["usageMetadata"]


async def test_the_answer_is_json_pretty_printed_with_a_charset(gemini: GeminiClient) -> None:
    _, text, headers = await gemini.raw(gemini.path("generateContent"), asking())
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert text.startswith('{\n  "candidates": [\n')


async def test_only_the_last_tagged_message_is_the_customers(gemini: GeminiClient) -> None:
    said = '<customer_message id="1">first</customer_message><customer_message id="2">a &lt; b</customer_message>'
    assert "a < b" in text_of(await gemini.generate(asking(said)))


async def test_a_decision_fits_its_schema_and_keeps_the_wanted_order(gemini: GeminiClient) -> None:
    decision = json.loads(text_of(await gemini.generate(deciding("Do you open on Sundays?"))))
    assert list(decision) == DECISION["propertyOrdering"]
    assert decision["action"] == "reply"
    assert "Do you open on Sundays?" in decision["reply"]
    assert decision["handoff_reason"] == "none"


@pytest.mark.parametrize(
    "text",
    ["Je veux parler à un humain", "I want a HUMAN!", "un conseiller svp", "an agent, please", "quiero un agente"],
)
async def test_who_asks_for_a_person_is_handed_over(gemini: GeminiClient, text: str) -> None:
    decision = json.loads(text_of(await gemini.generate(deciding(text))))
    assert (decision["action"], decision["handoff_reason"]) == ("handoff", "customer_asked_human")


async def test_a_keyword_inside_another_word_does_not_count(gemini: GeminiClient) -> None:
    decision = json.loads(text_of(await gemini.generate(deciding("The agenda of humanity"))))
    assert decision["action"] == "reply"


async def test_a_decision_cites_the_knowledge_that_shares_words_with_the_question(gemini: GeminiClient) -> None:
    knowledge = (
        '<kb id="a1#1" title="Hours">We open from nine.</kb><kb id="b2#1" title="Parcels">Parcels take two days.</kb>'
    )
    body = deciding("How long do parcels take?")
    body["contents"][0]["parts"].insert(0, {"text": knowledge})
    decision = json.loads(text_of(await gemini.generate(body)))
    assert decision["used_kb_ids"] == ["b2#1"]
    assert "Parcels take two days." in decision["reply"]


async def test_rules_can_be_replaced_and_reset_brings_them_back(gemini: GeminiClient) -> None:
    await gemini.control("PUT", "/rules", [{"keyword": "parcel", "text": "Two days."}])
    assert text_of(await gemini.generate(asking("my parcel?"))) == "Two days."
    assert json.loads(text_of(await gemini.generate(deciding("human parcel"))))["reply"] == "Two days."
    await gemini.control("POST", "/reset")
    assert json.loads(text_of(await gemini.generate(deciding("human parcel"))))["action"] == "handoff"


async def test_scripted_answers_come_in_order_to_whom_they_are_for(gemini: GeminiClient) -> None:
    await gemini.control(
        "POST",
        "/script",
        [{"text": "only for blue", "contains": "blue"}, {"text": "twice", "times": 2}, {"json": {"action": "ignore"}}],
    )
    heard = [text_of(await gemini.generate(asking(text))) for text in ("red", "Blue", "red", "red")]
    assert heard == ["twice", "only for blue", "twice", '{"action":"ignore"}']
    assert await gemini.control("GET", "/script") == {"waiting": 0}


async def test_a_scripted_response_goes_out_as_it_stands(gemini: GeminiClient) -> None:
    await gemini.control("POST", "/script", {"response": {"candidates": [{"finishReason": "SPII"}]}})
    assert await gemini.generate(asking()) == {"candidates": [{"finishReason": "SPII"}]}


async def test_the_script_is_bounded() -> None:
    async with running(max_scripted=1) as gemini:
        status, _, _ = await gemini.raw(f"{gemini.url}/_emu/script", [{"text": "a"}, {"text": "b"}])
    assert status == 400


async def test_thinking_that_uses_up_the_cap_leaves_no_text(gemini: GeminiClient) -> None:
    response = await gemini.generate(asking(generationConfig={"maxOutputTokens": 256}), FLASH)
    assert response["candidates"] == [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}]
    assert response["usageMetadata"]["thoughtsTokenCount"] == 256


async def test_a_long_answer_is_cut_at_the_cap(gemini: GeminiClient) -> None:
    await gemini.control("POST", "/script", {"text": "x" * 400})
    response = await gemini.generate(asking(generationConfig={"maxOutputTokens": 50}))
    assert response["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert len(text_of(response)) == 200


async def test_thoughts_are_shown_only_on_request(gemini: GeminiClient) -> None:
    config = {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}
    parts = (await gemini.generate(asking(generationConfig=config), FLASH))["candidates"][0]["content"]["parts"]
    assert [part.get("thought", False) for part in parts] == [True, False]


async def test_a_deprecated_id_is_answered_by_another_model(gemini: GeminiClient) -> None:
    response = await gemini.generate(asking(), "gemini-3.7-flash")
    assert response["modelVersion"] == FLASH
    assert response["modelStatus"]["modelStage"] == "DEPRECATED"


async def test_a_stream_is_the_answer_in_pieces_and_only_the_last_has_a_finish_reason(gemini: GeminiClient) -> None:
    await gemini.control("POST", "/script", {"text": "Claro, lo miro ahora mismo: ñandú, 你好."})
    pieces = await events(gemini, asking(), FLASH)
    assert len(pieces) > 2
    assert "".join(text_of(piece) for piece in pieces) == "Claro, lo miro ahora mismo: ñandú, 你好."
    assert [piece["candidates"][0].get("finishReason") for piece in pieces] == [None] * (len(pieces) - 1) + ["STOP"]
    written = [piece["usageMetadata"]["candidatesTokenCount"] for piece in pieces]
    assert written == sorted(written)


async def test_an_echoed_stream_holds_a_line_separator_that_is_not_a_line_end(gemini: GeminiClient) -> None:
    pieces = await events(gemini, asking("a b c"))
    assert "\u2028" in "".join(text_of(piece) for piece in pieces)


async def test_network_chunks_of_a_stream_end_inside_characters(gemini: GeminiClient) -> None:
    await gemini.control("POST", "/script", {"text": "ñ" * 40})
    torn = False
    headers = {"x-goog-api-key": KEY}
    url = gemini.path("streamGenerateContent") + "?alt=sse"
    async with gemini.session.post(url, json=asking(), headers=headers) as response:
        async for chunk, _ in response.content.iter_chunks():
            torn = torn or chunk[-1:] == b"\xc3"
    assert torn


async def test_without_alt_sse_a_stream_is_one_json_array(gemini: GeminiClient) -> None:
    status, pieces = await gemini.call("streamGenerateContent", asking())
    assert status == 200
    assert pieces[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_texts_that_share_words_are_near_and_vectors_have_length_one(gemini: GeminiClient) -> None:
    async def vectors(*texts: str) -> list[list[float]]:
        model = "models/gemini-embedding-2"
        requests = [
            {"model": model, "content": {"parts": [{"text": text}]}, "outputDimensionality": 768} for text in texts
        ]
        status, answer = await gemini.call("batchEmbedContents", {"requests": requests}, "gemini-embedding-2")
        assert status == 200
        return [item["values"] for item in answer["embeddings"]]

    question, near, far = await vectors("when does the parcel arrive", "the parcel arrives soon", "we sell lamps")
    cosine = [sum(a * b for a, b in zip(question, other, strict=True)) for other in (near, far)]
    assert cosine[0] > cosine[1] + 0.2
    assert len(question) == 768
    assert math.isclose(sum(value * value for value in question), 1, abs_tol=1e-4)


async def test_one_vector_for_a_content_and_at_most_a_hundred_in_a_batch(gemini: GeminiClient) -> None:
    content = {"parts": [{"text": "a"}, {"text": "b"}]}
    _, single = await gemini.call("embedContent", {"content": content}, "gemini-embedding-2")
    assert len(single["embedding"]["values"]) == 3072
    requests = [{"model": "models/gemini-embedding-2", "content": content}] * 101
    message = await gemini.refused({"requests": requests}, "gemini-embedding-2", "batchEmbedContents")
    assert message == "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"


async def test_the_ledger_holds_neither_words_nor_keys(gemini: GeminiClient) -> None:
    await gemini.generate(asking("my secret is swordfish"))
    text = json.dumps(await gemini.control("GET", "/ledger"))
    assert "swordfish" not in text
    assert KEY not in text
    assert '"prompt_tokens": 6' in text


async def test_two_emulators_with_one_seed_give_the_same_answers() -> None:
    answers = []
    for _ in range(2):
        async with running(seed=7) as gemini:
            answers.append(await gemini.generate(asking(), FLASH))
    assert answers[0] == answers[1]


SCALARS = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 3}, {"type": "boolean"}, {"type": "string", "enum": ["a", "b"]}]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(
            lambda members: {"type": "object", "properties": members, "required": list(members)},
            st.dictionaries(st.sampled_from("pqrst"), inner, max_size=3),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=8,
)


def fits(schema: Json, value: object) -> bool:
    if "anyOf" in schema:
        return any(fits(branch, value) for branch in schema["anyOf"])
    match schema["type"]:
        case "string":
            return isinstance(value, str) and value in schema.get("enum", [value])
        case "integer":
            return isinstance(value, int) and value >= schema["minimum"]
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return (
                isinstance(value, list)
                and len(value) >= schema["minItems"]
                and all(fits(schema["items"], item) for item in value)
            )
        case _:
            return (
                isinstance(value, dict)
                and set(value) == set(schema["required"])
                and all(fits(schema["properties"][name], item) for name, item in value.items())
            )


@given(SCHEMAS)
def test_a_filled_value_fits_its_schema(schema: Json) -> None:
    assert fits(schema, fill(schema, {}))
