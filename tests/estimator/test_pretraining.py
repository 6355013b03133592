"""Graph attention that has learned the labels alone, and MM-GATBT that starts from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bayesfuse import FusionClassifier
from bayesfuse.config import CatalogConfig, FitConfig, ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.links import Links
from bayesfuse.estimator.model import build_model
from bayesfuse.estimator.pretraining import pretrained, pretrained_gat
from bayesfuse.estimator.training_data import catalog_data
from bayesfuse.estimator.workflow import fit_run, open_run, read_catalog
from bayesfuse.inference.svi import SVI

SMALL = {
    "model": "mm-gatbt",
    "graph": "people",
    "hidden": 8,
    "transformer_layers": 1,
    "classifier": "linear",
    "graph_heads": 2,
    "graph_width": 3,
    "epochs": 2,
    "annealing_epochs": 1,
    "batch_size": 40,
    "draws": 4,
    "val_draws": 2,
    "device": "cpu",
}


def write(folder: Path, num_items: int = 160, seed: int = 0) -> Path:
    """Write items of three genres whose directors keep to one; pictures know it, texts little."""
    rng = np.random.default_rng(seed)
    genres = rng.integers(3, size=num_items)
    pd.DataFrame(
        {
            "key": [f"{seed}-{i}" for i in range(num_items)],
            "genres": [["War", "Love", "Sea"][g] for g in genres],
            "director": [f"D{g}{rng.integers(5)}" if rng.random() < 0.9 else "" for g in genres],
            "part": np.array(["train", "train", "val", "test"])[np.arange(num_items) % 4],
        }
    ).to_csv(folder / "items.csv", index=False)
    one_hot = np.eye(3)[genres]
    np.savez(
        folder / "features.npz",
        text=one_hot + 3 * rng.normal(size=(num_items, 3)),
        image=np.hstack([one_hot, one_hot]) + rng.normal(size=(num_items, 6)),
    )
    return folder / "items.csv"


def columns(folder: Path, **changes: object) -> dict[str, object]:
    return {
        "id": "key",
        "labels": "genres",
        "split": "part",
        "people": "director",
        "features": f"text={folder}/features.npz:text,image={folder}/features.npz:image",
        **changes,
    }


def settings(folder: Path, **changes: object) -> FitConfig:
    return FitConfig.parse({**SMALL, **columns(folder), **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("pretraining")
    write(made)
    return made


@pytest.fixture(scope="module")
def catalog(folder: Path) -> Catalog:
    return read_catalog(str(folder / "items.csv"), settings(folder))


def train(catalog: Catalog, config: ModelConfig) -> tuple[FeatureTable, np.ndarray]:
    rows = catalog.labelled_rows("train")
    linked = Links.of_catalog(catalog, config).training(catalog.features)
    return linked.take(rows), catalog.labels[rows].astype(np.float32)


def fitted(catalog: Catalog, **changes: object) -> FusionClassifier:
    return FusionClassifier(**{**SMALL, **changes}).fit(catalog)


def same(one: FusionClassifier, other: FusionClassifier) -> bool:
    pairs = zip(one.model_.tensors().values(), other.model_.tensors().values(), strict=True)
    return all(torch.equal(a.nan_to_num(nan=-7), b.nan_to_num(nan=-7)) for a, b in pairs)


def test_nothing_is_pretrained_unless_asked(catalog: Catalog) -> None:
    config = ModelConfig(**SMALL)
    assert pretrained_gat(*train(catalog, config), config) is None
    plain = catalog.features.take(catalog.labelled_rows("train"))
    with pytest.raises(ConfigError, match="expected --graph people"):
        pretrained_gat(plain, np.zeros((len(plain), 3), np.float32), ModelConfig(pretrain_graph=1))


def test_labels_can_be_read_off_pretrained_attention(catalog: Catalog) -> None:
    """A linear read-out of what test items hear is better than one of untrained layers."""
    config = ModelConfig(**{**SMALL, "pretrain_graph": 20, "learning_rate": 0.01})
    features, labels = train(catalog, config)
    before = fitted(catalog, epochs=1, elbo="none", seed=3)
    state = pretrained_gat(features, labels, config)
    assert state is not None
    linked = before.links_.training(catalog.features)  # type: ignore[union-attr]
    network = before.model_.network.eval()
    truth = torch.from_numpy(catalog.labels.astype(np.float32))
    rows = {name: catalog.labelled_rows(name) for name in ("train", "test")}

    def error() -> float:
        values, observed = linked.batch(slice(None))
        inputs = {name: torch.from_numpy(value) for name, value in values.items()}
        blocks = linked.blocks(slice(None))
        with torch.no_grad():
            heard = network.hear_draws([{}], inputs, torch.from_numpy(observed), blocks)[0]
        heard = torch.nn.functional.leaky_relu(heard)
        heard = torch.cat([heard, torch.ones(len(heard), 1)], dim=1)
        solved = torch.linalg.lstsq(heard[rows["train"]], truth[rows["train"]]).solution
        return float((heard[rows["test"]] @ solved - truth[rows["test"]]).square().mean())

    torch.manual_seed(0)
    with torch.no_grad():
        for value in network.gat.parameters():
            value.normal_()
        untrained = error()
        network.gat.load_state_dict(state)
    assert error() < untrained


@pytest.mark.parametrize("elbo", ["none", "annealed"])
def test_a_model_starts_from_it(catalog: Catalog, elbo: str) -> None:
    config = ModelConfig(**{**SMALL, "pretrain_graph": 3, "elbo": elbo})
    state = pretrained_gat(*train(catalog, config), config)
    assert state is not None
    model = build_model(
        catalog.features.widths, 3, 80, config, start={f"gat.{n}": v for n, v in state.items()}
    )
    assert model.network.gat is not None
    found = dict(model.network.gat.named_parameters())
    assert all(torch.equal(found[name], value) for name, value in state.items())
    if model.guide is not None:
        locations = model.guide.locations()
        assert all(torch.equal(locations[f"gat.{name}"], v) for name, v in state.items())
    assert not same(fitted(catalog, pretrain_graph=3, elbo=elbo), fitted(catalog, elbo=elbo))


def test_labels_of_val_and_test_change_nothing(catalog: Catalog) -> None:
    hidden = np.isin(np.arange(len(catalog)), catalog.labelled_rows("train"), invert=True)
    planted = catalog.labels.copy()
    planted[hidden] = 1 - planted[hidden]
    other = dataclasses.replace(catalog, labels=planted)
    config = ModelConfig(**{**SMALL, "pretrain_graph": 3, "class_weights": "positive"})
    one, two = (pretrained_gat(*train(c, config), config) for c in (catalog, other))
    assert one is not None
    assert two is not None
    assert all(torch.equal(one[name], two[name]) for name in one)
    seen = catalog.labels.copy()
    seen[~hidden] = 1 - seen[~hidden]
    three = pretrained_gat(*train(dataclasses.replace(catalog, labels=seen), config), config)
    assert three is not None
    assert not all(torch.equal(one[name], three[name]) for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"elbo": "none", "class_weights": "positive", "pretrain_graph": 2},
        {"fan_out": "2", "neighbour_thinning": 0.3},
        {"model": "gat", "modalities": "image"},
        {"model": "gat", "graph_relations": "each", "graph_query": "text", "pretrain_graph": 1},
        {"graph_relations": "each", "graph_query": "text", "pretrain_graph": 1, "elbo": "trace"},
        {"parts": "gat,fusion.text", "guide": "normal"},
    ],
    ids=lambda changes: ",".join(changes) or "defaults",
)
def test_a_run_gives_the_fits_probabilities_and_predicts_items_that_come_later(
    folder: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    config = settings(folder, **changes)
    done = fit_run(str(folder / "items.csv"), tmp_path / "run", config)
    options = CatalogConfig.parse(columns(folder))
    run = open_run(tmp_path / "run", None, options, split="all", device="cpu")
    found = run.classifier.predict_proba(run.catalog)
    assert np.array_equal(found, done.classifier.predict_proba(run.catalog))
    assert np.isfinite(found).all()
    later = tmp_path / "later"
    later.mkdir()
    source = write(later, 12, seed=1)
    options = CatalogConfig.parse(columns(later))
    new = open_run(tmp_path / "run", str(source), options, split="all", device="cpu")
    probability = new.classifier.predict_proba(new.catalog)
    assert probability.shape == (12, 3)
    nobody = dataclasses.replace(
        new.catalog, features=new.catalog.features.take(np.arange(12)[::-1])
    )
    assert np.allclose(new.classifier.predict_proba(nobody), probability[::-1], atol=1e-6)


def test_it_learns(folder: Path, tmp_path: Path) -> None:
    """The text says little here, and the node embedding much: MM-GATBT finds it."""
    longer = {"epochs": 60, "patience": 60, "classifier_learning_rate": 0.005, "elbo": "none"}
    source = str(folder / "items.csv")
    full = settings(folder, hidden=16, pretrain_graph=5, **longer)
    text = settings(folder, modalities="text", model="fusion", graph="none", **longer)
    done, alone = (fit_run(source, tmp_path / c.model, c) for c in (full, text))
    assert done.classifier.history_[-1].nll < 0.8 * done.classifier.history_[0].nll
    assert done.evaluation is not None
    assert alone.evaluation is not None
    assert done.evaluation.average_precision.macro > alone.evaluation.average_precision.macro + 0.1


# ---- the fusion, without labels ----

FUSION = {
    "hidden": 8,
    "refiner": 1.0,
    "classifier": "linear",
    "dropout": 0.0,
    "epochs": 1,
    "annealing_epochs": 1,
    "batch_size": 40,
    "draws": 4,
    "val_draws": 2,
    "device": "cpu",
    "classifier_learning_rate": 0.02,
}


def half_labelled(num_items: int = 160) -> Catalog:
    """A catalogue of which three quarters of train have no labels."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(num_items, 2))
    values = {
        "text": np.hstack([hidden, rng.normal(size=(num_items, 2))]),
        "image": np.hstack([hidden, rng.normal(size=(num_items, 1))]),
    }
    labels = (hidden + rng.normal(size=(num_items, 2)) > 0).astype(np.float32)
    split = np.array(["train", "train", "train", "val"])[np.arange(num_items) % 4]
    return Catalog(
        source="made",
        ids=np.array([str(i) for i in range(num_items)]),
        split=split,
        labels=labels,
        labelled=(np.arange(num_items) % 16 < 4) | (split == "val"),
        label_names=("a", "b"),
        features=FeatureTable.from_arrays(values),
        titles=None,
        raw={},
        encoders={},
        people={},
    )


