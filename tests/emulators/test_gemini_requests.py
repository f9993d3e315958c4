"""What the Gemini emulator refuses, in which order and with which words (facts, section 17)."""

from collections.abc import AsyncIterator

import pytest

from emulators.gemini_client import DECISION, FLASH, KEY, LITE, GeminiClient, Json, asking, deciding, running


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiClient]:
    async with running() as client:
        yield client


def model_turn(**part: object) -> Json:
    return {"role": "model", "parts": [part]}


def user_turn(**part: object) -> Json:
    return {"role": "user", "parts": [part]}


def call(name: str = "lookup", **more: object) -> Json:
    return {"functionCall": {"name": name, "args": {}}, **more}


def result(name: str = "lookup") -> Json:
    return {"functionResponse": {"name": name, "response": {"output": {}}}}


@pytest.mark.parametrize(
    ("headers", "query", "status", "reason"),
    [
        ({}, "", 403, "PERMISSION_DENIED"),
        ({"x-goog-api-key": "AQ.wrong"}, "", 400, "INVALID_ARGUMENT"),
        ({"x-goog-api-key": "AIzaLeaked"}, "", 403, "PERMISSION_DENIED"),
        ({"x-goog-api-key": "ya29.oauth"}, "", 401, "UNAUTHENTICATED"),
        ({"authorization": f"Bearer {KEY}"}, "", 401, "UNAUTHENTICATED"),
        ({}, f"?key={KEY}", 200, ""),
    ],
)
async def test_each_kind_of_credential_gets_its_own_answer(
    gemini: GeminiClient, headers: Json, query: str, status: int, reason: str
) -> None:
    code, text, _ = await gemini.raw(gemini.path("generateContent") + query, asking(), headers)
    assert code == status
    assert f'"status": "{reason}"' in text or not reason


async def test_two_credentials_are_refused_with_a_list_body(gemini: GeminiClient) -> None:
    headers = {"x-goog-api-key": KEY}
    status, text, _ = await gemini.raw(f"{gemini.path('generateContent')}?key={KEY}", asking(), headers)
    assert status == 400
    assert text.lstrip().startswith("[")
    assert "Multiple authentication credentials received. Please pass only one." in text


async def test_an_unknown_key_is_named_in_the_error_details(gemini: GeminiClient) -> None:
    status, answer = await gemini.call("generateContent", asking(), headers={"x-goog-api-key": "no"})
    assert status == 400
    assert answer["error"]["details"][0]["reason"] == "API_KEY_INVALID"


async def test_the_key_is_checked_before_the_model_and_the_model_before_the_body(gemini: GeminiClient) -> None:
    wrong_key, _ = await gemini.call("generateContent", {"nonsense": 1}, "gemini-2.0-flash", {"x-goog-api-key": "no"})
    wrong_model, answer = await gemini.call("generateContent", {"nonsense": 1}, "gemini-2.0-flash")
    assert (wrong_key, wrong_model) == (400, 404)
    assert answer["error"]["message"].startswith("models/gemini-2.0-flash is not found for API version v1beta, or is")


@pytest.mark.parametrize(
    ("method", "model"),
    [("generateContent", "gemini-embedding-2"), ("embedContent", LITE), ("explainContent", LITE)],
)
async def test_a_method_that_the_model_does_not_offer_is_not_found(
    gemini: GeminiClient, method: str, model: str
) -> None:
    status, answer = await gemini.call(method, asking(), model)
    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
    assert f"is not supported for {method}" in answer["error"]["message"]


async def test_every_unknown_name_at_any_depth_is_listed(gemini: GeminiClient) -> None:
    body = asking(foo=1, generationConfig={"maxTokens": 5, "thinkingConfig": {"level": "LOW"}})
    status, answer = await gemini.call("generateContent", body)
    assert status == 400
    found = {item.get("field", ""): item["description"] for item in answer["error"]["details"][0]["fieldViolations"]}
    assert found == {
        "": 'Invalid JSON payload received. Unknown name "foo": Cannot find field.',
        "generation_config": (
            "Invalid JSON payload received. Unknown name \"maxTokens\" at 'generation_config': Cannot find field."
        ),
        "generation_config.thinking_config": (
            "Invalid JSON payload received. Unknown name \"level\" at 'generation_config.thinking_config': "
            "Cannot find field."
        ),
    }
    assert answer["error"]["message"].count("\n") == 2


