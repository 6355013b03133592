"""Predictive checks: right models pass as often as they should, each wrong one shows its sign."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.checks import (
    COUNTS,
    FAMILIES,
    PAIRS,
    RATES,
    SETS,
    PredictiveCheck,
    predictive_check,
)

Floats = NDArray[np.float64]
NAMES = ("Action", "Comedy", "Drama", "Horror", "War")
RATE = np.array([0.2, 0.35, 0.5, 0.1, 0.03])


def items(rng: np.random.Generator, num_items: int = 300) -> Floats:
    """Return probabilities that differ between items."""
    logit = np.log(RATE / (1 - RATE)) + rng.normal(0, 1, (num_items, len(NAMES)))
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)


def check(p: Floats, y: Floats, **options: object) -> PredictiveCheck:
    return predictive_check(p[None], y, NAMES, **({"replicates": 300} | options))  # type: ignore[arg-type]


def p_of(found: PredictiveCheck, family: str, stratum: str = "") -> float:
    return next(o.p for o in found.families if (o.family, o.stratum) == (family, stratum))


def test_the_p_values_of_a_right_model_are_uniform(failure_rate: float) -> None:
    found: dict[str, list[float]] = {family: [] for family in FAMILIES}
    shares = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        p = items(rng, 200)
        checked = check(p, rng.random(p.shape) < p, replicates=100, seed=seed)
        for one in checked.families:
            found[one.family].append(one.p)
        shares += [one.p for one in checked.statistics if one.name == "Drama"]
    for family, values in found.items():
        assert stats.kstest(values, "uniform").pvalue > failure_rate, family
    assert stats.kstest(shares, "uniform").pvalue > failure_rate


@pytest.mark.parametrize(
    ("wrong", "family"),
    [("rate", RATES), ("count", COUNTS), ("pair", PAIRS), ("sets", SETS)],
)
def test_each_way_of_being_wrong_has_its_family(wrong: str, family: str) -> None:
    rng = np.random.default_rng(3)
    p = items(rng, 600)
    uniform = rng.random(p.shape)
    if wrong == "rate":
        p_true = p.copy()
        p_true[:, 3] = 0.25
        y = uniform < p_true
    elif wrong == "count":  # the same rates, but all labels of an item come together
        y = np.broadcast_to(uniform[:, :1], p.shape) < p
    elif wrong == "pair":  # Comedy and Drama exclude each other where they can
        y = uniform < p
        y[:, 2] = 1 - uniform[:, 1] < p[:, 2]
    else:
        y = np.broadcast_to(uniform[:, :1], p.shape) < p
    found = check(p, y)
    assert p_of(found, family) < 0.01
    right = check(p, rng.random(p.shape) < p)
    assert p_of(right, family) > 0.05
    if wrong == "pair":
        pairs = [one for one in found.surprising() if one.family == PAIRS]
        assert [one.name for one in pairs] == ["Comedy + Drama"]
        assert p_of(found, RATES) > 0.05  # each label by itself is as it should be


def test_what_is_wrong_in_a_stratum_shows_there() -> None:
    rng = np.random.default_rng(8)
    p = np.repeat(items(rng, 400), 2, axis=0)
    missing = np.arange(800) % 2 == 0
    truth = p.copy()
    truth[:, 1] += np.where(missing, -0.5, 0.5) * p[:, 1] * (1 - p[:, 1])
    strata = {"image missing": missing, "with image": ~missing, "few": np.arange(800) < 5}
    found = check(p, rng.random(p.shape) < truth, strata=strata)
    told = {(o.family, o.stratum) for o in found.families}
    assert {(RATES, "image missing"), (COUNTS, "with image"), (SETS, "")} <= told
    assert (PAIRS, "image missing") not in told
    assert not any(stratum == "few" for _, stratum in told)
    right = check(p, rng.random(p.shape) < p, strata=strata)
    comedy = [
        {one.stratum: one.adjusted for one in checked.statistics if one.name == "Comedy"}
        for checked in (found, right)
    ]
    assert comedy[0]["image missing"] < 0.01 < comedy[0][""]  # too many here, too few there
    assert min(comedy[1].values()) > 0.01


def test_labels_of_other_items_do_not_show_in_rates() -> None:
    """Permuted rows keep every marginal statistic; this is why a check has strata, too."""
    rng = np.random.default_rng(5)
    p = items(rng, 800)
    y = rng.random(p.shape) < p
    sure = p[:, 2] > 0.5
    found = check(p, y[rng.permutation(800)], strata={"sure": sure})
    assert p_of(found, RATES) > 0.01
    assert p_of(found, RATES, "sure") < 0.01


def test_the_statistics_are_what_they_are_called() -> None:
    y = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]] * 5)
    found = predictive_check(np.full((2, 20, 3), 0.5), y, ["a", "b", "c"], replicates=100)
    told = {one.name: one.observed for one in found.statistics}
    assert told == {
        **{"a": 0.75, "b": 0.5, "c": 0},
        **{"0 labels": 0.25, "1 label": 0.25, "2 labels": 0.5, "3 labels or more": 0},
        **{"mean": 1.25, "standard deviation": pytest.approx(0.8292, abs=1e-4)},
        **{"a + b": 0.5, "a + c": 0, "b + c": 0},
        **{"different sets": 3, "largest set": 2, "items alone with their set": 0},
        "commonest set": 0.5,
    }
    by_name = {one.name: one for one in found.statistics}
    assert by_name["c"].mean == pytest.approx(0.5, abs=0.05)
    assert by_name["c"].low < 0.5 < by_name["c"].high


def test_draws_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    y = rng.random((400, 1)) < 0.4
    sure = predictive_check(np.full((2, 400, 1), 0.5), y, ["a"], replicates=200)
    spread = np.linspace(0.35, 0.65, 20)[:, None, None] * np.ones((20, 400, 1))
    unsure = predictive_check(spread, y, ["a"], replicates=200)
    widths = [one.statistics[0].high - one.statistics[0].low for one in (sure, unsure)]
    assert widths[1] > 1.5 * widths[0]
    assert (sure.families[0].p < 0.05, unsure.families[0].p > 0.05) == (True, True)
    assert not any(one.family == PAIRS for one in unsure.families)  # one label has none


def test_it_is_seeded_prints_and_goes_into_json() -> None:
    rng = np.random.default_rng(7)
    p = items(rng)
    y = rng.random(p.shape) < 0.5 * p
    found, again, other = check(p, y), check(p, y), check(p, y, seed=1)
    assert found == again != other
    text = str(found)
    assert text.startswith("posterior predictive check: 300 items, 1 draws, 300 replicates")
    assert "does not fit" in text
    assert max(map(len, text.splitlines())) < 120
    json.loads(json.dumps(found.to_dict(), allow_nan=False))
    right = str(check(p, rng.random(p.shape) < p))
    assert right.endswith("No statistic is further out than chance has it.")


def test_mistakes_are_told() -> None:
    p, y = np.full((2, 30, 2), 0.5), np.zeros((30, 2))
    with pytest.raises(ConfigError, match="at least 100"):
        predictive_check(p, y, ["a", "b"], replicates=10)
    with pytest.raises(UserError, match="draws x items x labels"):
        predictive_check(p[0], y, ["a", "b"])
    with pytest.raises(UserError, match="3 label names"):
        predictive_check(p, y, ["a", "b", "c"])
    with pytest.raises(UserError, match="stratum"):
        predictive_check(p, y, ["a", "b"], strata={"x": np.ones(3)})
