"""Encoding a catalogue: which modalities, from which rows, and what the features are worth."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import make_demo, write_demo
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders import catalogues
from bayesfuse.encoders.catalogues import Running, apply_encoders, encode_catalog, run_encoders
from bayesfuse.encoders.statistics import StatisticsEncoder
from bayesfuse.errors import CatalogError, ConfigError, FeatureError

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


# ---- with a folder ----


@pytest.fixture
def costly(monkeypatch):
    """Make the picture statistics an encoder whose features are kept."""
    monkeypatch.setattr(StatisticsEncoder, "costly", True)


def test_a_folder_holds_the_features_the_cases_and_the_encoders(catalog, encoded, costly, tmp_path):
    running = Running(folder=tmp_path / "e", light_too=True)
    done = run_encoders(catalog, running=running)
    for modality, values in encoded[0].features.batch(EVERYTHING)[0].items():
        np.testing.assert_array_equal(done.catalog.features.batch(EVERYTHING)[0][modality], values)
    np.testing.assert_array_equal(done.catalog.features.observed, encoded[0].features.observed)
    assert {path.name for path in (tmp_path / "e").iterdir()} == {
        *("cache", "features.npz", "encode_report.csv"),
        *("encoding.json", "encoders.json", "encoders.safetensors"),
    }
    with done.report.open(newline="") as file:
        cases = list(csv.DictReader(file))
    assert len(cases) == (~done.catalog.features.observed).sum() > 0
    assert {case["reason"] for case in cases} == {"no cell, or an empty one"}
    again = run_encoders(catalog, running=running)
    assert (again.runs["image"].num_new, done.runs["image"].num_known) == (0, 0)
    assert again.runs["image"].num_known == done.runs["image"].num_new


def test_light_encoders_leave_no_folder_unless_asked(catalog, tmp_path):
    run_encoders(catalog, running=Running(folder=tmp_path / "e"))
    assert not (tmp_path / "e").exists()


def test_what_was_used_is_used_again(catalog, costly, tmp_path):
    bare = dataclasses.replace(catalog, encoders={})
    running = Running(folder=tmp_path, light_too=True)
    names = {"text": "tfidf", "image": "statistics"}
    run_encoders(bare, names, settings={"text": {"width": 7}}, running=running)
    again = run_encoders(bare, running=running)
    assert again.catalog.features.widths == {"text": 7, "image": 218}


def test_the_file_of_features_is_one_that_a_catalogue_may_name(folder, costly, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(folder, path)
    catalog = Catalog.read(path)
    done = run_encoders(catalog, running=Running(folder=path / "encoded", light_too=True))
    toml = (path / "catalog.toml").read_text()
    toml = toml.replace(
        "[modalities.image]", '[modalities.image]\nfeatures = "encoded/features.npz:image"'
    )
    (path / "catalog.toml").write_text(toml)
    made = Catalog.read(path)
    np.testing.assert_array_equal(
        made.features.batch(EVERYTHING)[0]["image"],
        done.catalog.features.batch(EVERYTHING)[0]["image"],
    )
    assert made.feature_encoders == {"image": done.encoders["image"].fingerprint()}


def test_features_of_the_same_encoder_are_taken_and_of_another_refused(catalog, encoded):
    made, fitted = encoded
    raw = {"text": catalog.raw["text"]}
    table = made.features.select(["image"])
    known = {"image": fitted["image"].fingerprint()}
    same = dataclasses.replace(catalog, raw=raw, features=table, feature_encoders=known)
    applied = apply_encoders(same, fitted)
    np.testing.assert_array_equal(
        applied.features.batch(EVERYTHING)[0]["image"], made.features.batch(EVERYTHING)[0]["image"]
    )
    other = dataclasses.replace(same, feature_encoders={"image": "0" * 32})
    with pytest.raises(ConfigError, match="are those of another encoder than the statistics"):
        apply_encoders(other, fitted)


def test_strict_refuses_what_cannot_be_encoded_and_lists_it_first(catalog, tmp_path):
    cells = list(catalog.raw["image"])
    cells[5] = b"no picture"
    running = Running(folder=tmp_path, light_too=True, strict=True)
    with pytest.raises(CatalogError, match=r"image: 1 cells: .*\(first: item") as caught:
        run_encoders(with_raw(catalog, "image", cells), running=running)
    assert "image: " in str(caught.value)
    assert "encode_report.csv" in str(caught.value)
    assert "no picture" in (tmp_path / "encode_report.csv").read_text()


def test_shares_fill_the_cache_and_write_nothing_else(catalog, costly, tmp_path):
    running = Running(folder=tmp_path, light_too=True)
    for share in range(2):
        done = run_encoders(catalog, running=running, shard=(share, 2))
        assert list(done.runs) == ["image"]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert run_encoders(catalog, running=running).runs["image"].num_new == 0


def test_large_features_go_through_a_file_that_is_gone_afterwards(catalog, encoded, monkeypatch):
    monkeypatch.setattr(catalogues, "SPILL_BYTES", 0)
    made, _ = encode_catalog(catalog)
    for modality, values in encoded[0].features.batch(EVERYTHING)[0].items():
        np.testing.assert_array_equal(made.features.batch(EVERYTHING)[0][modality], values)


def test_a_record_of_which_encoders_is_json(catalog, tmp_path):
    run_encoders(catalog, running=Running(folder=tmp_path, light_too=True))
    assert json.loads((tmp_path / "encoding.json").read_text()) == {
        "text": {"encoder": "tfidf", "settings": {}},
        "image": {"encoder": "statistics", "settings": {}},
    }


def test_networks_never_have_a_whole_column_read(tmp_path, tiny_bert, tiny_timm):
    """Neither to fit nor to encode: a column of pictures may be larger than memory."""
    name, weights = tiny_timm
    table = make_demo(20, seed=0).table[["plot", "poster"]].assign(id=[f"i{i}" for i in range(20)])
    table.to_parquet(tmp_path / "t.parquet")
    columns = {"id": "id", "text": "plot", "image": "poster"}
    catalog = Catalog.read(tmp_path / "t.parquet", **columns, require_labels=False)
    running = Running(folder=tmp_path / "encoded")
    settings = {"image": {"weights": str(weights)}}
    chosen = {"text": str(tiny_bert), "image": name}
    found, _ = encode_catalog(catalog, chosen, settings=settings, running=running)
    assert set(found.features.names) == {"text", "image"}
    for modality in chosen:
        assert "cells" not in vars(catalog.raw[modality]._kept)
    # what would be seen if one did
    assert len(catalog.raw["image"].cells) == 20
    assert "cells" in vars(catalog.raw["image"]._kept)
