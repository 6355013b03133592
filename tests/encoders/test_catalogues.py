"""Encoding a catalogue: which modalities, from which rows, and what the features are worth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders.catalogues import apply_encoders, encode_catalog
from bayesfuse.errors import ConfigError, FeatureError

EVERYTHING = slice(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo") / "catalogue", num_items=800, seed=2)


@pytest.fixture(scope="module")
def catalog(folder) -> Catalog:
    return Catalog.read(folder)


@pytest.fixture(scope="module")
def encoded(catalog):
    return encode_catalog(catalog)


def with_raw(catalog: Catalog, modality: str, cells: list[object]) -> Catalog:
    """Return the catalogue with these cells and no other modality."""
    observed = np.array([cell is not None for cell in cells])
    column = RawColumn(modality, catalog.raw[modality].kind, observed, lambda: cells)
    return dataclasses.replace(catalog, raw={modality: column})


def test_the_catalogue_says_which_encoders(catalog, encoded):
    made, fitted = encoded
    assert catalog.features.names == ()
    assert made.features.names == ("text", "image")
    assert made.features.widths == {"text": 128, "image": 218}
    assert {modality: encoder.name for modality, encoder in fitted.items()} == {
        "text": "tfidf",
        "image": "statistics",
    }
    for modality, mask in zip(made.features.names, made.features.observed.T, strict=True):
        np.testing.assert_array_equal(mask, catalog.raw[modality].observed)
    assert made.warnings == ()


def test_texts_of_val_and_test_are_never_learned_from(catalog, encoded):
    made, _ = encoded
    train, test = catalog.rows("train"), catalog.rows("test")
    cells = list(catalog.raw["text"])
    for row in [*test, *catalog.rows("val")]:
        cells[row] = "entirely other words about a runaway train"
    changed, _ = encode_catalog(with_raw(catalog, "text", cells))
    before, after = made.features.batch(EVERYTHING)[0], changed.features.batch(EVERYTHING)[0]
    np.testing.assert_array_equal(before["text"][train], after["text"][train])
    assert not np.array_equal(before["text"][test], after["text"][test])

    cells = list(catalog.raw["text"])
    cells[train[0]] = "entirely other words about a runaway train"
    changed, _ = encode_catalog(with_raw(catalog, "text", cells))
    after = changed.features.batch(EVERYTHING)[0]
    assert not np.array_equal(before["text"][train[1:]], after["text"][train[1:]])


def test_fitted_encoders_give_the_same_features_again(catalog, encoded):
    made, fitted = encoded
    again = apply_encoders(catalog, fitted)
    for modality, values in made.features.batch(EVERYTHING)[0].items():
        np.testing.assert_array_equal(again.features.batch(EVERYTHING)[0][modality], values)


def mean_average_precision(features: np.ndarray, catalog: Catalog) -> float:
    train, rest = catalog.split == "train", catalog.split != "train"
    scores = []
    for labels in catalog.labels.T:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        classifier.fit(features[train], labels[train])
        predicted = classifier.predict_proba(features[rest])[:, 1]
        scores.append(average_precision_score(labels[rest], predicted))
    return float(np.mean(scores))


def test_the_features_tell_of_the_labels(folder, catalog, encoded):
    """Between the base rate and what the process itself knows; both modalities count."""
    values = encoded[0].features.batch(EVERYTHING)[0]
    both = np.hstack([values["text"], values["image"]])
    base_rate = catalog.labels.mean(axis=0).mean()
    scores = {name: mean_average_precision(values[name], catalog) for name in values}
    scores["both"] = mean_average_precision(both, catalog)
    shuffled = mean_average_precision(np.random.default_rng(0).permutation(both), catalog)
    truth = pd.read_parquet(folder / "truth.parquet")["text_image"].to_numpy().reshape(-1, 8)
    rest = catalog.split != "train"
    best = average_precision_score(catalog.labels[rest], truth[rest], average="macro")
    assert shuffled < base_rate + 0.06
    assert scores["text"] > base_rate + 0.2
    assert scores["image"] > base_rate + 0.15
    assert max(scores["text"], scores["image"]) < scores["both"] < best


def test_a_modality_with_features_keeps_them_unless_an_encoder_is_named(catalog):
    values = np.arange(2 * len(catalog), dtype=np.float16).reshape(-1, 2)
    table = FeatureTable.from_arrays({"extra": values, "text": values})
    with_features = dataclasses.replace(catalog, features=table)
    kept, fitted = encode_catalog(with_features)
    assert set(fitted) == {"image"}
    assert kept.features.names == ("text", "image", "extra")
    assert kept.features.widths["text"] == 2
    replaced, fitted = encode_catalog(with_features, {"text": "tfidf"})
    assert set(fitted) == {"text", "image"}
    assert replaced.features.widths == {"text": 128, "image": 218, "extra": 2}


def test_a_modality_without_an_encoder_says_what_to_pass(catalog):
    bare = dataclasses.replace(catalog, encoders={})
    with pytest.raises(ConfigError, match=r'"text".*pass --text-encoder tfidf.*encoder = "tfidf"'):
        encode_catalog(bare)
    with pytest.raises(ConfigError, match=r"pass --image-encoder statistics"):
        encode_catalog(bare, {"text": "tfidf"})


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"txt": "tfidf"}, r'Unknown modality with raw cells "txt".*Did you mean "text"'),
        ({"text": "statistics"}, r'Unknown text encoder "statistics"; expected one of tfidf'),
    ],
)
def test_unknown_names_are_told(catalog, encoders, message):
    with pytest.raises(ConfigError, match=message):
        encode_catalog(catalog, encoders)


def test_broken_pictures_are_missing_and_told(catalog):
    cells = list(catalog.raw["image"])
    broken = np.flatnonzero(catalog.raw["image"].observed)[[3, 5]]
    cells[broken[0]] = cells[broken[0]][:500]
    cells[broken[1]] = b"no picture"
    made, _ = encode_catalog(with_raw(catalog, "image", cells))
    observed = made.features.observed[:, made.features.names.index("image")]
    assert not observed[broken].any()
    assert observed.sum() == catalog.raw["image"].observed.sum() - 2
    (warning,) = made.warnings
    assert warning.startswith("image: 2 of 800 cells cannot be encoded and count as missing")
    assert catalog.ids[broken[0]] in warning


def test_only_broken_pictures_are_an_error(catalog):
    with pytest.raises(FeatureError, match="image: not one of the 800 cells can be encoded"):
        encode_catalog(with_raw(catalog, "image", [b"no picture"] * 800))


def test_few_texts_are_told_in_a_warning(catalog):
    cells = [None] * len(catalog)
    for row in catalog.rows("train")[:9]:
        cells[row] = f"story number{row} of nine"
    made, _ = encode_catalog(with_raw(catalog, "text", cells))
    assert any("text: The texts support 9 features" in warning for warning in made.warnings)


def test_no_text_in_train_names_the_modality(catalog):
    with pytest.raises(FeatureError, match="text: There is no text to learn from"):
        encode_catalog(with_raw(catalog, "text", [None] * len(catalog)))


def test_another_catalogue_may_lack_a_modality_but_not_change_its_kind(catalog, encoded):
    _, fitted = encoded
    only_text = dataclasses.replace(catalog, raw={"text": catalog.raw["text"]})
    assert apply_encoders(only_text, fitted).features.names == ("text",)

    values = np.zeros((len(catalog), 2))
    foreign = dataclasses.replace(only_text, features=FeatureTable.from_arrays({"image": values}))
    with pytest.raises(ConfigError, match="fitted on features of the encoder statistics"):
        apply_encoders(foreign, fitted)

    exchanged = dataclasses.replace(
        catalog, raw={"text": catalog.raw["image"], "image": catalog.raw["text"]}
    )
    with pytest.raises(ConfigError, match='"text" holds image cells, but the encoder tfidf'):
        apply_encoders(exchanged, fitted)