async def test_both_spellings_of_a_name_are_accepted(gemini: GeminiClient) -> None:
    snake = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"parts": [{"text": "Hello"}]}],
        "generation_config": {"max_output_tokens": 2048, "thinking_config": {"thinking_level": "low"}},
    }
    response = await gemini.generate(snake, FLASH)
    assert response["usageMetadata"]["thoughtsTokenCount"] == 64


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON payload received."),
        (b"[]", "Root element must be a message."),
        (b'{"contents":' + b"[" * 3000, "Invalid JSON payload received."),
        ({"contents": "hello"}, "Invalid value at 'contents'"),
        ({}, "* GenerateContentRequest.contents: contents is not specified\n"),
        ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
        (
            {"contents": [user_turn(text="a"), {"role": "user", "parts": []}]},
            "* GenerateContentRequest.contents[1].parts: contents.parts must not be empty.\n",
        ),
        (
            {"contents": [user_turn(text="a"), user_turn(thought=True)]},
            (
                "* GenerateContentRequest.contents[1].parts[0].data: required oneof field 'data' must have one "
                "initialized field\n"
            ),
        ),
        ({"contents": [{"role": "system", "parts": [{"text": "a"}]}]}, "Please use a valid role: user, model."),
        (
            asking(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}),
            "You can only set only one of thinking budget and thinking level.",
        ),
        (asking(generationConfig={"presencePenalty": 0.1}), "Penalty is not enabled for this model"),
        (
            asking(generationConfig={"maxOutputTokens": "many"}),
            "Invalid value at 'generation_config.max_output_tokens'",
        ),
        (deciding("x", responseSchema={"type": "OBJECT"}), "response_schema and response_json_schema"),
        (deciding("x", responseMimeType="text/plain"), "only supported with response_mime_type"),
        (
            asking(cachedContent="cachedContents/a", tools=[{"googleSearch": {}}]),
            "Tool config, tools and system instruction should not be set",
        ),
        ({"contents": [user_turn(text="a"), model_turn(text="b")]}, "Requests ending with a model turn"),
        (
            {"contents": [user_turn(text="a"), {"role": "model", "parts": [call(), call()]}, user_turn(**result())]},
            "Please ensure that the number of function response parts is equal",
        ),
        (
            {"contents": [{"role": "model", "parts": [call()]}, user_turn(**result())]},
            "Please ensure that function call turn comes immediately after a user turn",
        ),
        (
            {"contents": [user_turn(text="a"), {"role": "model", "parts": [call()]}, user_turn(**result())]},
            "Function call is missing a thought_signature in functionCall parts.",
        ),
        (
            {
                "contents": [
                    user_turn(text="a"),
                    {"role": "model", "parts": [call(thoughtSignature="EtQF")]},
                    user_turn(**result()),
                ]
            },
            "Corrupted thought signature",
        ),
        (asking("x" * 4_200_000), "The input token count (1050000) exceeds the maximum number of tokens allowed"),
    ],
)
async def test_a_broken_rule_is_named_in_the_vendors_words(gemini: GeminiClient, body: object, message: str) -> None:
    assert message in await gemini.refused(body)


@pytest.mark.parametrize(
    ("model", "thinking", "message"),
    [
        (FLASH, {"thinkingLevel": "MINIMAL"}, "Thinking level MINIMAL is not supported for this model."),
        ("gemini-4-argon", {"thinkingLevel": "XHIGH"}, "Thinking level XHIGH is not supported for this model."),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "Thinking level is not supported for this model."),
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "The thinking budget 0 is invalid."),
    ],
)
async def test_thinking_must_fit_the_model(gemini: GeminiClient, model: str, thinking: Json, message: str) -> None:
    assert message in await gemini.refused(asking(generationConfig={"thinkingConfig": thinking}), model)


