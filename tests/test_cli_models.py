"""How `bayesfuse models` is called; what it lists is tested in tests/estimator/test_listing.py."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_models import models

SIZES = ["--widths", "text=3,image=2", "--labels", "5", "--hidden", "8"]


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(models)
    return app


def test_it_prints_a_table(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, SIZES)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("model ")
    assert "\ncentralnet " in done.stdout
    assert "Vielzeuf et al. 2018, arXiv:1808.07275" in done.stdout


def test_it_prints_one_json_document(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, [*SIZES, "--json"])
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["widths"] == {"text": 3, "image": 2}
    assert (told["labels"], told["hidden"]) == (5, 8)
    assert {"name", "fit", "modalities", "parameters", "random", "paper"} == set(told["models"][0])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--widths", "text"], "such as text=384,image=1280"),
        (["--labels", "0"], "--labels: expected at least 1"),
        (["--hidden", "x"], "--hidden: expected a whole number"),
        (["--widths", "type=3"], "rename that modality"),
        (["--modalities", "text"], "No such option"),
    ],
)
def test_mistakes_end_with_2(app: typer.Typer, args: list[str], said: str) -> None:
    done = CliRunner().invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
