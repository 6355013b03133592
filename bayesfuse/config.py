"""Settings: a command's flags, a TOML file and a run folder's `config.json` are the same thing.

One frozen model a concern; `FitConfig` is all that `bayesfuse fit` can be told. Loads nothing
heavy, so that `bayesfuse --help` is quick.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bayesfuse.errors import ConfigError, did_you_mean, unknown_option

FUSIONS = ("concat", "gmu", "mixing")
CLASSIFIERS = ("linear", "maxout")
PRIORS = ("horseshoe", "laplace", "normal")
GUIDES = ("laplace", "lowrank", "normal")
ELBOS = ("annealed", "meanfield", "none", "rao-blackwell", "trace")
SCHEDULES = ("cosine", "cyclical", "linear", "sigmoid")
DECAYS = ("constant", "cosine")
PRECISIONS = ("auto", "bfloat16", "float32")
DECISIONS = ("f1", "half")
SPLITS = ("all", "test", "train", "val")

PRESETS: dict[str, dict[str, Any]] = {
    "pm-mo": {
        "fusion": "mixing",
        "hidden": 3000,
        "init_loc": 0.1,
        "init_scale": 0.01,
        "feature_norm": None,
        "learning_rate": 0.005,
        "classifier_learning_rate": 0.005,
        "dropout": 0.9,
        "beta_start": 0.2,
        "l2": 0.1,
        "batch_size": 512,
    },
}
"""Named sets of settings. `pm-mo`: Armitage et al. 2020, sec. 4.1 and their best row, λKL+L2."""


def _one_of(what: str, options: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in options:
            raise ValueError(unknown_option(what, value, options))
        return value

    return AfterValidator(check)


def _names(value: Any) -> Any:
    """Read `"text, image"` as a list of names."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _scale(what: str, words: Mapping[str, str | None]) -> BeforeValidator:
    """Read a number > 0, one of `words` as what it stands for, or `PATTERN=SCALE,PATTERN=SCALE`."""
    example = "fusion.text.*=0.1,*=0.2" if "none" not in words else "image=3,*=6"

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(pattern): read(scale) for pattern, scale in value.items()}
        pairs = [part.partition("=") for part in value.split(",")] if "=" in str(value) else []
        if pairs and all(pattern.strip() for pattern, _, _ in pairs):
            return {pattern.strip(): read(scale.strip()) for pattern, _, scale in pairs}
        if isinstance(value, str) and value in words:
            return words[value]
        if value is None and None in words.values():
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 < number < math.inf:
            raise ValueError(
                f"{value!r} is no {what}; expected a number > 0, {', '.join(words)}, or "
                f"PATTERN=SCALE,... such as '{example}'.{did_you_mean(str(value), words)}"
            )
        return number

    return BeforeValidator(read)


Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?|mps)$")]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Positive = Annotated[float, Field(gt=0)]
FeatureNorm = Annotated[
    Positive | dict[str, Positive] | None, _scale("feature norm", {"none": None})
]
PriorScale = Annotated[
    float | str | dict[str, float | str],
    _scale("prior scale", {"fan-in": "fan-in", "learned": "learned"}),
]
InitScale = Annotated[
    float | str | dict[str, float | str], _scale("initial scale", {"prior": "prior"})
]

# what stands for a modality that was not observed is unknown until training has seen it missing
_INIT_SCALE: dict[str, float | str] = {"fusion.absent.*": "prior", "*": 0.003}


class Config(BaseModel):
    """Base of every config: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "settings") -> Self:
        """Return the config of these values.

        Args:
            values: Field to value; what is left out has its default.
            source: Where they come from, for the message.

        Raises:
            ConfigError: All mistakes at once: unknown names (with the nearest known one), wrong
                types, values out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            problems = [_sentence(cls, problem) for problem in error.errors()]
            raise ConfigError("\n".join([f"In the {source}:", *problems])) from None

    @classmethod
    def read_file(cls, path: Path) -> dict[str, Any]:
        """Return the settings of a TOML file, or of a run's `config.json`, not yet checked.

        Raises:
            ConfigError: If there is no such file, or it is not TOML (JSON, if it ends so).
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"Cannot read the settings {path}: {reason}. Expected a TOML file, or a run's "
                "config.json."
            ) from None
        read = json.loads if path.suffix == ".json" else tomllib.loads
        try:
            found = read(text)
        except ValueError as error:
            raise ConfigError(f"{path} is not valid: {error}.") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{path} holds a {type(found).__name__}; expected settings by name.")
        return {name.replace("-", "_"): value for name, value in found.items()}


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string_pattern_mismatch": "auto, cpu, cuda, cuda:N or mps",  # the one pattern is a device's
    "string": "text",
    "tuple": "names, separated by commas",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
}
"""What pydantic's mistakes (or their first word) expect, in the words of who types a flag."""


