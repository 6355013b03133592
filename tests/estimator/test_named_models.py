"""Every model by its name, and the flags that make it."""

from __future__ import annotations

from bayesfuse.config import FUSIONS, PRESETS, FitConfig
from bayesfuse.estimator.named_models import named_models


def test_a_name_is_of_one_model_and_its_flags_fit_it() -> None:
    models = named_models({"text": 3, "image": 2})
    names = [model.name for model in models]
    assert len(set(names)) == len(names)
    assert {m.flags["preset"] for m in models if "preset" in m.flags} == set(PRESETS)
    assert {"text", "image", *FUSIONS, "gat", "mm-gatbt"} <= set(names)
    found = {model.name: FitConfig.resolve(model.flags) for model in models}
    assert found["gmu"].fusion == "gmu"
    assert found["text"].modalities == ("text",)
    assert (found["gat"].model, found["gat"].graph) == ("gat", "people")
    assert (found["mm-gatbt"].elbo, found["mm-gatbt-preset"].elbo) == ("annealed", "none")


def test_without_images_neighbours_hear_the_last_modality() -> None:
    models = {model.name: model for model in named_models({"text": 3, "year": 1})}
    assert models["gat"].flags == {
        "modalities": "year",
        "model": "gat",
        "graph_features": "year",
    }
    assert models["mm-gatbt"].joins == "text, neighbours' year"
