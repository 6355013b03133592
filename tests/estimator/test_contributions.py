"""What modalities, words and regions add: sums, planted words, and the graph."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.occlusion import picture_parts, text_parts
from bayesfuse.encoders.statistics import StatisticsEncoder
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.estimator.contributions import (
    log_odds,
    modality_contributions,
    part_contributions,
)
from bayesfuse.graph.hiding import hide

NUM_ITEMS = 240
SETTINGS = {
    "hidden": 12,
    "classifier_hidden": 12,
    "dropout": 0.0,
    "epochs": 25,
    "annealing_epochs": 4,
    "batch_size": 40,
    "learning_rate": 0.02,
    "classifier_learning_rate": 0.02,
    "draws": 12,
    "val_draws": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    filler = ["night", "town", "river", "letter", "mother", "house"]
    return [
        " ".join(rng.permutation([*rng.choice(filler, 4), *(["shark"] if i % 2 else [])]))
        for i in range(NUM_ITEMS)
    ]


@pytest.fixture(scope="module")
def encoder(texts: list[str]) -> TfidfEncoder:
    return TfidfEncoder().fit(texts)


@pytest.fixture(scope="module")
def catalog(texts: list[str], encoder: TfidfEncoder) -> Catalog:
    """Label A is whether the text has a shark, B is noise; the picture says nothing."""
    rng = np.random.default_rng(1)
    values, observed = encoder.encode(texts)
    image = rng.normal(size=(NUM_ITEMS, 4)).astype(np.float32)
    labels = np.stack([np.arange(NUM_ITEMS) % 2, rng.random(NUM_ITEMS) < 0.5], axis=1)
    return Catalog(
        source="items",
        ids=np.array([f"i{i}" for i in range(NUM_ITEMS)]),
        titles=None,
        label_names=("A", "B"),
        labels=labels.astype(np.float32),
        labelled=np.ones(NUM_ITEMS, dtype=np.bool_),
        split=np.where(np.arange(NUM_ITEMS) % 5 == 0, "val", "train"),
        features=FeatureTable.from_arrays({"text": values, "image": image}, {"text": observed}),
        raw={},
        encoders={},
        people={"director": [[f"d{i % 60}"] if i % 7 else [] for i in range(NUM_ITEMS)]},
    )


@pytest.fixture(scope="module")
def fitted(catalog: Catalog) -> FusionClassifier:
    return FusionClassifier(**SETTINGS, graph="people").fit(catalog)


def test_they_add_up_and_the_text_tells_of_the_shark(fitted, catalog):
    features = fitted.link(catalog).features.take([1, 2, 3, 4])
    found = modality_contributions(fitted, features)
    everything = log_odds(fitted, features).mean(axis=0)
    nothing = log_odds(fitted, hide(features, ["text", "image", "graph"])).mean(axis=0)
    for item, one in enumerate(found):
        assert one.parts == ("text", "image", "graph")
        np.testing.assert_allclose(
            one.mean.sum(axis=0), everything[item] - nothing[item], atol=1e-5
        )
        assert (one.low <= one.mean).all()
        assert (one.mean <= one.high).all()
        text, others = one.mean[0, 0], np.abs(one.mean[1:, 0]).max()
        assert np.sign(text) == (1 if item % 2 == 0 else -1)  # items 1 and 3 have the shark
        assert abs(text) > 3 * others


def test_a_modality_that_an_item_lacks_adds_nothing(fitted, catalog):
    linked = fitted.link(catalog).features
    (alone,) = modality_contributions(fitted, linked.take([7]))  # without neighbours
    assert not alone.mean[2].any()
    (blind,) = modality_contributions(fitted, hide(linked.take([1]), ["text"]))
    assert not blind.mean[0].any()
    assert not blind.high[0].any()


def test_the_word_that_matters_is_found(fitted, catalog, encoder, texts):
    features = fitted.link(catalog).features.take([3])
    found = part_contributions(fitted, features, "text", encoder, texts[3], text_parts(texts[3]))
    assert list(found.parts) == texts[3].split()
    shark = found.parts.index("shark")
    assert found.mean[:, 0].argmax() == shark
    assert found.low[shark, 0] > 0
    others = np.delete(found.mean[:, 0], shark)
    assert found.mean[shark, 0] > 3 * np.abs(others).max()
    told = found.to_dict()
    assert told["A"][shark]["part"] == "shark"
    assert set(told["A"][shark]) == {"part", "mean", "q05", "q95"}


def test_the_region_that_matters_is_found(catalog):
    """Label A is a red spot in the upper left of the picture."""
    rng = np.random.default_rng(0)
    pictures = []
    for item in range(NUM_ITEMS):
        pixels = rng.integers(100, 140, size=(24, 24, 3)).astype(np.uint8)
        if item % 2:
            pixels[:12, :12] = (250, 10, 10)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        pictures.append(file.getvalue())
    encoder = StatisticsEncoder().fit(pictures)
    values, observed = encoder.encode(pictures)
    table = FeatureTable.from_arrays({"image": values}, {"image": observed})
    seen = dataclasses.replace(catalog, features=table)
    fitted = FusionClassifier(**SETTINGS).fit(seen)
    parts = picture_parts(pictures[1], 2, 2)
    found = part_contributions(fitted, table.take([1]), "image", encoder, pictures[1], parts)
    assert found.mean[:, 0].argmax() == 0
    assert found.low[0, 0] > 0
