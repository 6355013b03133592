"""Fine-tuning: what is unfrozen moves, the fusion stays Bayesian, new items are read alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bayesfuse.config import CatalogConfig, FitConfig, ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.catalogues import encode_catalog
from bayesfuse.encoders.image import TimmEncoder
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.encoders.sequence import SequenceEncoder
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.encoding import encoder_settings, named_encoders
from bayesfuse.estimator.finetuning import Finetuning, finetuning_settings
from bayesfuse.estimator.workflow import evaluate_run, fit_run, open_run

WORDS = {"Comedy": ["joke", "party", "clown"], "Horror": ["knife", "night", "ghost"]}
SMALL = {
    **{"hidden": 8, "classifier_hidden": 8, "batch_size": 16, "draws": 4, "val_draws": 2},
    **{"epochs": 4, "annealing_epochs": 1, "learning_rate": 0.02, "workers": 0},
    **{"classifier_learning_rate": 0.02, "backbone_learning_rate": 3e-3, "device": "cpu"},
    "max_length": 32,
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table whose labels are plain in its texts, and less so in its pictures."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(80):
        labels = [name for name in WORDS if rng.random() < 0.5]
        words = [str(word) for name in labels for word in rng.choice(WORDS[name], 4)]
        picture = io.BytesIO()
        colour = np.array([200 * ("Comedy" in labels), 60, 200 * ("Horror" in labels)])
        pixels = np.clip(rng.normal(colour, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(picture, "png")
        rows.append(
            {
                "id": f"i{i}",
                "plot": None if i % 9 == 4 else " ".join([*rng.permutation(words), "rain"]),
                "poster": None if i % 7 == 3 else picture.getvalue(),
                "genres": labels,
                "split": ("train", "train", "train", "val")[i % 4],
            }
        )
    path = tmp_path_factory.mktemp("finetuning") / "films.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def flags(tiny_bert: Path, tiny_timm: tuple[str, Path]) -> dict[str, object]:
    name, weights = tiny_timm
    columns = {"id": "id", "text": "plot", "image": "poster", "labels": "genres", "split": "split"}
    networks = {
        "text_encoder": str(tiny_bert),
        "image_encoder": name,
        "image_weights": str(weights),
    }
    return {**columns, "empty_labels": "none", **networks, **SMALL}


def settings(flags: dict[str, object], **more: object) -> FitConfig:
    return FitConfig.parse({**flags, **more})


def prepared(
    table: Path, config: FitConfig
) -> tuple[Catalog, Finetuning, dict[str, torch.nn.Module]]:
    names = ("id", "text", "image", "labels", "split", "empty_labels")
    catalog = Catalog.read(table, **config.model_dump(include=set(names)))
    given = finetuning_settings(encoder_settings(config, catalog), config)
    catalog, encoders = encode_catalog(catalog, named_encoders(config), settings=given)
    finetuning = Finetuning(catalog, encoders, config, torch.device("cpu"))
    return catalog, finetuning, dict(finetuning.front.networks.items())


def classifier_of(config: FitConfig) -> FusionClassifier:
    return FusionClassifier(**config.model_dump(include=set(ModelConfig.model_fields)))


def copies(networks: dict[str, torch.nn.Module]) -> dict[str, dict[str, torch.Tensor]]:
    return {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }


def moved(before: dict[str, torch.Tensor], network: torch.nn.Module) -> set[str]:
    after = network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.slow
@pytest.mark.parametrize("elbo", ["annealed", "none"])
def test_the_loss_falls_and_only_what_is_unfrozen_moves(table, flags, elbo):
    config = settings(flags, finetune="text=1,image=1", elbo=elbo, epochs=12)
    catalog, finetuning, networks = prepared(table, config)
    before = copies(networks)
    classifier = classifier_of(config)
    steps: list[float] = []
    classifier.fit(catalog, finetuning=finetuning, on_step=lambda step: steps.append(step.nll))
    third = len(steps) // 3
    assert np.mean(steps[-third:]) < np.mean(steps[:third]) - 0.05
    for name, network in networks.items():
        top = {id(value) for value in network.blocks[-1].state_dict(keep_vars=True).values()}
        own = network.state_dict(keep_vars=True)
        unfrozen = {key for key, value in own.items() if id(value) in top}
        changed = moved(before[name], network)
        assert changed
        assert changed <= unfrozen
    if elbo == "annealed":  # the fusion has a posterior still
        val = finetuning.val_features(catalog.features.take(catalog.labelled_rows("val")))
        assert classifier.sample_proba(val, draws=3).std(axis=0).max() > 0


@pytest.mark.slow
def test_without_unfreezing_nothing_of_a_network_moves(table, flags):
    """The negative control of the test above: frozen networks encode as before."""
    config = settings(flags, finetune="text=0,image=0")
    catalog, finetuning, networks = prepared(table, config)
    before = copies(networks)
    val = catalog.labelled_rows("val")
    frozen = catalog.features.take(val).batch(slice(None))[0]
    made = finetuning.val_features(catalog.features.take(val)).batch(slice(None))[0]
    for name, values in made.items():
        np.testing.assert_allclose(values, frozen[name], atol=1e-5)
    classifier_of(config).fit(catalog, finetuning=finetuning)
    assert not any(moved(before[name], network) for name, network in networks.items())


@pytest.mark.slow
def test_new_items_are_encoded_with_what_the_networks_became(table, flags, tmp_path):
    config = settings(flags, finetune="text=1+embeddings,image=all", gradient_checkpointing=True)
    done = fit_run(str(table), tmp_path / "run", config)
    assert done.evaluation is not None
    encoders = load_encoders(tmp_path / "run")
    assert set(encoders) == {"text", "image"}
    run = open_run(tmp_path / "run", str(table), CatalogConfig.parse({}), split="val")
    found = run.classifier.predict_proba(run.catalog.features.take(run.rows))
    assert found.shape == (20, 2)
    assert evaluate_run(run).nll == pytest.approx(done.evaluation.nll, abs=1e-4)
    # the same run with the encoders as they came says something else
    plain = fit_run(str(table), tmp_path / "plain", settings(flags))
    assert plain.evaluation is not None
    assert encoders["text"].fingerprint() != load_encoders(tmp_path / "plain")["text"].fingerprint()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(table, flags):
    results = []
    for _ in range(2):
        config = settings(flags, finetune="text=1,image=1", epochs=2)
        catalog, finetuning, networks = prepared(table, config)
        classifier_of(config).fit(catalog, finetuning=finetuning)
        results.append(torch.cat([v.flatten().double() for n in networks.values()
                                  for v in n.state_dict().values()]))  # fmt: skip
    assert torch.equal(results[0], results[1])


@pytest.mark.parametrize(
    ("finetune", "message"),
    [
        ("txt=1", r'Unknown encoded modality "txt".*Did you mean "text"'),
        ("text=9", "its network has 3 blocks"),
        ("text=embedings", 'Did you mean "embeddings"'),
    ],
)
def test_what_cannot_be_unfrozen_is_told(table, flags, finetune, message):
    with pytest.raises(ConfigError, match=message):
        prepared(table, settings(flags, finetune=finetune))


def test_light_encoders_have_nothing_to_train(table, flags):
    light = {**flags, "text_encoder": "tfidf", "finetune": "text=1"}
    with pytest.raises(ConfigError, match=r"tfidf|max_length"):
        prepared(table, FitConfig.parse(light))


def test_kept_steps_are_not_trained(table, flags):
    config = settings(flags, keep_sequence="text", finetune="text=1")
    with pytest.raises(ConfigError, match=r"--finetune text: its steps are kept \(--keep-sequence"):
        prepared(table, config)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["mmbt", "mult-gmu"])
def test_places_of_pictures_are_trained_end_to_end(table, flags, fusion, tmp_path):
    """MMBT with both networks trained; of MulT that of the pictures, beside a text vector."""
    both = {"mmbt": "text=1,image=1", "mult-gmu": "image=1"}
    kept = {"keep_sequence": "image", "image_grid": "3x1", "fusion": fusion, "pooling": None}
    config = settings(flags, **kept, finetune=both[fusion], encoded=str(tmp_path / "e"), epochs=3)
    done = fit_run(str(table), tmp_path / "run", config)
    assert done.classifier.model_.network.sequences == ("image",)
    trained = load_encoders(tmp_path / "run")["image"]
    assert isinstance(trained, SequenceEncoder)
    name, weights = flags["image_encoder"], flags["image_weights"]
    plain = TimmEncoder(str(name), str(weights)).fit([])
    before, after = plain.network().state_dict(), trained.network().model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert len(changed) < len(before) / 2
    run = open_run(tmp_path / "run", None, CatalogConfig.parse({}), split="val", device="cpu")
    assert done.evaluation is not None
    assert evaluate_run(run).nll == pytest.approx(done.evaluation.nll, abs=2e-3)  # float16 by then
