"""Guaranteed thresholds: that they hold as often as they say, and against MAPIE's controllers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from bayesfuse.errors import ConfigError, MissingExtraError, UserError
from bayesfuse.evaluation.decisions import NEVER
from bayesfuse.evaluation.guarantees import (
    MEASURES,
    PRECISION_STARTS,
    PRECISION_THRESHOLDS,
    RECALL_THRESHOLDS,
    guarantee,
    item_losses,
    passing,
)

risk_control = pytest.importorskip("mapie.risk_control")

SPLITS = 1000
CONFIDENCE = 0.9
LEVELS = {"precision": 0.7, "recall": 0.8}
ORDERS = {"precision": PRECISION_THRESHOLDS, "recall": RECALL_THRESHOLDS}
MOST_FAILURES = int(stats.binom.ppf(1 - 1e-6, SPLITS, 1 - CONFIDENCE))
"""What a guarantee that holds with 90 % exceeds once in a million runs of these tests."""


def pool(num_items: int = 4000, num_labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that are over-confident and too high, and dependent labels."""
    rng = np.random.default_rng(0)
    logit = rng.normal(size=(num_items, 1)) + 1.5 * rng.normal(size=(num_items, num_labels)) - 0.7
    labels = rng.random(logit.shape) < expit(logit)
    return expit(1.8 * logit + 0.3 + 0.4 * rng.normal(size=logit.shape)), labels


def failures(choose: Callable[[np.ndarray], int | None], losses: np.ndarray, limit: float) -> int:
    """Count the calibration sets whose threshold loses more than the limit on the whole pool.

    The pool is the population: sets are drawn from it without replacement, which strays less than
    independent draws would.
    """
    rng = np.random.default_rng(1)
    truth = np.nanmean(losses, axis=0)
    chosen = [choose(losses[rng.choice(len(losses), 400, replace=False)]) for _ in range(SPLITS)]
    kept = [at for at in chosen if at is not None]
    assert len(kept) > 0.9 * SPLITS  # a guarantee that is never given is easily kept
    return int((truth[kept] > limit).sum())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("scope", ["pooled", "label"])
def test_the_guarantee_holds_over_resplits_and_the_plain_threshold_does_not(
    measure: str, scope: str
) -> None:
    p, y = pool()
    columns = slice(None) if scope == "pooled" else slice(0, 1)
    losses = item_losses(p[:, columns], y[:, columns], ORDERS[measure], measure)
    limit = 1 - LEVELS[measure]
    places = {float(cut): place for place, cut in enumerate(ORDERS[measure])}

    def guaranteed(some: np.ndarray) -> int | None:
        found = passing(some, measure, 1 - limit, CONFIDENCE, binary=scope == "label")
        return places[found.threshold] if found.kept else None

    def plain(some: np.ndarray) -> int | None:
        counted = (~np.isnan(some)).sum(axis=0)
        risk = np.where(counted > 0, np.nansum(some, axis=0) / np.maximum(counted, 1), 1.0)
        good = np.flatnonzero(risk <= limit)
        return int(good.max()) if len(good) else None

    assert failures(guaranteed, losses, limit) <= MOST_FAILURES
    assert failures(plain, losses, limit) > 2 * MOST_FAILURES