def test_without_epochs_the_fusion_starts_where_it_would() -> None:
    data = catalog_data(half_labelled())
    assert data.every is None
    assert pretrained(data.train, data, ModelConfig.parse(FUSION)) == {}


def test_the_fusion_learns_of_items_without_labels() -> None:
    config = ModelConfig.parse({**FUSION, "pretrain_fusion": 20})
    data = catalog_data(half_labelled(), unlabelled=True)
    assert data.every is not None
    assert (len(data.train), len(data.every)) == (30, 120)
    start = pretrained(data.train, data, config)
    assert {name.partition(".")[0] for name in start} == {"fusion", "auxiliary"}
    fewer = pretrained(data.train, dataclasses.replace(data, every=None), config)
    assert not torch.equal(start["fusion.text.weight"], fewer["fusion.text.weight"])
    others = dataclasses.replace(data, train_labels=1 - data.train_labels)
    same = pretrained(data.train, others, config)
    assert all(torch.equal(value, same[name]) for name, value in start.items())


@pytest.mark.parametrize("elbo", ["annealed", "none"])
def test_a_fit_starts_from_there(elbo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config: dict[str, object] = {**FUSION, "pretrain_fusion": 2, "elbo": elbo}
    catalog = half_labelled()
    data = catalog_data(catalog, unlabelled=True)
    start = pretrained(data.train, data, ModelConfig.parse(config))
    made: list[object] = []
    monkeypatch.setattr(SVI, "fit", lambda svi, *_, **__: made.append(svi) or 1 / 0)
    with pytest.raises(ZeroDivisionError):  # it ends where training begins
        FusionClassifier(**config).fit(catalog)
    (svi,) = made
    locations = {} if svi.guide is None else svi.guide.locations()
    for name, value in start.items():
        own = svi.network.get_parameter(name)
        assert torch.equal(locations.get(name, own).data, value), name


def test_items_without_labels_hear_and_are_heard(catalog: Catalog) -> None:
    labelled = catalog.labelled & (np.arange(len(catalog)) % 8 < 6)
    some = dataclasses.replace(catalog, labelled=labelled)
    given = {**FUSION, "graph": "people", "graph_heads": 2, "graph_width": 3}
    fit = FusionClassifier(**given, pretrain_fusion=2).fit(some)
    assert {"graph", "text"} <= set(fit.model_.network.auxiliary["refiner"].weights)
    data = catalog_data(some, unlabelled=True)
    links = Links.of_catalog(some, fit.config_).training(some.features)
    every = links.take(some.rows("train"))
    train_only = links.take(some.labelled_rows("train"))
    data = dataclasses.replace(data, train=train_only, every=every)
    start = pretrained(train_only, data, fit.config_)
    assert any(name.startswith("gat.") for name in start)


def test_features_that_are_not_there_yet_cannot_be_pretrained_on() -> None:
    data = catalog_data(half_labelled(), unlabelled=True)
    config = ModelConfig.parse({**FUSION, "pretrain_fusion": 1})
    with pytest.raises(ConfigError, match="encoders are trained too"):
        pretrained(data.train, data, config, frozen=False)
    nothing = ModelConfig.parse({**FUSION, "refiner": None, "pretrain_fusion": 1})
    with pytest.raises(ConfigError, match="nothing to learn without labels"):
        pretrained(data.train, data, nothing)
