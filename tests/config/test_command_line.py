"""A command line that was made from settings gives them again, through the real parser."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bayesfuse.config import CLASSIFIERS, ELBOS, FUSIONS, GUIDES, PRESETS, PRIORS, FitConfig
from bayesfuse.config.command_line import fit_command, flags_of
from bayesfuse.terminal import options_of

CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "preset": {"preset": "pm-mo"},
    "preset, overridden": {"preset": "pm-mo", "hidden": 256, "feature_norm": {"image": 3, "*": 6}},
    "names": {"modalities": "text,image", "graph_features": "text,image", "id": "my id"},
    "by pattern": {"prior_scale": "fusion.text.*=0.1,*=0.2", "init_scale": "prior"},
    "none": {"feature_norm": "none"},
    "negative": {"init_loc": -0.5, "learning_rate": 1e-05},
    "switches": {"strict": True, "neighbour_labels": True, "gradient_checkpointing": True},
    "parts": {"finetune": "text=2+embeddings,image=1", "augment": "crop=0.6,flip=0.5"},
    "graph": {"model": "gat", "graph": "people", "people": "director,writers", "fan_out": "20,10"},
    "a model without its graph": {"model": "gat", "graph": "none"},
    "quotes": {"labels": "it's $HOME", "delimiter": "\t", "people_separator": " | "},
    "files": {"features": "text=a b.npy,image=c.h5:vgg"},
    "sequences": {"keep_sequence": "text,image", "image_grid": "3x2", "max_length": 64},
    "images": {
        "preprocessing": "input_size=3x320x224,mean=0.5",
        "image_args": "num_classes=10,flag=true",
    },
}


def parsed(line: str) -> tuple[FitConfig, dict[str, Any]]:
    """Return the settings and paths that the flags of `bayesfuse fit` come to."""
    found: list[tuple[FitConfig, dict[str, Any]]] = []
    app = typer.Typer(add_completion=False)

    @app.command()
    @options_of(FitConfig)
    def fit(
        catalog: str | None = typer.Argument(None),
        out: Path = typer.Option(Path("run"), "--out", "-o"),  # noqa: B008
        config: Path | None = typer.Option(None, "--config"),  # noqa: B008
        flags: Mapping[str, Any] = {},
    ) -> None:
        file = FitConfig.read_file(config) if config else {}
        paths = {"catalog": catalog, "out": out}
        found.append((FitConfig.resolve(flags, file), paths))

    program, verb, *args = shlex.split(line)
    assert (program, verb) == ("bayesfuse", "fit")
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
def test_the_line_gives_the_settings_again(given: dict[str, Any]) -> None:
    config = FitConfig.resolve(given)
    line = fit_command(config, "the films.csv", "a run", "old/config.json")
    assert "--config" not in line
    again, paths = parsed(line)
    assert again == config
    assert paths == {"catalog": "the films.csv", "out": Path("a run")}


def test_only_what_was_chosen_is_named() -> None:
    assert flags_of(FitConfig()) == []
    assert fit_command(FitConfig(), None, "run", "x") == "bayesfuse fit --out run"
    for preset in PRESETS:
        assert flags_of(FitConfig.resolve({"preset": preset})) == ["--preset", preset]


@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from(sorted(PRESETS)),
            "fusion": st.sampled_from(FUSIONS),
            "elbo": st.sampled_from(ELBOS),
            "guide": st.sampled_from(GUIDES),
            "prior": st.sampled_from(PRIORS),
            "classifier": st.sampled_from(CLASSIFIERS),
            "model": st.sampled_from(("fusion", "gat")),
            "graph": st.sampled_from(("none", "people")),
            "hidden": st.integers(1, 4000),
            "dropout": st.floats(0, 0.99),
            "init_loc": st.none() | st.floats(-10, 10),
            "prior_scale": st.floats(1e-6, 1e6) | st.just("fan-in"),
            "seed": st.integers(0, 2**31),
            "label_set": st.none() | st.lists(st.text(max_size=8), min_size=1, max_size=3),
            "id": st.none() | st.text(min_size=1, max_size=8),
            "strict": st.booleans(),
        },
    )
)
@settings(max_examples=60, deadline=None)
def test_flags_are_the_settings_or_none(values: dict[str, Any]) -> None:
    config = FitConfig.resolve(values)
    flags = flags_of(config)
    if flags is None:  # only what no flag can say
        assert values.get("label_set") is not None or values.get("init_loc", 0) is None
        return
    words = iter(flags)
    switches = {"strict"}
    found: dict[str, Any] = {}
    for flag in words:
        name = flag.removeprefix("--").replace("-", "_")
        found[name] = True if name in switches else next(words)
    assert FitConfig.resolve(found) == config


def test_what_no_flag_can_say_is_left_to_the_file(tmp_path: Path) -> None:
    config = FitConfig.resolve({"label_set": ["Rock, Pop", "Jazz"], "hidden": 12})
    assert flags_of(config) is None
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.model_dump(mode="json")))
    line = fit_command(config, None, "run", file)
    assert parsed(line) == (config, {"catalog": None, "out": Path("run")})