@pytest.mark.parametrize("measure", MEASURES)
def test_one_label_is_what_mapies_binary_controller_finds(measure: str) -> None:
    p, y = pool(600, 1)
    found = guarantee(p, y, measure, LEVELS[measure], 0.9)
    controller = risk_control.BinaryClassificationController(
        lambda x: np.hstack([1 - x, x]),
        measure,
        LEVELS[measure],
        0.9,
        list_predict_params=ORDERS[measure],
        fwer_method=risk_control.FWERFixedSequenceTesting(
            n_starts=PRECISION_STARTS if measure == "precision" else 1
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # precision is not monotone; no matter
        controller.calibrate(p, y[:, 0])
    valid = controller.valid_predict_params
    assert found.threshold == (valid.min() if measure == "precision" else valid.max())
    assert found.kept


def test_losses_of_recall_are_those_of_mapies_controller_of_many_labels() -> None:
    p, y = pool(60, 4)
    some = y.any(axis=1)
    cuts = np.linspace(0.1, 0.9, 9)
    controller = risk_control.MultiLabelClassificationController(
        lambda x: x, risk="recall", predict_params=cuts
    ).calibrate(p[some], y[some].astype(int))
    np.testing.assert_allclose(
        np.nanmean(item_losses(p, y, cuts, "recall"), axis=0), controller.r_hat
    )


def test_losses_count_where_there_is_a_tag_or_a_label() -> None:
    p, y = np.array([[0.9, 0.6], [0.4, 0.3]]), np.array([[0, 1], [0, 0]])
    nan = np.nan
    np.testing.assert_array_equal(
        item_losses(p, y, [0.2, 0.5, 0.7], "precision"), [[0.5, 0.5, 1], [1, nan, nan]]
    )
    np.testing.assert_array_equal(
        item_losses(p, y, [0.2, 0.5, 0.7], "recall"), [[0, 0, 1], [nan, nan, nan]]
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_more_confidence_and_more_level_are_more_careful(measure: str) -> None:
    p, y = pool(1500, 1)
    level = LEVELS[measure]
    one, surer, higher = (
        guarantee(p, y, measure, *wish).threshold
        for wish in ((level, 0.8), (level, 0.99), (level + 0.1, 0.8))
    )
    careful = (surer > one, higher > one) if measure == "precision" else (surer < one, higher < one)
    assert all(careful)


def test_too_few_items_are_told_apart_from_a_model_that_is_not_good_enough() -> None:
    rng = np.random.default_rng(2)
    good = rng.random((20, 1)) < 0.5
    few = guarantee(np.where(good, 0.95, 0.05), good, "precision", 0.9)
    assert (few.threshold, few.kept) == (NEVER, False)
    assert few.needed is not None
    # what is said to be needed is enough, and little less is not
    for factor, kept in ((1.0, True), (0.8, False)):
        num = round(factor * few.needed)
        many = np.arange(num) < num * good.mean()
        found = guarantee(np.where(many, 0.95, 0.05)[:, None], many[:, None], "precision", 0.9)
        assert found.kept is kept
    noise = guarantee(rng.random((500, 1)), rng.random((500, 1)) < 0.2, "precision", 0.9)
    assert (noise.threshold, noise.kept, noise.needed) == (NEVER, False, None)


def test_a_recall_that_cannot_be_shown_is_kept_by_tagging_everything() -> None:
    found = guarantee([[0.9], [0.2]], [[1], [0]], "recall", 0.9)
    assert (found.threshold, found.kept, found.observed, found.counted) == (0.0, False, 1.0, 1)
    assert found.needed is not None
    assert found.needed > 40  # half of them have the label


@pytest.mark.parametrize("measure", MEASURES)
def test_a_label_that_no_item_has(measure: str) -> None:
    found = guarantee(np.full((50, 1), 0.3), np.zeros((50, 1)), measure, 0.9)
    assert not found.kept
    assert found.needed is None


@pytest.mark.parametrize(
    ("measure", "level", "confidence", "error", "said"),
    [
        ("precision", 1.0, 0.9, ConfigError, "The level is 1.0"),
        ("recall", 0.9, 0.0, ConfigError, "The confidence is 0.0"),
        ("precission", 0.9, 0.9, UserError, 'Did you mean "precision"?'),
    ],
)
def test_mistakes(
    measure: str, level: float, confidence: float, error: type[UserError], said: str
) -> None:
    with pytest.raises(error, match=said):
        guarantee([[0.5]], [[1]], measure, level, confidence)


def test_without_mapie_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mapie", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[decisions\]'"):
        guarantee([[0.5]], [[1]], "recall", 0.9)