def _sentence(cls: type[BaseModel], problem: Any) -> str:
    name, kind = str(problem["loc"][0]), str(problem["type"])
    if kind == "extra_forbidden":
        return f'  - unknown setting "{name}".{did_you_mean(name, cls.model_fields)}'
    flag = f"  - --{name.replace('_', '-')}: "
    if kind == "value_error":
        return flag + str(problem["msg"]).removeprefix("Value error, ")
    expected = _EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0], "another kind of value")
    return f"{flag}expected {expected.format(**problem.get('ctx', {}))}; got {problem['input']!r}."


class ModelConfig(Config):
    """What is fitted and how: the hyper-parameters of `FusionClassifier`."""

    fusion: Annotated[str, _one_of("fusion rule", FUSIONS)] = Field(
        "gmu", description="Fusion rule: concat, gmu or mixing."
    )
    hidden: int = Field(256, ge=1, description="Width of the fused representation.")
    classifier: Annotated[str, _one_of("classifier", CLASSIFIERS)] = Field(
        "maxout", description="Classifier on the fused representation: maxout or linear."
    )
    classifier_hidden: int = Field(256, ge=1, description="Units of the maxout layer.")
    pieces: int = Field(2, ge=1, description="Linear pieces of a maxout unit.")
    dropout: float = Field(0.4, ge=0, lt=1, description="Dropout of the classifier's inputs.")
    max_norm: float | None = Field(
        None, gt=0, description="Bound on the norm of the weights into a classifier unit."
    )
    feature_norm: FeatureNorm = Field(
        {"image": 3.0, "*": 6.0},
        description="Norm of an item's standardised features: a number, PATTERN=NORM,... by "
        "modality, or none for one standard deviation a feature.",
    )
    parts: Names = Field(("fusion",), description="Parts of the network with random weights.")
    prior: Annotated[str, _one_of("prior", PRIORS)] = Field(
        "laplace", description="Prior of the random weights: laplace, normal or horseshoe."
    )
    prior_scale: PriorScale = Field(
        0.1,
        description="Scale of the prior: a number, fan-in, learned, or PATTERN=SCALE,... by site.",
    )
    guide: Annotated[str, _one_of("guide", GUIDES)] = Field(
        "laplace", description="Variational family: laplace, normal or lowrank."
    )
    rank: int = Field(8, ge=1, description="Rank of the lowrank guide.")
    init_loc: float | None = Field(
        None, description="Where every location of the guide starts; the module's own init if none."
    )
    init_scale: InitScale = Field(
        _INIT_SCALE,
        description="Where scales of the guide start: a number, prior, or PATTERN=SCALE,... by "
        "site. What stands for a missing modality starts as wide as its prior.",
    )
    elbo: Annotated[str, _one_of("ELBO", ELBOS)] = Field(
        "annealed",
        description="Objective: trace, rao-blackwell, meanfield, annealed, or none for the "
        "deterministic twin.",
    )
    annealing: Annotated[str, _one_of("annealing schedule", SCHEDULES)] = Field(
        "linear", description="How the weight of the KL rises: linear, cosine, sigmoid, cyclical."
    )
    beta_start: float = Field(0.2, ge=0, description="Weight of the KL at the start.")
    temperature: float = Field(
        1.0, gt=0, description="Weight of the KL in the end; 1 is Bayes' rule, less is colder."
    )
    annealing_epochs: float = Field(10.0, ge=0, description="Epochs until the weight is there.")
    annealing_cycles: int = Field(4, ge=1, description="Rises of the cyclical schedule.")
    num_particles: int = Field(1, ge=1, description="Draws of the weights a training step.")
    l1: float = Field(0.0, ge=0, description="L1 penalty on the guide's locations.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the guide's locations.")
    epochs: int = Field(40, ge=1, description="Most epochs of training.")
    batch_size: int = Field(128, ge=2, description="Items of a minibatch.")
    learning_rate: float = Field(
        0.002, gt=0, description="Of the random weights' guide (clipped Adam)."
    )
    classifier_learning_rate: float = Field(0.002, gt=0, description="Of the classifier (AdamW).")
    learning_rate_decay: Annotated[str, _one_of("learning-rate decay", DECAYS)] = Field(
        "cosine", description="Learning rates after the warm-up: constant or cosine."
    )
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs over which learning rates rise.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's, of the classifier.")
    clip: float = Field(10.0, gt=0, description="Bound on each gradient of the guide.")
    modality_dropout: float = Field(
        0.0, ge=0, lt=1, description="Chance that an item's modality is hidden in training."
    )
    patience: int = Field(15, ge=1, description="Epochs without a better val NLL before stopping.")
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the items held out where the data name no val split."
    )
    val_draws: int = Field(16, ge=1, description="Posterior draws of the val NLL in training.")
    draws: int = Field(64, ge=1, description="Posterior draws of a prediction.")
    decision: Annotated[str, _one_of("decision rule", DECISIONS)] = Field(
        "half", description="Tag where the probability exceeds one half, or the val F1 threshold."
    )
    seed: int = Field(0, ge=0, description="Seed of everything.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Annotated[str, _one_of("precision", PRECISIONS)] = Field(
        "auto", description="Of the network's products: float32, bfloat16, or auto by device."
    )


