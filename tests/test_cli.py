from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli import app
from bayesfuse.config import (
    MODALITY_SETTINGS,
    CatalogConfig,
    DecideConfig,
    DistillConfig,
    EncodeConfig,
    FinetuneConfig,
    FitConfig,
    GraphCommandConfig,
    ModelsConfig,
    PredictConfig,
    RankConfig,
)

runner = CliRunner()

# What the commands do is tested in tests/cli, a file for each concern; here is how they are called.

COMMANDS = {
    "fit": FitConfig,
    "encode": EncodeConfig,
    "predict": PredictConfig,
    "evaluate": PredictConfig,
    "decide": DecideConfig,
    "check": PredictConfig,
    "explain": PredictConfig,
    "rank": RankConfig,
    "report": PredictConfig,
    "compare": FitConfig,
    "reproduce": FitConfig,
    "distill": DistillConfig,
    "graph": GraphCommandConfig,
    "models": ModelsConfig,
    "data demo": None,
    "data mmimdb": None,
    "data describe": CatalogConfig,
}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by name; `Any`: typer may carry a click of its own."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        children = getattr(command, "commands", {})
        if not children:
            yield name, command
        for child, found in children.items():
            yield from walk(found, f"{name} {child}".strip())

    yield from walk(typer.main.get_command(app), "")


FOUND = dict(commands())


def test_these_are_the_commands() -> None:
    assert set(FOUND) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_so_has_each_option(name: str) -> None:
    result = runner.invoke(app, [*name.split(), "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: bayesfuse {name}" in result.stdout.replace("root", "bayesfuse")
    assert FOUND[name].help
    for parameter in FOUND[name].params:
        assert parameter.help, parameter.name
        if parameter.opts[0].startswith("--"):
            assert parameter.opts[0] in result.stdout


@pytest.mark.parametrize("name", [name for name, config in COMMANDS.items() if config])
def test_every_setting_is_a_flag(name: str) -> None:
    flags = {option for parameter in FOUND[name].params for option in parameter.opts}
    config: Any = COMMANDS[name]
    wanted = {f"--{field.replace('_', '-')}" for field in config.model_fields}
    if name == "encode":  # its folder is --out
        wanted -= {"--encoded"}
    if name in {"decide", "check", "explain", "rank"}:  # of no account there
        wanted -= {"--decision"}
    if name == "compare":  # it tags nothing, and its methods share frozen features
        wanted -= {"--decision", "--recalibrate"}
        wanted -= {*(f"--{n.replace('_', '-')}" for n in FinetuneConfig.model_fields)}
        assert "--finetune" not in flags
    if name == "reproduce":  # the same, and its rows are models
        wanted -= {"--decision", "--recalibrate"}
        wanted -= {*(f"--{n.replace('_', '-')}" for n in FinetuneConfig.model_fields)}
        rows_say = {"--fusion", "--model", "--preset", "--elbo", "--modalities"}
        assert not rows_say & flags
        wanted -= rows_say
    if name in {"evaluate", "decide", "check", "explain", "rank", "report"}:  # no new items
        wanted -= {"--update-old"}
    if name == "graph":  # it reads no modality
        left_out = {f"--{field}" for field in MODALITY_SETTINGS}
        assert not left_out & flags
        wanted -= left_out
    assert wanted <= flags
    assert ("--decision" in flags) == (name in {"fit", "predict", "evaluate", "report"})


def test_the_contract_of_fit() -> None:
    text = "--elbo annealed --fusion gmu --prior laplace --prior-scale 0.1 --guide laplace"
    text += " --draws 64 --seed 0 --device auto"
    words = text.split()
    given = {flag[2:].replace("-", "_"): v for flag, v in zip(words[::2], words[1::2], strict=True)}
    assert FitConfig.resolve(given) == FitConfig()  # it spells the defaults out
    assert set(words[::2]) <= {option for p in FOUND["fit"].params for option in p.opts}


def test_the_version_is_the_packages() -> None:
    root = Path(__file__).parents[1]
    declared = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{declared['version']}\n"
    assert result.stdout.strip() == importlib.metadata.version("bayesfuse")


@pytest.mark.parametrize("args", [[], ["data"]])
def test_no_command_shows_help(args: list[str]) -> None:
    result = runner.invoke(app, args)
    assert result.exit_code == 2
    assert "Usage: " in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["fitt"], "fitt"),
        (["fit", "--fusoin", "gmu"], "--fusoin"),
        (["fit", "a.csv", "b.csv"], "b.csv"),
        (["fit", "--elbo"], "--elbo"),
        (["predict"], "RUN"),
        (["predict", "run", "--elbo", "trace"], "--elbo"),
        (["check", "run", "--decision", "f1"], "--decision"),
        (["data", "demo"], "OUT"),
        (["data", "demo", "out", "--num-items", "many"], "--num-items"),
        (["data", "describe"], "CATALOG"),
    ],
)
def test_a_misspelt_command_line_is_the_users_mistake(args: list[str], said: str) -> None:
    result = runner.invoke(app, args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_misspelt_flag_is_answered_with_the_nearest() -> None:
    assert "--fusion" in runner.invoke(app, ["fit", "--fusoin", "gmu"]).stderr


def test_it_runs_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bayesfuse.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == runner.invoke(app, ["--version"]).stdout
