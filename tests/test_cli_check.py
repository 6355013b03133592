"""How `bayesfuse check` is called; what it does is tested in tests/cli/."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_check import check

runner = CliRunner()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument 'RUN'"),
        (["run"], "There is no run folder run"),
        (["run", "--split", "tst"], '"tst"'),
        (["run", "--replicates", "10"], "--replicates"),
        (["run", "--decision", "f1"], "No such option"),
        (["run", "-o", "taken.nc"], "taken.nc exists already"),
        (["run", "--figures", "taken.nc"], "taken.nc exists already"),
    ],
)
def test_mistakes_end_with_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.nc").write_text("mine")
    app = typer.Typer(add_completion=False)
    app.command()(check)
    done = runner.invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken.nc"]
    assert Path("taken.nc").read_text() == "mine"
