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
from bayesfuse.estimator.pretraining import pretrained_gat
from bayesfuse.estimator.workflow import fit_run, open_run, read_catalog

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
    model = build_model(catalog.features.widths, 3, 80, config, gat=state)
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
