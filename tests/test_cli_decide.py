"""How `bayesfuse decide` is called; what it does is tested in tests/cli/test_decide.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_decide import decide


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument 'RUN'"),
        (["run"], "No goal to decide by; give one, such as --goal f1"),
        (["run", "--goal", "f1"], "There is no run folder run"),
        (["run", "--goal", "f-1"], 'Did you mean "f1"?'),
        (["run", "--goal", "f1", "--top-k", "2"], "Got the goals f1, top-k"),
        (["run", "--min-precision", "90"], "--min-precision: expected less than 1"),
        (["run", "--goal", "f1", "--decision", "f1"], "No such option"),
        (["run", "--goal", "f1", "--split", "tst"], '"tst"'),
    ],
)
def test_mistakes_end_with_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(add_completion=False)
    app.command()(decide)
    done = CliRunner().invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
