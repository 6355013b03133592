from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.missing import missing_table, removable, without
from bayesfuse.estimator.workflow import Run, evaluate_run, fit_run, open_run
from bayesfuse.evaluation.uncertainty import summarise
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS

SMALL: dict[str, Any] = {
    **{"hidden": 8, "classifier_hidden": 8, "epochs": 2, "annealing_epochs": 1, "draws": 5},
    **{"val_draws": 2, "graph_width": 4, "modality_dropout": 0.2},
}


def make_run(**settings: Any) -> Run:
    rng = np.random.default_rng(0)
    text, image = rng.normal(size=(2, 100, 5)).astype(np.float32)
    labels = (text[:, :2] + rng.normal(size=(100, 2)) > 0.2).astype(np.float32)
    catalog = Catalog(
        source="films.csv",
        raw={},
        encoders={},
        people={"director": [[f"d{i % 9}"] for i in range(100)]},
        ids=np.array([f"i{i}" for i in range(100)]),
        titles=None,
        features=FeatureTable.from_arrays({"text": text, "image": image, "unused": image}),
        labels=labels,
        label_names=("A", "B"),
        labelled=np.arange(100) > 2,
        split=np.array(["val" if i % 5 == 0 else "train" for i in range(100)]),
    )
    seen = catalog.features.select(["text", "image"])
    config = {**SMALL, **settings}
    classifier = FusionClassifier(**config).fit(_with(catalog, seen))
    linked = classifier.link(catalog)
    return Run(classifier, FitConfig(**config), linked, np.arange(40))


def _with(catalog: Catalog, features: FeatureTable) -> Catalog:
    return dataclasses.replace(catalog, features=features)


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


def probability(run: Run) -> np.ndarray:
    return run.classifier.predict_proba(run.catalog.features.take(run.rows))


def test_a_hidden_modality_is_one_that_the_items_never_had(run: Run) -> None:
    hidden = without(run, ["text"])
    features = hidden.catalog.features
    observed = dict(zip(features.names, features.observed.T, strict=True))
    assert not observed["text"].any()
    assert observed["image"].all()
    assert hidden.without == ("text",)
    assert hidden.catalog.warnings == ("Hidden of every item (--without): text.",)
    never = _with(run.catalog, run.catalog.features.select(["image"]))
    expected = run.classifier.predict_proba(never.features.take(run.rows))
    np.testing.assert_allclose(probability(hidden), expected, atol=1e-6)
    assert np.abs(probability(hidden) - probability(run)).max() > 0.01
    assert run.without == ()


def test_what_the_run_does_not_look_at_cannot_be_hidden(run: Run) -> None:
    assert removable(run) == ("text", "image")
    for name, said in (("txt", 'Did you mean "text"'), ("unused", "one of image, text")):
        with pytest.raises(ConfigError, match=f"In --without: .*{said}"):
            without(run, [name])
    with pytest.raises(ConfigError, match='"graph"'):
        without(run, ["graph"])


def test_without_the_graph_items_hear_nobody_and_know_no_labels_of_neighbours() -> None:
    run = make_run(graph="people", neighbour_labels=True)
    assert removable(run) == ("text", "image", NEIGHBOUR_LABELS, "graph")
    hidden = without(run, ["graph"])
    assert hidden.without == (NEIGHBOUR_LABELS, "graph")
    features = hidden.catalog.features
    assert isinstance(features, LinkedFeatures)
    assert features.graph.keep(~features.graph.is_loop()).degrees()[features.rows].max() == 0
    column = features.names.index(NEIGHBOUR_LABELS)
    assert run.catalog.features.observed[:, column].any()
    assert not features.observed[:, column].any()
    assert np.abs(probability(hidden) - probability(run)).max() > 1e-4


def test_the_table_from_nothing_to_everything_missing(run: Run) -> None:
    table = missing_table(run, shares=(0.0, 0.5, 1.0))
    assert [(row.name, row.share) for row in table.rows] == [
        ("", 0.0),
        *(("text", share) for share in (0.0, 0.5, 1.0)),
        *(("image", share) for share in (0.0, 0.5, 1.0)),
    ]
    nothing, none_of_text, half, all_text, *_ = table.rows
    assert nothing.scores.num_items == 37  # the labelled ones
    assert none_of_text.scores == nothing.scores
    labelled = dataclasses.replace(run, rows=run.rows[3:])
    assert all_text.scores.nll == pytest.approx(evaluate_run(without(labelled, ["text"])).nll)
    assert nothing.scores.nll == pytest.approx(evaluate_run(labelled).nll)
    low, high = sorted([nothing.confidence, all_text.confidence])
    assert low < half.confidence < high
    lines = str(table).splitlines()
    assert len(lines) == 2 + 7
    assert lines[2].startswith("| nothing | 0% |")
    again = missing_table(run, names=["text"], shares=(0.5,))
    assert again.rows[1] == half


def test_mistakes(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"share 1\.2 was asked for"):
        missing_table(run, shares=(1.2,))
    with pytest.raises(ConfigError, match="no labelled items here"):
        missing_table(dataclasses.replace(run, rows=np.arange(3)))


# ---- what a posterior must do on the demo, whose items have both ----


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("demo") / "run"
    fit_run(None, out, FitConfig())
    return open_run(out, None, CatalogConfig(), split="val")


def sureness(run: Run, features: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and epistemic uncertainty of each item, means over labels."""
    found = summarise(run.classifier.sample_proba(features.take(run.rows)))
    return np.maximum(found.mean, 1 - found.mean).mean(axis=1), found.epistemic.mean(axis=1)


def rises(change: np.ndarray) -> bool:
    """Whether a mean change is above 0 beyond what four standard errors explain."""
    return bool(change.mean() > 4 * change.std(ddof=1) / len(change) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "image"])
def test_with_less_evidence_a_run_is_less_sure_and_knows_why(demo: Run, name: str) -> None:
    confidence, epistemic = sureness(demo, demo.catalog.features)
    less = sureness(demo, without(demo, [name]).catalog.features)
    assert rises(confidence - less[0])  # confidence falls
    assert rises(less[1] - epistemic)  # epistemic uncertainty rises
    # with nothing at all it is no surer than with one of them, and knows that it knows less
    blind = sureness(demo, without(demo, ["text", "image"]).catalog.features)
    assert not rises(blind[0] - less[0])
    assert blind[0].mean() < less[0].mean()
    assert rises(blind[1] - less[1])


@pytest.mark.slow
def test_what_is_filled_in_in_place_of_marked_is_found_out(demo: Run) -> None:
    """The control: another item's text stands for the missing one, as imputation would have it."""
    features = demo.catalog.features
    values, observed = features.batch(np.arange(len(features)))
    other = np.random.default_rng(0).permutation(len(features))
    filled = {**values, "text": values["text"][other]}
    masks = {name: observed[:, c] for c, name in enumerate(features.names)}
    masks["text"] = masks["text"][other]
    filled_in = FeatureTable.from_arrays(filled, masks)
    _, epistemic = sureness(demo, without(demo, ["text"]).catalog.features)
    confidence, of_filled = sureness(demo, filled_in)
    marked, _ = sureness(demo, without(demo, ["text"]).catalog.features)
    assert rises(confidence - marked)  # surer than who knows that the text is missing
    assert rises(epistemic - of_filled)
    whole, before = sureness(demo, features)
    # and by the test above it would not pass: its epistemic uncertainty hardly moves
    assert (of_filled - before).mean() < 0.2 * (epistemic - before).mean()
    assert not rises(confidence - whole)
