from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse import config as module
from bayesfuse.config import (
    COMPILE,
    DECISIONS,
    GRAPH_MODELS,
    PRECISIONS,
    PRESETS,
    Config,
    EncodeConfig,
    FitConfig,
    GraphCommandConfig,
    PredictConfig,
)
from bayesfuse.errors import ConfigError

# ---- any valid configuration ----

words = st.text("abcXYZ_-.é ", min_size=1, max_size=8)
names = st.lists(words, min_size=1, max_size=3)
positive = st.floats(1e-6, 1e6)
fractions = st.floats(0, 1, exclude_max=True)
counts = st.integers(2, 10_000)


def scales(*options: str) -> st.SearchStrategy[Any]:
    one = positive | st.sampled_from(options)
    return one | st.dictionaries(words, one, min_size=1, max_size=3)


parts = st.sampled_from([(2,), ("2", "pooler"), ("all",), ("embeddings",)])
value = st.booleans() | st.integers(0, 9) | st.floats(0, 9) | words
settings = st.dictionaries(words, value, min_size=1, max_size=3)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(module.MODELS),
    "fusion": st.sampled_from(module.FUSIONS),
    "class_weights": st.one_of(
        st.sampled_from(module.CLASS_WEIGHTS), st.dictionaries(words, positive, min_size=1)
    ),
    "class_weight_beta": fractions,
    **dict.fromkeys(["transformer_layers", "pretrain_graph"], counts),
    "classifier": st.sampled_from(module.CLASSIFIERS),
    "prior": st.sampled_from(module.PRIORS),
    "guide": st.sampled_from(module.GUIDES),
    "noise": st.sampled_from(module.NOISES),
    "compile": st.sampled_from(COMPILE),
    "elbo": st.sampled_from(module.ELBOS),
    "loss": st.sampled_from(module.LOSSES),
    "focal_alpha": st.floats(0.01, 0.99),
    "focal_gamma": st.floats(0, 9),
    "label_smoothing": st.floats(0, 0.49),
    "fusion_loss": st.floats(0, 2),
    "refiner": st.one_of(st.none(), st.floats(0.01, 2), st.just({"text": 0.1, "*": 0.5})),
    "multi_similarity": st.floats(0, 2),
    "similarity_alpha": st.floats(0.1, 60),
    "similarity_beta": st.floats(0.1, 60),
    "similarity_threshold": st.floats(-1, 1),
    "similarity_margin": st.floats(0, 2),
    "contrastive": st.floats(0, 2),
    "label_vectors": st.sampled_from(module.LABEL_VECTORS),
    "adversarial": st.floats(0, 1),
    "pretrain_fusion": st.integers(0, 9),
    "contrastive_temperature": st.floats(0.01, 2),
    "annealing": st.sampled_from(module.SCHEDULES),
    "learning_rate_decay": st.sampled_from(module.DECAYS),
    "plateau_factor": st.floats(0.01, 0.99),
    "plateau_patience": st.integers(0, 9),
    "monitor": st.sampled_from(module.MONITORS),
    "min_delta": st.floats(0, 1),
    "precision": st.sampled_from(PRECISIONS),
    "decision": st.sampled_from(DECISIONS),
    "recalibrate": st.sampled_from(module.RECALIBRATIONS),
    "preset": st.sampled_from([None, *PRESETS]),
    "prior_scale": scales("fan-in", "learned"),
    "init_scale": scales("prior"),
    "init_loc": st.none() | st.floats(-5, 5),
    "feature_norm": st.none() | positive | st.dictionaries(words, positive, min_size=1, max_size=3),
    "max_norm": st.none() | positive,
    "rank": st.none() | counts,
    "parts": st.none() | names,
    "people": st.none() | names,
    "modalities": st.none() | names,
    "features": st.none() | names,
    "label_set": st.none() | names,
    "labels": st.none() | names,
    **dict.fromkeys(["hidden", "classifier_hidden", "pieces", "epochs"], counts),
    **dict.fromkeys(["batch_size", "draws", "val_draws", "patience", "num_particles"], counts),
    **dict.fromkeys(["dropout", "modality_dropout", "validation_fraction"], fractions),
    "scale_learning_rate": st.none() | positive,
    **dict.fromkeys(["learning_rate", "clip", "temperature", "classifier_learning_rate"], positive),
    **dict.fromkeys(["beta_start", "l1", "l2", "weight_decay"], st.floats(0, 100)),
    **dict.fromkeys(["annealing_epochs", "warmup_epochs"], st.floats(0, 100)),
    "annealing_cycles": st.integers(1, 9),
    "members": st.integers(1, 9),
    "seed": st.integers(0, 2**31),
    "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
    **dict.fromkeys(["id", "title", "text", "image", "split"], st.none() | words),
    **dict.fromkeys(["labels_separator", "people_separator"], st.none() | st.sampled_from("|;")),
    "delimiter": st.sampled_from([None, ",", "\t"]),
    "empty_labels": st.sampled_from([None, "unknown", "none"]),
    "label_sources": st.sampled_from([None, "agreement", "equal"]),
    "text_encoder": st.sampled_from([None, "tfidf"]),
    "image_encoder": st.sampled_from([None, "statistics"]),
    "tabular": st.none() | names,
    "categories": st.none() | names,
    "languages": st.none() | names,
    "pooling": st.sampled_from([None, *module.POOLINGS]),
    "long_texts": st.sampled_from([None, *module.LONG_TEXTS]),
    "encoder_precision": st.sampled_from(module.ENCODER_PRECISIONS),
    "keep_sequence": st.none() | names,
    "image_grid": st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    "max_length": st.none() | st.integers(4, 512),
    "image_weights": st.none() | words,
    "encoded": st.none() | words,
    **dict.fromkeys(["image_args", "preprocessing"], st.none() | settings),
    "encode_batch_size": counts,
    "workers": st.none() | st.integers(0, 9),
    **dict.fromkeys(["strict", "gradient_checkpointing"], st.booleans()),
    "finetune": st.none() | st.dictionaries(words, parts, min_size=1, max_size=2),
    "backbone_learning_rate": positive,
    "layer_decay": st.floats(0.1, 1),
    "augment": st.none() | settings,
    "graph": st.sampled_from(module.GRAPHS),
    "graph_features": names,
    "graph_relations": st.sampled_from(module.GRAPH_RELATIONS),
    "graph_query": st.none() | names,
    "graph_edge_bias": st.sampled_from(module.EDGE_BIASES),
    "graph_version": st.sampled_from(module.GRAPH_VERSIONS),
    "graph_backend": st.sampled_from(module.GRAPH_BACKENDS),
    "self_loops": st.none() | st.sampled_from(module.SELF_LOOPS),
    **dict.fromkeys(["graph_layers", "graph_heads", "graph_width"], counts),
    **dict.fromkeys(["graph_dropout", "attention_dropout", "neighbour_thinning"], fractions),
    "max_group": st.none() | counts,
    "fan_out": st.none() | st.lists(counts | st.just("all"), min_size=1, max_size=3),
    "neighbour_labels": st.booleans(),
    "neighbour_shrinkage": fractions,
}
valid = st.fixed_dictionaries({}, optional=FIELDS)


