from __future__ import annotations

from typing import Any

import pytest

from bayesfuse.config import GOALS, DecideConfig, PredictConfig
from bayesfuse.errors import ConfigError


def test_every_setting_of_predict_is_there_and_every_field_says_what_it_is() -> None:
    assert set(DecideConfig.model_fields) >= set(PredictConfig.model_fields)
    for name, field in DecideConfig.model_fields.items():
        assert (field.description or "").endswith("."), name


@pytest.mark.parametrize(
    ("given", "goal"),
    [
        ({"goal": "f1"}, "f1"),
        ({"goal": "micro-f1"}, "micro-f1"),
        ({"goal": "half"}, "half"),
        ({"top_k": 3}, "top-k"),
        ({"goal": "top-k", "top_k": 3}, "top-k"),
        ({"false_negative": 5}, "cost"),
        ({"false_positive": 0, "false_negative": 5}, "cost"),
        ({"costs": "costs.csv"}, "cost"),
        ({"min_precision": 0.9}, "precision"),
        ({"min_recall": 0.9, "goal": "recall"}, "recall"),
    ],
)
def test_a_goal_is_given_or_implied(given: dict[str, Any], goal: str) -> None:
    assert DecideConfig.parse(given).resolved_goal() == goal
    assert goal in GOALS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "No goal to decide by; give one, such as --goal f1"),
        ({"top_k": 3, "min_recall": 0.9}, "Got the goals top-k, recall"),
        ({"goal": "f1", "min_recall": 0.9}, "Leave out --min-recall"),
        ({"min_precision": 0.9, "min_recall": 0.9}, "Got the goals precision, recall"),
        ({"goal": "precision"}, "--goal precision needs --min-precision"),
        ({"goal": "cost"}, "--goal cost needs --false-positive or --false-negative or --costs"),
    ],
)
def test_a_goal_is_one(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DecideConfig.parse(given).resolved_goal()


def test_mistakes_are_told_at_once() -> None:
    given = {"goal": "f2", "min_precision": "1", "top_k": "0", "confidence": "0", "hold_out": "1"}
    with pytest.raises(ConfigError) as caught:
        DecideConfig.parse({**given, "guarantee": "pool", "false_positive": "-1"}, "flags")
    for said in (
        'Unknown goal "f2"',
        "--min-precision: expected less than 1",
        "--top-k: expected at least 1",
        "--confidence: expected more than 0",
        "--hold-out: expected less than 1",
        'Did you mean "pooled"?',
        "--false-positive: expected at least 0",
    ):
        assert said in str(caught.value)


def test_what_is_for_guarantees_only_has_no_effect_elsewhere() -> None:
    given = {"guarantee": "label", "confidence": 0.8}
    assert DecideConfig(min_recall=0.9, **given).without_effect(given) == []
    (said,) = DecideConfig(goal="f1", **given).without_effect(given)
    assert said.startswith("--guarantee, --confidence: no effect")
    assert DecideConfig(goal="f1").without_effect({"goal"}) == []
