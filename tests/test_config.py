from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bayesfuse import config as module
from bayesfuse.config import (
    DECISIONS,
    PRECISIONS,
    PRESETS,
    FitConfig,
    ModelConfig,
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


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "fusion": st.sampled_from(module.FUSIONS),
    "classifier": st.sampled_from(module.CLASSIFIERS),
    "prior": st.sampled_from(module.PRIORS),
    "guide": st.sampled_from(module.GUIDES),
    "elbo": st.sampled_from(module.ELBOS),
    "annealing": st.sampled_from(module.SCHEDULES),
    "learning_rate_decay": st.sampled_from(module.DECAYS),
    "precision": st.sampled_from(PRECISIONS),
    "decision": st.sampled_from(DECISIONS),
    "preset": st.sampled_from([None, *PRESETS]),
    "prior_scale": scales("fan-in", "learned"),
    "init_scale": scales("prior"),
    "init_loc": st.none() | st.floats(-5, 5),
    "feature_norm": st.none() | positive | st.dictionaries(words, positive, min_size=1, max_size=3),
    "max_norm": st.none() | positive,
    "parts": names,
    "people": st.none() | names,
    "modalities": st.none() | names,
    "features": st.none() | names,
    "label_set": st.none() | names,
    **dict.fromkeys(["hidden", "classifier_hidden", "pieces", "rank", "epochs"], counts),
    **dict.fromkeys(["batch_size", "draws", "val_draws", "patience", "num_particles"], counts),
    **dict.fromkeys(["dropout", "modality_dropout", "validation_fraction"], fractions),
    **dict.fromkeys(["learning_rate", "clip", "temperature", "classifier_learning_rate"], positive),
    **dict.fromkeys(["beta_start", "l1", "l2", "weight_decay"], st.floats(0, 100)),
    **dict.fromkeys(["annealing_epochs", "warmup_epochs"], st.floats(0, 100)),
    "annealing_cycles": st.integers(1, 9),
    "seed": st.integers(0, 2**31),
    "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
    **dict.fromkeys(["id", "title", "text", "image", "labels", "split"], st.none() | words),
    **dict.fromkeys(["labels_separator", "people_separator"], st.none() | st.sampled_from("|;")),
    "delimiter": st.sampled_from([None, ",", "\t"]),
    "empty_labels": st.sampled_from([None, "unknown", "none"]),
    "text_encoder": st.sampled_from([None, "tfidf"]),
    "image_encoder": st.sampled_from([None, "statistics"]),
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


def test_a_default_cannot_be_changed_by_whom_it_was_given_to() -> None:
    assert isinstance(FitConfig().init_scale, dict)
    FitConfig().init_scale["*"] = 7.0  # type: ignore[index]
    assert FitConfig().init_scale["*"] != 7.0  # type: ignore[index]
    with pytest.raises(ValidationError, match="frozen"):
        FitConfig().hidden = 3  # type: ignore[misc]


# ---- what the command line writes as text ----


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("fan-in", "fan-in"),
        ("learned", "learned"),
        (2, 2.0),
        ("fusion.text.*=0.1, *=fan-in", {"fusion.text.*": 0.1, "*": "fan-in"}),
        ({"*": "0.3"}, {"*": 0.3}),
    ],
)
def test_prior_scales_are_read_from_text(text: object, value: object) -> None:
    assert ModelConfig.parse({"prior_scale": text}).prior_scale == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("6", 6.0), ("none", None), ("image=3,*=6", {"image": 3.0, "*": 6.0}), (None, None)],
)
def test_feature_norms_are_read_from_text(text: object, value: object) -> None:
    assert ModelConfig.parse({"feature_norm": text}).feature_norm == value


def test_names_are_read_from_text() -> None:
    made = FitConfig.parse({"modalities": "text, image", "parts": "fusion"})
    assert made.modalities == ("text", "image")
    assert made.parts == ("fusion",)


def test_initial_scales_are_read_from_text() -> None:
    made = ModelConfig.parse({"init_scale": "fusion.absent.*=prior,*=0.01"})
    assert made.init_scale == {"fusion.absent.*": "prior", "*": 0.01}


# ---- mistakes ----


