"""Decision rules: what they tag, what they refuse, and costs against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.decisions import NEVER, DecisionRule, cost_thresholds
from bayesfuse.evaluation.thresholds import decide


def test_thresholds_are_those_of_decide() -> None:
    rng = np.random.default_rng(0)
    p, cuts = rng.random((50, 4)), rng.random(4)
    assert np.array_equal(DecisionRule("f1", cuts)(p), decide(p, cuts))


def test_never_is_never_even_of_certainty() -> None:
    tags = DecisionRule("precision", np.array([NEVER, 1.0]))(np.ones((3, 2)))
    assert tags.tolist() == [[False, True]] * 3


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_is_exactly_k_of_the_most_probable(k: int) -> None:
    p = np.random.default_rng(1).random((200, 3)).round(1)  # with ties
    tags = DecisionRule("top-k", top_k=k)(p)
    assert (tags.sum(axis=1) == k).all()
    worst = np.where(tags, p, np.inf).min(axis=1)
    best_left = np.where(tags, -np.inf, p).max(axis=1)
    assert (worst >= best_left).all()


@pytest.mark.parametrize(
    "rule", [DecisionRule("f1", np.array([0.25, NEVER])), DecisionRule("top-k", top_k=2)]
)
def test_it_comes_back_from_plain_values(rule: DecisionRule) -> None:
    again = DecisionRule.from_dict(rule.to_dict())
    assert again.to_dict() == rule.to_dict()
    p = np.random.default_rng(2).random((20, 2))
    assert np.array_equal(again(p), rule(p))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one of the two"),
        ({"thresholds": np.array([0.5]), "top_k": 1}, "one of the two"),
        ({"top_k": 0}, "top_k is 0"),
        ({"thresholds": np.array([-0.1])}, "expected numbers in"),
        ({"thresholds": np.array([1.1])}, "expected numbers in"),
        ({"thresholds": np.array([np.nan])}, "expected numbers in"),
    ],
)
def test_what_is_no_rule_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DecisionRule("f1", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "p", "said"),
    [
        (DecisionRule("top-k", top_k=3), [[0.1, 0.2]], "there are 2 labels"),
        (DecisionRule("f1", np.array([0.5])), [[0.1, 0.2]], "of 2 labels; expected the 1"),
        (DecisionRule("f1", np.array([0.5])), [0.1], "items x labels"),
        (DecisionRule("f1", np.array([0.5])), [[1.1]], r"expected numbers in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(rule: DecisionRule, p: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        rule(p)  # type: ignore[arg-type]


def test_cost_thresholds_have_the_least_expected_cost() -> None:
    rng = np.random.default_rng(3)
    p = rng.random((500, 3))
    wrong, missed = np.array([1.0, 5.0, 0.0]), np.array([2.0, 1.0, 3.0])

    def cost(tags: np.ndarray) -> np.ndarray:
        return np.where(tags, (1 - p) * wrong, p * missed)

    mine = cost(DecisionRule("cost", cost_thresholds(wrong, missed))(p))
    both = np.minimum(cost(np.ones(p.shape, bool)), cost(np.zeros(p.shape, bool)))
    np.testing.assert_allclose(mine, both)
    # the same costs the other way round are not the least: the test would notice
    assert cost(DecisionRule("cost", cost_thresholds(missed, wrong))(p)).sum() > both.sum()


def test_one_cost_stands_for_all_labels() -> None:
    assert cost_thresholds(1, [1, 3]).tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("wrong", "missed"), [(-1, 1), (1, np.inf), (np.nan, 1), (0, 0)])
def test_costs_out_of_range_are_refused(wrong: float, missed: float) -> None:
    with pytest.raises(ConfigError, match="cost"):
        cost_thresholds(wrong, missed)
