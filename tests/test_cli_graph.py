"""How `bayesfuse graph` is called; what it says is tested in tests/cli/test_graph.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_graph import graph

app = typer.Typer(add_completion=False)
app.command()(graph)
runner = CliRunner()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["absent"], "absent: no such file or folder."),
        (["--hops", "3"], "--hops: expected at most 2; got '3'."),
        (["--self-loops", "al"], 'Did you mean "all"?'),
        (["--histogram", "degrees.svg"], "expected a name that ends in .png."),
        (["--around", "x", "-o", "a", "--histogram", "a.png"], "are both a.png; name two files."),
        (["--people", "cast"], "no CATALOG was named"),
        (["a.csv", "--text", "plot"], "--text"),
    ],
)
def test_mistakes_end_with_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["jaws.png", "jaws.html", "degrees.png"])
def test_what_is_there_is_refused_before_anything_is_read(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(there).write_text("mine")
    args = ["absent", "--around", "Jaws", "--out", "jaws", "--histogram", "degrees.png"]
    done = runner.invoke(app, args)
    flag = "--histogram" if there == "degrees.png" else "--out"
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: {there} exists already and is left as it is. Choose another {flag}, or pass "
        "--overwrite.\n"
    )
    assert Path(there).read_text() == "mine"


def test_settings_without_effect_are_told(tmp_path: Path) -> None:
    done = runner.invoke(app, [str(tmp_path / "absent"), "--out", "a", "--hops", "2"])
    assert done.stderr.splitlines()[:2] == [
        "Warning: --hops: no effect without --around.",
        "Warning: --out: no effect without --around.",
    ]