def test_all_mistakes_are_collected() -> None:
    wrong = {
        "fusoin": "gmu",
        "fusion": "gum",
        "elbo": "anealed",
        "hidden": 0,
        "dropout": 1.0,
        "learning_rate": "fast",
        "prior_scale": "fanin",
        "init_scale": -0.1,
        "colour": "blue",
    }
    with pytest.raises(ConfigError) as caught:
        FitConfig.parse(wrong, "file settings.toml")
    head, *lines = str(caught.value).splitlines()
    assert head == "In the file settings.toml:"
    assert len(lines) == len(wrong)
    for words_of_one in (
        'unknown setting "fusoin". Did you mean "fusion"?',
        'Unknown fusion rule "gum"; expected one of concat, gmu, mixing. Did you mean "gmu"?',
        'Unknown ELBO "anealed"; expected one of annealed, meanfield, none, rao-blackwell, trace.',
        "--hidden: expected at least 1; got 0.",
        "--dropout: expected less than 1; got 1.0.",
        "--learning-rate: expected a number; got 'fast'.",
        "'fanin' is no prior scale; expected a number > 0, fan-in, learned, or PATTERN=SCALE",
        'Did you mean "fan-in"?',
        "-0.1 is no initial scale; expected a number > 0, prior, or PATTERN=SCALE",
        'unknown setting "colour".',
    ):
        assert words_of_one in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "nonsense") for name in ("fusion", "classifier", "prior", "guide", "elbo")],
        *[(name, "nonsense") for name in ("annealing", "learning_rate_decay", "decision")],
        *[(name, "nonsense") for name in ("precision", "preset")],
        *[(name, 0) for name in ("hidden", "pieces", "rank", "epochs", "draws", "patience")],
        *[(name, math.nan) for name in ("l1", "learning_rate", "temperature", "prior_scale")],
        *[(name, math.inf) for name in ("l2", "annealing_epochs", "clip", "init_scale")],
        *[(name, -0.1) for name in ("beta_start", "dropout", "weight_decay", "max_norm", "l1")],
        ("batch_size", 1),
        ("modality_dropout", 1),
        ("seed", -1),
        ("feature_norm", 0),
        ("feature_norm", {"*": -1}),
        ("prior_scale", {"*": 0}),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}: "):
        FitConfig.parse({name: value})


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read the settings .*none\.toml"):
        FitConfig.read_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Cannot read the settings"):
        FitConfig.read_file(tmp_path)
    for name, content in (("a.toml", b"hidden = = 3"), ("b.json", b"{'hidden': 3}")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"{name} is not valid"):
            FitConfig.read_file(tmp_path / name)
    (tmp_path / "c.toml").write_bytes(b'id = "\xff\xfe"')
    with pytest.raises(ConfigError, match=r"c\.toml"):
        FitConfig.read_file(tmp_path / "c.toml")
    (tmp_path / "d.json").write_text("[1, 2]")
    with pytest.raises(ConfigError, match="holds a list; expected settings by name"):
        FitConfig.read_file(tmp_path / "d.json")


# ---- presets, files and flags ----


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


def test_an_unknown_preset_is_a_mistake_among_others() -> None:
    with pytest.raises(ConfigError, match=r'(?s)Unknown preset "pmmo".*"pm-mo".*"hiden"'):
        FitConfig.resolve({"preset": "pmmo", "hiden": 3})


# ---- names are those of the registries ----


def test_names_are_those_of_the_registries() -> None:
    from bayesfuse.inference.annealing import SCHEDULES
    from bayesfuse.inference.elbo import ELBOS
    from bayesfuse.inference.guides import GUIDES
    from bayesfuse.inference.optimisers import DECAYS
    from bayesfuse.inference.priors import PRIORS
    from bayesfuse.models import CLASSIFIERS, FUSIONS

    assert set(module.FUSIONS) == set(FUSIONS)
    assert set(module.CLASSIFIERS) == set(CLASSIFIERS)
    assert set(module.PRIORS) == set(PRIORS)
    assert set(module.GUIDES) == set(GUIDES)
    assert set(module.ELBOS) == {*ELBOS, "none"}
    assert set(module.SCHEDULES) == set(SCHEDULES)
    assert set(module.DECAYS) == set(DECAYS)


@pytest.mark.parametrize("cls", [FitConfig, PredictConfig])
def test_every_field_says_what_it_is(cls: type[FitConfig] | type[PredictConfig]) -> None:
    for name, field in cls.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_loading_it_loads_nothing_heavy() -> None:
    script = "import sys, bayesfuse.config; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    heavy = {"torch", "pyro", "numpy", "pandas", "sklearn", "scipy"}
    assert not heavy & set(found.stdout.split())