def test_the_strategy_knows_every_field() -> None:
    assert set(FIELDS) == set(FitConfig.model_fields)


@given(values=valid)
def test_json_and_back_is_the_same(values: dict[str, Any]) -> None:
    made = FitConfig.parse(values)
    text = json.dumps(made.model_dump(mode="json"), allow_nan=False)
    assert FitConfig.parse(json.loads(text)) == made
    # a run's config.json is a settings file, too; its preset then has nothing left to say
    assert FitConfig.resolve({}, json.loads(text)) == made


def as_toml(values: dict[str, Any]) -> str:
    """Write TOML, which has no null: `feature_norm` has a word for it, others are left out."""

    def spell(value: Any) -> str:
        if isinstance(value, dict):
            inner = ", ".join(f"{spell(key)} = {spell(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        return json.dumps(value, ensure_ascii=False)

    if "feature_norm" in values and values["feature_norm"] is None:
        values = values | {"feature_norm": "none"}
    given_values = {key: value for key, value in values.items() if value is not None}
    return "".join(f"{key.replace('_', '-')} = {spell(v)}\n" for key, v in given_values.items())


@given(values=valid)
def test_toml_and_back_is_the_same(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.toml"
    path.write_text(as_toml(values), encoding="utf-8")
    assert FitConfig.parse(FitConfig.read_file(path)) == FitConfig.parse(values)


@given(values=valid)
def test_what_is_left_out_has_its_default(values: dict[str, Any]) -> None:
    made, default = FitConfig.parse(values), FitConfig()
    for name in set(FitConfig.model_fields) - set(values):
        assert getattr(made, name) == getattr(default, name)


def test_flags_come_before_the_file_the_preset_and_the_defaults() -> None:
    preset = PRESETS["pm-mo"]
    assert FitConfig().hidden != preset["hidden"]
    assert FitConfig.resolve({}).hidden == FitConfig().hidden
    assert FitConfig.resolve({"preset": "pm-mo"}).hidden == preset["hidden"]
    assert FitConfig.resolve({"preset": "pm-mo"}, {"hidden": 7}).hidden == 7
    assert FitConfig.resolve({"preset": "pm-mo", "hidden": 9}, {"hidden": 7}).hidden == 9
    assert FitConfig.resolve({"hidden": 9}, {"preset": "pm-mo", "hidden": 7}).hidden == 9
    assert FitConfig.resolve({"hidden": 9}).hidden == 9


def test_a_preset_may_be_named_by_the_file() -> None:
    made = FitConfig.resolve({"seed": 3}, {"preset": "pm-mo"})
    assert (made.preset, made.hidden, made.seed) == ("pm-mo", PRESETS["pm-mo"]["hidden"], 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_what_it_says_and_nothing_else(preset: str) -> None:
    made, default = FitConfig.resolve({"preset": preset}), FitConfig()
    for name in FitConfig.model_fields:
        expected = PRESETS[preset].get(name, getattr(default, name))
        assert getattr(made, name) == (preset if name == "preset" else expected)


def test_the_papers_preset_has_its_numbers() -> None:
    made = FitConfig.resolve({"preset": "pm-mo"})
    assert (made.init_loc, made.init_scale, made.fusion) == (0.1, 0.01, "mixing")


def test_a_model_about_the_graph_has_one() -> None:
    for model in GRAPH_MODELS:
        assert FitConfig.resolve({"model": model}).graph == "people"
        assert FitConfig.resolve({"model": model, "graph": "none"}).graph == "none"
        assert FitConfig.resolve({"model": model}, {"graph": "none"}).graph == "none"
    assert FitConfig.resolve({"model": "fusion"}).graph == "none"


def test_an_unknown_preset_is_a_mistake_among_others() -> None:
    with pytest.raises(ConfigError, match=r'(?s)Unknown preset "pmmo".*"pm-mo".*"hiden"'):
        FitConfig.resolve({"preset": "pmmo", "hiden": 3})


@pytest.mark.parametrize("cls", [EncodeConfig, FitConfig, GraphCommandConfig, PredictConfig])
def test_every_field_says_what_it_is(cls: type[Config]) -> None:
    for name, field in cls.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hops": 2, "max_nodes": 9}, ["--hops, --max-nodes: no effect without --around."]),
        ({"hops": 2, "around": "Jaws"}, []),
        ({"edge_weight": "w"}, ["--edge-weight: no effect without --edges."]),
        ({"edge_weight": "w", "edges": "pairs.csv"}, []),
        (
            {"people": "cast", "max_group": 9, "edges": "pairs.csv"},
            ["--people, --max-group: no effect with --edges, which says who is joined."],
        ),
        ({"people": "cast", "max_group": 9}, []),
    ],
)
def test_settings_of_graph_without_effect_are_told(given: dict[str, Any], said: list[str]) -> None:
    assert GraphCommandConfig.parse(given).without_effect(given) == said


def test_mistakes_in_the_settings_of_graph_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        GraphCommandConfig.parse({"hops": 3, "max_nodes": 1, "self_loops": "al", "max_group": 0})
    message = str(caught.value)
    for said in ("--hops: expected at most 2", "--max-nodes: expected at least 2", '"all"?'):
        assert said in message
    assert "--max-group: expected at least 2; got 0." in message


def test_the_graph_command_cuts_as_fit_does() -> None:
    ours, fits = GraphCommandConfig.model_fields["max_group"], FitConfig.model_fields["max_group"]
    assert (ours.default, ours.description) == (fits.default, fits.description)


@pytest.mark.parametrize(
    ("given", "loops"),
    [
        ({}, "none"),
        ({"model": "mm-gatbt"}, "isolated"),
        ({"model": "gat"}, "isolated"),
        ({"model": "gat", "self_loops": "all"}, "all"),
        ({"self_loops": "isolated"}, "isolated"),
    ],
)
def test_who_hears_itself_if_nothing_is_said(given: dict[str, str], loops: str) -> None:
    assert FitConfig.parse({"graph": "people", **given}).loops == loops
