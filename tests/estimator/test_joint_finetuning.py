"""MM-GATBT end to end: the transformer of the text is trained with the node beside its words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_loading import load_backbone
from bayesfuse.encoders.tokens import TokensEncoder
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.joint_finetuning import is_joint, without_text
from bayesfuse.estimator.workflow import Fit, evaluate_run, fit_run, open_run
from bayesfuse.graph.hiding import hide
from bayesfuse.models.fusion.text_bitransformer import TextBitransformerFusion

WORDS = {"Comedy": ["joke", "party", "clown"], "Horror": ["knife", "night", "ghost"]}
SMALL = {
    **{"model": "mm-gatbt", "graph": "people", "graph_heads": 2, "graph_width": 3},
    **{"classifier": "linear", "batch_size": 16, "draws": 4, "val_draws": 2},
    **{"epochs": 25, "annealing_epochs": 1, "learning_rate": 0.03, "dropout": 0.1},
    **{"classifier_learning_rate": 0.03, "backbone_learning_rate": 3e-3, "device": "cpu"},
    **{"max_length": 12, "finetune": "text=2", "workers": 0},
}


def write(folder: Path, num_items: int = 80, seed: int = 0) -> Path:
    """Write items whose texts tell one label and whose directors' images the other."""
    rng = np.random.default_rng(seed)
    rows, images = [], []
    for i in range(num_items):
        funny, dark = rng.random(2) < 0.5
        words = [str(w) for w in rng.choice(WORDS["Comedy"] if funny else ["rain", "dog"], 4)]
        rows.append(
            {
                "id": f"{seed}-{i}",
                "plot": None if i % 9 == 4 else " ".join(words),
                "genres": "|".join(["Comedy"] * bool(funny) + ["Horror"] * bool(dark)),
                "director": f"D{int(dark)}{rng.integers(3)}",
                "split": ("train", "train", "train", "val")[i % 4],
            }
        )
        images.append(rng.normal([2.0 * dark, -2.0 * dark, 0.0], 1))
    pd.DataFrame(rows).to_csv(folder / "items.csv", index=False)
    np.savez(folder / "features.npz", image=np.array(images))
    return folder / "items.csv"


def columns(folder: Path) -> dict[str, object]:
    named = {"id": "id", "text": "plot", "labels": "genres", "split": "split", "people": "director"}
    rest = {"labels_separator": "|", "empty_labels": "none"}
    return {**named, **rest, "features": f"image={folder}/features.npz:image"}


def settings(folder: Path, bert: Path, **changes: object) -> FitConfig:
    return FitConfig.parse({**SMALL, **columns(folder), "text_encoder": str(bert), **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("joint")
    write(made)
    return made


@pytest.fixture(scope="module")
def done(folder: Path, tiny_bert: Path) -> Fit:
    return fit_run(str(folder / "items.csv"), folder / "run", settings(folder, tiny_bert))


def test_the_loss_falls_and_only_what_is_unfrozen_moves(done: Fit, tiny_bert: Path) -> None:
    history = done.classifier.history_
    assert history[-1].nll < history[0].nll - 0.2
    before = load_backbone(read_text_folder(tiny_bert), pooler=True).state_dict()
    after = done.classifier.model_.network.fusion.fused.state_dict()  # type: ignore[union-attr]
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("encoder.layer.1.", "encoder.layer.2.")) for name in moved)
    guide = done.classifier.model_.guide
    assert guide is not None
    assert {name.partition(".")[0] for name in guide.locations()} == {"fusion", "gat"}


def test_a_run_gives_the_fits_probabilities(done: Fit, folder: Path) -> None:
    run = open_run(done.path, None, CatalogConfig.parse(columns(folder)), split="val", device="cpu")
    found = run.classifier.predict_proba(run.catalog)
    encoders = load_encoders(done.path)
    assert isinstance(encoders["text"], TokensEncoder)
    assert done.evaluation is not None
    assert evaluate_run(run).nll == pytest.approx(done.evaluation.nll, abs=1e-6)
    # the same weights, without the run folder
    linked = done.classifier.predict_proba(run.catalog)
    np.testing.assert_allclose(found, linked, atol=1e-6)


def test_text_and_neighbours_count_for_items_that_come_later(done: Fit, tmp_path: Path) -> None:
    options = CatalogConfig.parse(columns(tmp_path))
    source = write(tmp_path, 12, seed=1)

    def predict() -> np.ndarray:
        run = open_run(done.path, str(source), options, split="all", device="cpu")
        return np.asarray(run.classifier.predict_proba(run.catalog))

    before, table = predict(), pd.read_csv(source)
    assert before.shape == (12, 2)
    table.loc[0, "plot"] = "knife night" if "joke" in table.loc[0, "plot"] else "joke party clown"
    table.loc[1, "director"] = "D0" if table.loc[1, "director"].startswith("D1") else "D10"
    table.loc[1, "director"] += "0"[: 3 - len(table.loc[1, "director"])]
    table.to_csv(source, index=False)
    moved = np.abs(predict() - before).max(axis=1)
    assert (moved > 1e-7).tolist() == [True, True] + [False] * 10, moved


