"""How `bayesfuse explain` is called; what it says is tested in tests/cli/test_explain.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_explain import explain

app = typer.Typer(add_completion=False)
app.command()(explain)
runner = CliRunner()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run"], "Expected an ITEM to explain, by id or title, or --by-label"),
        (["run", "Jaws"], "There is no run folder run"),
        (["run", "Jaws", "--regions", "4"], 'as 4x3, or none; got "4"'),
        (["run", "Jaws", "--regions", "0x3"], 'as 4x3, or none; got "0x3"'),
        (["run", "Jaws", "--words", "-1"], "--words"),
        (["run", "Jaws", "--decision", "f1"], "No such option"),
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