async def test_older_models_take_what_newer_ones_refuse(gemini: GeminiClient) -> None:
    body = {"contents": [user_turn(text="a"), model_turn(text="b")], "generationConfig": {"frequencyPenalty": 1}}
    response = await gemini.generate(body, "gemini-2.5-flash-lite")
    assert response["modelVersion"] == "gemini-2.5-flash-lite"


async def test_a_call_answered_with_its_signature_is_accepted(gemini: GeminiClient) -> None:
    tools = [{"functionDeclarations": [{"name": "lookup", "parametersJsonSchema": {"type": "object"}}]}]
    forced = {"functionCallingConfig": {"mode": "ANY"}}
    first = await gemini.generate(asking("a", tools=tools, toolConfig=forced), FLASH)
    turn = first["candidates"][0]["content"]
    assert turn["parts"][0]["functionCall"]["name"] == "lookup"
    answered = {"functionResponse": {"id": turn["parts"][0]["functionCall"]["id"], "name": "lookup", "response": {}}}
    second = await gemini.generate(
        {"contents": [user_turn(text="a"), turn, user_turn(**answered)], "tools": tools, "toolConfig": forced}, FLASH
    )
    assert "text" in second["candidates"][0]["content"]["parts"][0]


async def test_the_signature_of_another_model_is_corrupted(gemini: GeminiClient) -> None:
    tools = [{"functionDeclarations": [{"name": "lookup"}]}]
    first = await gemini.generate(
        asking("a", tools=tools, toolConfig={"functionCallingConfig": {"mode": "ANY"}}), "gemini-3.6-flash"
    )
    body = {"contents": [user_turn(text="a"), first["candidates"][0]["content"], user_turn(**result())]}
    assert "Corrupted thought signature" in await gemini.refused(body, FLASH)


async def test_a_body_above_the_limit_is_413_in_the_vendors_envelope() -> None:
    async with running(max_body=2_000) as gemini:
        status, answer = await gemini.call("generateContent", asking("x" * 3_000))
    assert (status, answer["error"]["code"]) == (413, 413)


async def test_counting_takes_one_form_only(gemini: GeminiClient) -> None:
    inner = {"model": f"models/{LITE}", "systemInstruction": {"parts": [{"text": "abcd"}]}, **asking("abcdefg")}
    status, counted = await gemini.call("countTokens", {"generateContentRequest": inner})
    assert (status, counted["totalTokens"]) == (200, 3)
    assert "Only one of" in await gemini.refused({**asking(), "generateContentRequest": inner}, method="countTokens")


async def test_models_are_listed_in_pages(gemini: GeminiClient) -> None:
    _, first = await gemini.get("/v1beta/models?pageSize=3")
    _, second = await gemini.get(f"/v1beta/models?pageSize=1000&pageToken={first['nextPageToken']}")
    names = [model["name"] for model in first["models"] + second["models"]]
    assert len(first["models"]) == 3
    assert "nextPageToken" not in second
    assert len(names) == len(set(names))
    assert f"models/{FLASH}" in names


async def test_a_model_tells_what_it_can_do_and_a_retired_one_is_gone(gemini: GeminiClient) -> None:
    status, model = await gemini.get(f"/v1beta/models/{FLASH}")
    assert status == 200
    assert "generateContent" in model["supportedGenerationMethods"]
    assert (await gemini.get("/v1beta/models/gemini-2.0-flash"))[0] == 404


async def test_a_schema_of_the_openapi_kind_refuses_json_schema_words(gemini: GeminiClient) -> None:
    config = {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "const": 1}}
    assert 'Unknown name "const"' in await gemini.refused(asking(generationConfig=config))
    assert DECISION["additionalProperties"] is False
    await gemini.generate(deciding("x"))