def test_mmbt_reads_words_beside_several_tokens_of_a_picture(folder, tiny_bert, tmp_path) -> None:
    """MMBT end to end, without a graph: a picture is a sequence of one to three places."""
    stored = np.load(folder / "features.npz")["image"]
    lengths = np.arange(len(stored)) % 3 + 1
    np.savez(tmp_path / "f.npz", image=np.repeat(stored[:, None], 3, axis=1), image_lengths=lengths)
    own = {"features": f"image={tmp_path}/f.npz:image", "model": "fusion", "fusion": "mmbt"}
    config = settings(folder, tiny_bert, graph="none", **own)
    assert is_joint(config)
    done = fit_run(str(folder / "items.csv"), tmp_path / "run", config)
    network = done.classifier.model_.network
    assert network.sequences == ("image",)
    assert isinstance(network.fusion, TextBitransformerFusion)
    history = done.classifier.history_
    assert history[-1].nll < history[0].nll - 0.2
    before = load_backbone(read_text_folder(tiny_bert), pooler=True).state_dict()
    after = network.fusion.fused.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("encoder.layer.1.", "encoder.layer.2.")) for name in moved)
    options = CatalogConfig.parse({**columns(folder), "features": own["features"]})
    run = open_run(done.path, None, options, split="val", device="cpu")
    assert done.evaluation is not None
    assert evaluate_run(run).nll == pytest.approx(done.evaluation.nll, abs=1e-6)
    hidden = run.classifier.predict_proba(hide(run.catalog.features, ["image"]))
    assert np.abs(run.classifier.predict_proba(run.catalog) - hidden).max() > 1e-3


def test_frozen_it_stays_as_it_was(folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """The negative control of what moves; and pretraining and class weights go with it."""
    config = settings(
        folder,
        tiny_bert,
        **{"finetune": "text=0", "epochs": 2, "elbo": "none", "class_weights": "positive"},
        **{"pretrain_graph": 1, "gradient_checkpointing": True},
    )
    done = fit_run(str(folder / "items.csv"), tmp_path / "run", config)
    before = load_backbone(read_text_folder(tiny_bert), pooler=True).state_dict()
    after = done.classifier.model_.network.fusion.fused.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_blocks_of_the_transformer_may_be_random(folder, tiny_bert, tmp_path) -> None:
    parts = "gat,fusion.fused.encoder.layer.2.output.dense"
    config = settings(folder, tiny_bert, epochs=2, parts=parts)
    done = fit_run(str(folder / "items.csv"), tmp_path / "run", config)
    guide = done.classifier.model_.guide
    assert guide is not None
    assert "fusion.fused.encoder.layer.2.output.dense.weight" in guide.locations()
    run = open_run(done.path, None, CatalogConfig.parse(columns(folder)), split="val", device="cpu")
    draws = run.classifier.sample_proba(run.catalog.features.take(run.rows))
    assert draws.std(axis=0).max() > 0
    assert evaluate_run(run).nll == pytest.approx(done.evaluation.nll, abs=1e-6)  # type: ignore[union-attr]


def test_the_same_seed_gives_the_same_run(folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    config = settings(folder, tiny_bert, epochs=2, finetune="text=all")
    runs = [fit_run(str(folder / "items.csv"), tmp_path / name, config) for name in "ab"]
    one, two = (done.classifier.model_.tensors() for done in runs)
    assert all(torch.equal(one[n].nan_to_num(nan=-7), two[n].nan_to_num(nan=-7)) for n in one)


def test_a_damaged_run_is_told(done: Fit, folder: Path) -> None:
    from bayesfuse.estimator.run_folder import _transformer

    told = done.classifier.model_.network.transformer
    assert told is not None
    broken = {**told.to_json(), "network": {"model_type": "bert", "hidden_size": 7}}
    with pytest.raises(RunFolderError, match="is not complete"):
        _transformer(broken, folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": "text=1,image=1"}, r"--finetune image: .*fine-tunes the text alone"),
        ({"text_encoder": "tfidf", "max_length": None}, "tfidf has no network to train"),
        ({"pooling": "mean"}, r"pooling: .*leave that setting out"),
        ({"long_texts": "windows"}, r"long_texts: .*leave that setting out"),
        ({"finetune": "text=9"}, "its network has 3 blocks"),
        ({"text": None}, "the text has no raw cells"),
        ({"max_length": 64}, "take 66 positions"),
        ({"parts": "fusion", "gradient_checkpointing": True}, "which are random here"),
        ({"adversarial": 0.1}, "a word cannot be moved a little"),
        ({"refiner": 0.1}, "--refiner: the network reads text word by word"),
        ({"refiner": 0.1, "pretrain_fusion": 1}, "the encoders are trained too"),
    ],
)
def test_what_does_not_go_together(folder, tiny_bert, tmp_path, changes, message) -> None:
    config = settings(folder, tiny_bert, **changes)
    with pytest.raises(ConfigError, match=message):
        fit_run(str(folder / "items.csv"), tmp_path / "run", config)


def test_other_fits_are_not_joint() -> None:
    assert not is_joint(FitConfig.parse({"model": "mm-gatbt"}))
    assert not is_joint(FitConfig.parse({"finetune": "text=1,image=1"}))
    assert not is_joint(FitConfig.parse({"fusion": "mmbt", "finetune": "image=1"}))
    assert is_joint(FitConfig.parse({"fusion": "mmbt", "finetune": "text=1,image=1"}))
    assert without_text({"text": 1, "image": 2}) == {"image": 2}
