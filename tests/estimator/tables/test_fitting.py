"""One row with one seed: what is fitted and scored, and what cannot be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse import Catalog, FusionClassifier
from bayesfuse.config import FitConfig
from bayesfuse.errors import BayesfuseError, ConfigError, UserError
from bayesfuse.estimator.tables.fitting import SCORES, fit_row, with_labels
from bayesfuse.evaluation.metrics import average_precision, nll
from tests.estimator.competitors.conftest import GRAPH, SMALL

FAST = {**SMALL, "epochs": 2, "annealing_epochs": 1}


def test_scores_are_those_of_the_classifier(catalog: Catalog) -> None:
    found = fit_row(catalog, FitConfig(**FAST, seed=3), "test", replicates=20)
    rows = catalog.labelled_rows("test")
    same = FusionClassifier(**FAST, seed=3).fit(catalog)
    p, y = same.predict_proba(catalog.features.take(rows)), catalog.labels[rows]
    np.testing.assert_allclose(found.probability, p, atol=1e-6)
    np.testing.assert_array_equal(found.thresholds, same.thresholds_)
    assert float(found.scores["nll"].estimate) == pytest.approx(nll(p, y), rel=1e-5)
    macro = average_precision(p, y).macro
    assert float(found.scores["macro_ap"].estimate) == pytest.approx(macro, rel=1e-5)
    assert tuple(found.scores) == SCORES
    assert found.scores["nll"].resampled[:2] == (len(rows), 20)
    assert found.num_parameters == sum(same.model_.num_parameters.values())
    assert (found.epochs, found.fit_seconds > 0) == (2, True)


def test_a_row_has_its_own_modalities_and_its_graph(catalog: Catalog) -> None:
    alone = FitConfig(**FAST, elbo="none", modalities=("text",))
    heard = FitConfig(**FAST, elbo="none", modalities=("image",), model="gat", **GRAPH)
    text, gat = (fit_row(catalog, config, "val", replicates=5) for config in (alone, heard))
    blind = dataclasses.replace(catalog, features=catalog.features.select(["text"]))
    again = fit_row(blind, FitConfig(**FAST, elbo="none"), "val", replicates=5)
    np.testing.assert_array_equal(text.probability, again.probability)
    assert np.abs(text.probability - gat.probability).max() > 0.05


def test_what_cannot_be_fitted_says_why(catalog: Catalog) -> None:
    strangers = dataclasses.replace(catalog, people={})
    config = FitConfig(**FAST, model="gat", **GRAPH)
    with pytest.raises(BayesfuseError, match="people"):
        fit_row(strangers, config, "val")
    with pytest.raises(ConfigError, match='Unknown modality "sound"'):
        fit_row(catalog, FitConfig(**FAST, modalities=("sound",)), "val")
    no_val = dataclasses.replace(catalog, split=np.where(catalog.split == "val", "test", "train"))
    with pytest.raises(UserError, match='no labelled items in the split "val"'):
        fit_row(no_val, FitConfig(**FAST), "test")


def test_a_share_of_the_labels_of_train_and_all_others(catalog: Catalog) -> None:
    few = with_labels(catalog, 0.1, seed=3)
    train = catalog.labelled_rows("train")
    kept = few.labelled_rows("train")
    assert len(kept) == round(0.1 * len(train))
    assert set(kept) <= set(train)
    np.testing.assert_array_equal(few.labels[kept], catalog.labels[kept])
    assert few.labels[np.setdiff1d(train, kept)].sum() == 0
    for split in ("val", "test"):
        np.testing.assert_array_equal(few.labelled_rows(split), catalog.labelled_rows(split))
    assert set(with_labels(catalog, 0.1, seed=4).labelled_rows("train")) != set(kept)
    assert len(with_labels(catalog, 0.001, seed=0).labelled_rows("train")) == 2
    assert with_labels(catalog, 1.0, seed=0) is catalog
    config = FitConfig(**FAST, elbo="none")
    whole, part = (fit_row(catalog, config, "val", 5, share) for share in (1.0, 0.2))
    assert np.abs(whole.probability - part.probability).max() > 0.01
