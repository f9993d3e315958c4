"""`inbox bot eval`: transcripts are played through what judges a turn, and a bad file is told where it is bad."""

import json
from collections.abc import Mapping

import msgspec
import pytest
from click.testing import CliRunner

from inbox.domain.conversations import HandoverReason
from inbox.domain.evaluation import Answered, Result, scored
from inbox.main import evaluating
from inbox.main.cli import main
from inbox.main.settings import Settings, SettingsError

ONE = {"name": "one", "customer": ["Combien coûte une crevaison ?"]}
RIGHT = {"action": "reply", "confidence": 0.9, "handoff_reason": "none", "reply": "Une crevaison coûte 15 €."}


@pytest.fixture
def settings(tmp_path):
    return Settings(data_home=str(tmp_path))


def written(folder, *transcripts: Mapping[str, object]):
    file = folder / "mine.json"
    file.write_text(json.dumps({"transcripts": transcripts}))
    return file


async def results(settings, file, model=evaluating.SCRIPTED):
    found: list[Result] = []
    await evaluating.play(settings, evaluating.read(file), model=model, told=found.append)
    return found


async def test_the_set_that_comes_with_the_service_is_as_expected(settings):
    found = await results(settings, evaluating.golden())
    assert len(found) >= 12
    assert {one.name: one.faults for one in found if one.score < 1} == {}
    languages = {one.transcript.profile.behaviour.language for one in evaluating.read(evaluating.golden())}
    assert languages == {"fr", "en"}


@pytest.mark.parametrize(
    ("changed", "score", "fault"),
    [
        ({"reply": "Cela coûte 115 €."}, 0.0, "missing: 15 €"),
        ({"reply": "15 €, et c'est GRATUIT le lundi."}, 0.0, "forbidden: Gratuit"),
        ({"action": "handoff"}, 0.0, "handed over: model_wants_human (none)"),
        ({"reply": "15 €, voir https://ailleurs.example"}, 0.0, "handed over: answer_not_allowed (foreign_link)"),
        ({"confidence": 0.1}, 0.0, "handed over: low_confidence (low_confidence)"),
        ({"confidence": "sure"}, 0.0, "handed over: model_unavailable (model_silent"),
        ({}, 1.0, None),
    ],
)
async def test_what_is_wrong_is_named(settings, tmp_path, changed, score, fault):
    file = written(tmp_path, {**ONE, "expect": ["15 €"], "forbid": ["Gratuit"], "scripted": [{**RIGHT, **changed}]})
    (found,) = await results(settings, file)
    assert found.score == score
    assert fault is None or any(said.startswith(fault) for said in found.faults), found.faults


async def test_the_score_is_the_share_of_what_was_said_and_a_person_is_part_of_what_is_expected(settings, tmp_path):
    half = {**ONE, "expect": ["15 €", ["une heure", "1 h"]], "scripted": [RIGHT]}
    (found,) = await results(settings, written(tmp_path, half))
    assert (found.score, found.faults) == (0.5, ("missing: une heure | 1 h",))
    (found,) = await results(settings, written(tmp_path, {**ONE, "handover": True, "scripted": [RIGHT]}))
    assert (found.score, found.faults) == (0.0, ("not handed over",))


async def test_after_a_hand_over_nothing_more_is_asked(settings, tmp_path):
    asks = {**RIGHT, "action": "handoff", "handoff_reason": "customer_asked_human"}
    two = {"name": "two", "customer": ["Un humain !", "Alors ?"], "handover": True, "scripted": [asks, RIGHT]}
    (found,) = await results(settings, written(tmp_path, two))
    assert [turn.handover for turn in found.turns] == [HandoverReason.ASKED]
    assert found.score == 1.0


def test_costs_are_known_only_if_those_of_all_answers_are(tmp_path):
    (case,) = evaluating.read(written(tmp_path, ONE))
    turn = Answered(reply="Oui", handover=None, reason=None, seconds=0.5, cost=7, model="m")
    unpriced = msgspec.structs.replace(turn, cost=None)
    assert scored(case.transcript, [turn, turn]).cost == 14
    assert scored(case.transcript, [turn, unpriced]).cost is None


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.toml", "", "ends in .yaml, .yml or .json"),
        ("a.json", "{", "a.json"),
        ("a.yaml", "transcripts: [", "a.yaml"),
        ("a.yaml", "transcripts: []", "$.transcripts"),
        ("a.yaml", "transcripts: [{name: x, customer: [a], expekt: [b]}]", "expekt"),
        ("a.yaml", "transcripts: [{name: x, customer: []}]", "$.transcripts[0].customer"),
        ("a.yaml", "transcripts: [{name: x, customer: [a]}]\nprofile: {template_config: {faq: 1}}", "faq"),
    ],
)
def test_a_bad_file_is_told_where_it_is_bad(tmp_path, name, text, where):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=where.replace("$", r"\$").replace("[", r"\[")):
        evaluating.read(tmp_path / name)


async def test_without_answers_or_a_model_nothing_is_played(settings, tmp_path):
    with pytest.raises(SettingsError, match="as many `scripted` answers"):
        await results(settings, written(tmp_path, ONE))
    with pytest.raises(SettingsError, match="No language model"):
        await results(settings, written(tmp_path, ONE), model=None)


def test_a_score_that_is_too_low_ends_with_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    played: list[object] = []
    monkeypatch.setattr("inbox.main.starting.configure_process", played.append)
    file = written(tmp_path, {**ONE, "expect": ["15 €"], "scripted": [{**RIGHT, "reply": "Je ne sais pas."}]})
    asked = ["bot", "eval", str(file), "--model", "scripted"]
    runner = CliRunner()
    low = runner.invoke(main, [*asked, "--at-least", "0.5", "--answers"])
    assert (low.exit_code, "missing: 15 €" in low.output, "> Je ne sais pas." in low.output) == (1, True, True)
    assert runner.invoke(main, asked).exit_code == 0
    assert runner.invoke(main, ["bot", "eval", str(tmp_path / "none.yaml")]).exit_code == 2
    assert played
