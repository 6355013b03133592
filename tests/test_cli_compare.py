"""How `bayesfuse compare` is called, and what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_compare import compare
from bayesfuse.data.demo import write_demo
from bayesfuse.estimator.tables import running
from tests.estimator.tables.conftest import here

__all__ = ["here"]

runner = CliRunner()
SMALL = (
    *("--epochs", "2", "--annealing-epochs", "1", "--hidden", "8", "--classifier-hidden", "8"),
    *("--draws", "4", "--val-draws", "2", "--replicates", "60", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(compare)
    return app


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "films"
    write_demo(folder, num_items=200)
    return folder


def test_a_table_and_a_file(app: typer.Typer, demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "compare.csv"
    args = [str(demo), *SMALL, "--only", "twin, logistic", "-o", str(out)]
    done = runner.invoke(app, args)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{demo}, val: ")
    assert "1 seed" in lines[0]
    words = ["macro AP", "NLL", "ECE", "macro F1", "fit s", "predict s", "parameters"]
    assert all(word in lines[2] for word in words)
    assert [line.split()[0] for line in lines[3:6]] == ["bayesian", "twin", "logistic"]
    assert "chosen on val, too" in done.stdout
    frame = pd.read_csv(out)
    assert set(frame["method"]) == {"bayesian", "twin", "logistic"}
    again = runner.invoke(app, args)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "exists already" in again.stderr


def test_json_with_a_graph_on_test(app: typer.Typer, demo: Path) -> None:
    graph = ["--graph", "people", "--graph-width", "4", "--temperature", "0.5"]
    args = [str(demo), *SMALL, *graph, "--only", "twin", "--on", "test", "--json"]
    done = runner.invoke(app, args)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["scored"], told["graph"], told["temperature"]) == ("test", "people", 0.5)
    scores = {(s["method"], s["label"], s["score"]) for s in told["scores"]}
    assert {("twin", "", "aurc"), ("bayesian", "", "risk_at_50")} <= scores


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--only", "twins"], '"twin"?'),
        (["--on", "train"], "--on"),
        (["--seeds", "0"], "--seeds"),
        (["--elbo", "none"], "it is the row twin"),
        (["--finetune", "text=1"], "No such option"),
        (["--jobs", "2"], "--jobs: for --models only"),
        (["-o", "table.md"], "Markdown is of --models only"),
        (["--models", "gmu", "--only", "twin"], "--only: for comparisons without --models"),
        (["--models", "gmu", "--jobs", "0"], "--jobs is 0"),
        (["nowhere"], "nowhere"),
    ],
)
def test_mistakes_end_with_2(
    app: typer.Typer, args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_models_side_by_side(app: typer.Typer, demo: Path, tmp_path: Path, here: list[str]) -> None:
    kept, out = tmp_path / "kept", tmp_path / "out.json"
    args = [str(demo), "--models", "text, gmu", *SMALL, "--results", str(kept), "--jobs", "1"]
    done = runner.invoke(app, [*args, "-o", str(out)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{demo}, val: ")
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        *("text", "text (Bayes)", "gmu", "gmu (Bayes)"),
    ]
    assert "chosen on val, too" in done.stdout
    assert lines[-1] == f"As files: {kept}/table.md, {kept}/table.csv, {kept}/table.json, {out}"
    assert "4 fits; 4 to do" in done.stderr
    assert json.loads(out.read_text()) == json.loads((kept / "table.json").read_text())
    assert len(here) == 4
    again = runner.invoke(app, [*args, "--json"])
    assert json.loads(again.stdout)["left_out"] == []
    assert len(here) == 4


def test_an_interrupted_table_says_that_it_goes_on(
    app: typer.Typer, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "in_processes", interrupt)
    args = [str(demo), "--models", "gmu", *SMALL, "--results", str(tmp_path / "kept")]
    done = runner.invoke(app, args)
    assert (done.exit_code, done.stdout) == (130, "")
    assert f"{tmp_path / 'kept'} keeps what is done" in done.stderr
