"""The table of models: all of them, with numbers that a person can recount."""

from __future__ import annotations

import json

import pytest

from bayesfuse.config import FUSIONS, PRESETS
from bayesfuse.errors import ConfigError, MissingExtraError
from bayesfuse.estimator import listing
from bayesfuse.estimator.listing import ModelList, list_models
from bayesfuse.models.network import MODELS

WIDTHS = {"text": 3, "image": 2}
HIDDEN, LABELS = 8, 5
# norms and maxout of 256 units in 2 pieces, then one linear layer
CLASSIFIER = 2 * HIDDEN + HIDDEN * 512 + 512 + 2 * 256 + 256 * LABELS + LABELS


@pytest.fixture(scope="module")
def found() -> ModelList:
    return list_models(WIDTHS, LABELS, HIDDEN)


def test_every_modality_rule_model_and_preset_is_there_once(found: ModelList) -> None:
    fits = [model.fit for model in found.models]
    assert len(set(fits)) == len(fits)
    assert {f"--modalities {name}" for name in WIDTHS} <= set(fits)
    assert {f"--fusion {name}" for name in FUSIONS} <= set(fits)
    assert {f"--preset {name}" for name in PRESETS} <= set(fits)
    assert {m.name for m in found.models} >= set(MODELS) - {"fusion"}
    assert all(m.paper is not None for m in found.models if m.name not in WIDTHS)


def test_parameters_are_those_that_one_counts_by_hand(found: ModelList) -> None:
    counted = {model.fit: (model.parameters, model.random) for model in found.models}
    text, image = 3 * HIDDEN + 2 * HIDDEN, 2 * HIDDEN + 2 * HIDDEN  # weights, bias, stand-in
    assert counted["--modalities text"] == (text + CLASSIFIER, text)
    assert counted["--modalities image"] == (image + CLASSIFIER, image)
    gates = 5 * HIDDEN + HIDDEN
    assert counted["--fusion gmu"] == (text + image + gates + CLASSIFIER, text + image + gates)
    assert counted["--fusion moe"][1] == text + image + 2 * gates
    assert counted["--fusion bitransformer"][1] == 2 * HIDDEN  # the stand-ins alone
    assert counted["--preset mm-gatbt"][1] == 0
    layers = 3 * 3000 + 2 * 3000 + 4 * 3000 + 6000 * 3000 + 3000
    assert counted["--preset pm-mo"][1] == layers


def test_without_images_neighbours_hear_the_last_modality() -> None:
    models = {m.name: m for m in list_models({"text": 3, "year": 1}, 2, 4).models}
    assert models["gat"].fit == "--modalities year --model gat --graph-features year"
    assert models["gat"].modalities == "neighbours' year"


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*args: object, **options: object) -> object:
        raise MissingExtraError("text", "transformers", "a transformer")

    monkeypatch.setattr(listing, "build_model", build)
    nothing = list_models(WIDTHS, LABELS)
    assert {(m.parameters, m.random) for m in nothing.models} == {(None, None)}
    assert "not installed" in str(nothing)


def test_it_prints_as_a_table_and_goes_into_json(found: ModelList) -> None:
    head, *rows = str(found).splitlines()
    assert head.split("  ")[0] == "model"
    (gmu,) = [row for row in rows if row.startswith("gmu ")]
    assert "Arevalo et al. 2017, arXiv:1702.01992" in gmu
    assert "Counted for 5 labels and features of text 3, image 2; hidden 8" in rows[-1]
    told = json.loads(json.dumps(found.to_dict()))
    (row,) = [model for model in told["models"] if model["fit"] == "--fusion gmu"]
    assert row["paper"]["arxiv"] == "1702.01992"
    assert row["parameters"] > row["random"] > 0


def test_widths_that_name_no_modality_are_refused() -> None:
    with pytest.raises(ConfigError, match='"fused"'):
        list_models({"fused": 3}, 2)