class TableConfig(Config):
    """How to read a catalogue that is one file; a folder says it all in its catalog.toml."""

    id: str | None = Field(None, description="Column of the items' ids.")
    title: str | None = Field(None, description="Column of the items' titles.")
    text: str | None = Field(None, description="Column of the text modality.")
    image: str | None = Field(None, description="Column of the image modality: bytes or paths.")
    labels: str | None = Field(None, description="Column of the labels.")
    people: Names | None = Field(None, description="Columns of people shared among items.")
    delimiter: str | None = Field(None, description="What separates the columns of a CSV file.")
    labels_separator: str | None = Field(
        None, description="What separates the labels in a CSV cell."
    )
    label_set: Names | None = Field(
        None, description="The labels, comma-separated; a label outside them is an error."
    )
    empty_labels: str | None = Field(
        None, description="An item without labels: unknown (left out of training) or none."
    )
    people_separator: str | None = Field(
        None, description="What separates the people in a CSV cell."
    )
    features: Names | None = Field(
        None, description="Features of modalities: NAME=FILE or NAME=FILE:MEMBER,..."
    )
    modalities: Names | None = Field(None, description="Use these modalities only, as text,image.")


class CatalogConfig(TableConfig):
    """How to read a catalogue for fitting: with the column of its split."""

    split: str | None = Field(None, description="Column of the split: train, val or test.")


class FitConfig(ModelConfig, CatalogConfig):
    """Everything that `bayesfuse fit` can be told besides the catalogue and where to write."""

    text_encoder: str | None = Field(
        None, description="Encode raw text: tfidf. Takes the place of features for it, if any."
    )
    image_encoder: str | None = Field(
        None, description="Encode raw images: statistics. Takes the place of features, if any."
    )
    preset: Annotated[str, _one_of("preset", tuple(PRESETS))] | None = Field(
        None, description="A named set of settings, pm-mo, that flags still override."
    )

    @classmethod
    def resolve(
        cls, flags: Mapping[str, Any], file: Mapping[str, Any] | None = None, source: str = "flags"
    ) -> FitConfig:
        """Return the settings: defaults, then the preset, then the TOML file, then the flags.

        Args:
            flags: What was given explicitly.
            file: What a TOML file says.
            source: What to call them in a message.

        Raises:
            ConfigError: All mistakes at once.
        """
        given = {**(file or {}), **flags}
        preset = given.get("preset")
        if preset is not None and preset in PRESETS:
            given = {**PRESETS[preset], **given}
        return cls.parse(given, source)


class PredictConfig(TableConfig):
    """Everything that `bayesfuse predict` and `bayesfuse evaluate` can be told besides paths."""

    split_column: str | None = Field(
        None, description="Column of the split, of a catalogue that is one file."
    )
    draws: int | None = Field(None, ge=1, description="Posterior draws; else the run's own.")
    seed: int | None = Field(None, ge=0, description="Seed of the draws; else the run's own.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    decision: Annotated[str, _one_of("decision rule", DECISIONS)] | None = Field(
        None, description="half or f1; the run's own if not given."
    )
