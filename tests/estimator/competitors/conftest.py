"""A catalogue of two modalities with people, in which text matters and some features lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from bayesfuse import Catalog, FeatureTable
from bayesfuse.config import FitConfig
from bayesfuse.estimator.competitors.bench import Bench

NUM_ITEMS = 240
SMALL = {
    "hidden": 8,
    "classifier_hidden": 8,
    "dropout": 0.2,
    "epochs": 6,
    "annealing_epochs": 2,
    "batch_size": 48,
    "learning_rate": 0.03,
    "classifier_learning_rate": 0.03,
    "draws": 6,
    "val_draws": 2,
    "device": "cpu",
}
GRAPH = {"graph": "people", "graph_width": 4, "graph_heads": 2}


def make_catalog() -> Catalog:
    """Return items whose labels hang on text and image; the last label is never there in train."""
    rng = np.random.default_rng(0)
    text, image = rng.normal(size=(NUM_ITEMS, 6)), rng.normal(size=(NUM_ITEMS, 4))
    logits = np.stack([2 * text[:, 0], 2 * text[:, 1] - 1, text[:, 2] + image[:, 0]], axis=1)
    labels = (rng.random(logits.shape) < expit(logits)).astype(np.float32)
    labels = np.hstack([labels, np.zeros((NUM_ITEMS, 1), np.float32)])
    image[::9] = np.nan
    split = np.resize(["train", "train", "val", "test"], NUM_ITEMS)
    return Catalog(
        source="films.csv",
        ids=np.array([f"f{i}" for i in range(NUM_ITEMS)]),
        titles=None,
        label_names=("Drama", "Horror", "War", "Silent"),
        labels=labels,
        labelled=np.ones(NUM_ITEMS, np.bool_),
        split=split,
        features=FeatureTable.from_arrays(
            {"text": text, "image": image}, observed={"image": ~np.isnan(image[:, 0])}
        ),
        raw={},
        encoders={},
        people={"director": [[f"d{i % 40}"] for i in range(NUM_ITEMS)]},
    )


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return make_catalog()


@pytest.fixture(scope="session")
def bench(catalog: Catalog) -> Bench:
    """Return a bench that all tests share, so that each network is trained once."""
    return Bench(catalog, FitConfig(**SMALL))


@pytest.fixture(scope="session")
def linked(catalog: Catalog) -> Bench:
    """Return a bench whose networks hear neighbours."""
    return Bench(catalog, FitConfig(**SMALL, **GRAPH))
