"""How `bayesfuse reproduce` is called, and what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_reproduce import reproduce
from bayesfuse.estimator.reproducing.papers import PAPERS
from tests.estimator.tables.conftest import catalog, folder, here

__all__ = ["catalog", "folder", "here"]

runner = CliRunner()
SMALL = (
    *("--epochs", "1", "--annealing-epochs", "0", "--hidden", "8", "--classifier-hidden", "8"),
    *("--draws", "4", "--val-draws", "2", "--device", "cpu", "--seeds", "1", "--jobs", "1"),
)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(reproduce)
    return app


def test_a_table_beside_the_papers(
    app: typer.Typer, folder: Path, tmp_path: Path, here: list[str]
) -> None:
    kept = tmp_path / "kept"
    args = ["pm-mo", str(folder), *SMALL, "--results", str(kept)]
    done = runner.invoke(app, args)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "Armitage et al. 2020, arXiv:2008.11450: tables 1 and 2"
    assert lines[2].startswith("NOT COMPARABLE: the published numbers are of MM-IMDb, test")
    rows = [row.name for row in PAPERS["pm-mo"].rows]
    assert [line[: len(name)] for line, name in zip(lines[5:], rows, strict=False)] == rows
    files = [kept / f"reproduce-pm-mo.{suffix}" for suffix in ("md", "csv", "json")]
    assert lines[-1] == f"As files: {', '.join(map(str, files))}"
    assert all(file.is_file() for file in files)
    assert len(here) == len(rows)
    again = runner.invoke(app, [*args, "--json"])
    assert json.loads(again.stdout) == json.loads(files[2].read_text())
    assert len(here) == len(rows)


def test_mm_imdb_is_found_by_the_environment(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYESFUSE_MM_IMDB", str(tmp_path / "mm-imdb"))
    done = runner.invoke(app, ["pm-mo", "--results", str(tmp_path / "kept")])
    assert done.exit_code == 2
    assert f"{tmp_path / 'mm-imdb'}: no such file or folder" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["pm-no"], 'Did you mean "pm-mo"?'),
        (["pm-mo", "--fusion", "gmu"], "No such option"),
        (["pm-mo", "--seeds", "0"], "--seeds is 0"),
        (["pm-mo", "nowhere"], "nowhere"),
        ([], "Missing argument"),
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
