"""Items that are moved: against a model, at random, and of a model that was trained for it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.robustness import at_random, move, robustness, steepest
from bayesfuse.estimator.workflow import Run, evaluate_run, known_labels
from tests.estimator.test_scoring import make_catalog, make_run


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(make_catalog())


def table_of(run: Run) -> FeatureTable:
    return run.classifier._table(run.catalog.features.take(run.rows))


def test_scores_fall_and_more_than_at_random(run: Run) -> None:
    found = robustness(run, [0.4, 0.1])
    here = evaluate_run(run)
    first, near, far = found.rows
    assert (first.length, first.nll) == (0, pytest.approx(here.nll))
    assert first.macro_ap == first.macro_ap_at_random == pytest.approx(here.average_precision.macro)
    assert (near.length, far.length) == (0.1, 0.4)
    assert first.nll < near.nll < far.nll
    assert first.macro_ap > near.macro_ap > far.macro_ap
    for row in (near, far):
        assert row.nll > row.nll_at_random + 0.01
        assert row.macro_ap < row.macro_ap_at_random
    assert json.loads(json.dumps(found.to_dict()))[2]["length"] == 0.4
    head, *lines = str(found).splitlines()
    assert head.startswith("items moved by")
    assert [line.split()[0] for line in lines] == ["0", "0.1", "0.4"]


def test_directions_are_of_length_1_and_of_what_an_item_has(run: Run) -> None:
    table = table_of(run)
    values, _ = table.batch(slice(None))
    mask = np.arange(len(table)) % 3 > 0
    some = FeatureTable.from_arrays(values, {"image": mask})
    labels = known_labels(run.classifier, run.catalog)[run.rows]
    against = steepest(run.classifier, some, labels, seed=0)
    for moves in (against, at_random(against, some, seed=0)):
        lengths = np.sqrt(sum(np.square(value).sum(axis=1) for value in moves.values()))
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)
        assert not moves["image"][~mask].any()
        assert moves["image"][mask].any(axis=1).all()


def test_the_direction_is_that_of_the_loss(run: Run) -> None:
    """A short step changes the loss by its slope, and no other direction of that length by more."""
    table, classifier = table_of(run), run.classifier
    labels = known_labels(classifier, run.catalog)[run.rows]
    against = steepest(classifier, table, labels, seed=0)

    def losses(moves, length: float) -> np.ndarray:
        moved = move(classifier, table, moves, length)
        p = classifier.sample_proba(moved, draws=16, seed=0).astype(np.float64)
        return -np.log(np.where(labels == 1, p, 1 - p)).mean(axis=0).sum(axis=1)

    rise = losses(against, 1e-3) - losses(against, 0.0)
    assert (rise > 0).mean() > 0.95  # but for rounding where the slope is none
    for seed in range(3):
        other = losses(at_random(against, table, seed), 1e-3) - losses(against, 0.0)
        assert (rise >= other - 1e-5).all()


def test_moved_features_are_where_the_equation_says(run: Run) -> None:
    table = table_of(run)
    moves = at_random({n: v for n, v in table.batch(slice(None))[0].items()}, table, 1)
    moved, _ = move(run.classifier, table, moves, 0.3).batch(slice(None))
    raw, _ = table.batch(slice(None))
    standardise = run.classifier.model_.network.standardise
    about = {
        name: [
            getattr(standardise, what).get_buffer(name).numpy() for what in ("loc", "scale", "gain")
        ]
        for name in raw
    }
    x = {name: (raw[name] - loc) / scale * gain for name, (loc, scale, gain) in about.items()}
    length = sum(len(loc) * gain**2 for loc, _, gain in about.values()) ** 0.5
    for name, (loc, scale, gain) in about.items():
        expected = (x[name] + 0.3 * length * moves[name]) / gain * scale + loc
        np.testing.assert_allclose(moved[name], expected, atol=1e-4)


def test_a_feature_that_hardly_varies_is_not_rounded_away(run: Run) -> None:
    table = table_of(run)
    values, _ = table.batch(slice(None))
    noise = np.random.default_rng(0).normal(size=len(table)).astype(np.float32)
    values["text"][:, 0] = 0.4 + 1e-7 * noise
    some = FeatureTable.from_arrays(values)
    standardise = run.classifier.model_.network.standardise
    loc, scale = (getattr(standardise, what).get_buffer("text") for what in ("loc", "scale"))
    before = loc[0].clone(), scale[0].clone()
    loc[0], scale[0] = 0.4, 1e-7
    try:
        moves = at_random(values, some, 0)
        moved, _ = move(run.classifier, some, moves, 1e-6).batch(slice(None))
        np.testing.assert_array_equal(moved["text"][:, 0], values["text"][:, 0])
    finally:
        loc[0], scale[0] = before


def test_a_model_that_was_trained_for_it_falls_less() -> None:
    catalog = make_catalog()
    falls = []
    for epsilon in (0.0, 0.4):
        settings = {"elbo": "none", "adversarial": epsilon, "classifier_learning_rate": 0.02}
        settings["epochs"] = 40
        first, moved = robustness(make_run(catalog, **settings), [0.4]).rows
        falls.append(moved.nll - first.nll)
    assert falls[1] < 0.8 * falls[0]


@pytest.mark.parametrize(
    ("lengths", "said"), [([0.1, 0.0], "0.0 is no length"), ([], "nothing is no length")]
)
def test_what_is_no_length(run: Run, lengths: list[float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        robustness(run, lengths)


def test_a_run_with_a_graph_is_refused(run: Run) -> None:
    class Linked:
        links_ = object()

    with pytest.raises(ConfigError, match="hears a graph"):
        robustness(dataclasses.replace(run, classifier=Linked()), [0.1])
