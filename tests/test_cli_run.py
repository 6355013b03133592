"""How the commands on a run are called; what they do is tested in tests/cli/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_run import evaluate, predict, report

runner = CliRunner()


@pytest.mark.parametrize("verb", [predict, evaluate, report])
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument 'RUN'"),
        (["run"], "There is no run folder run"),
        (["run", "--split", "tst"], '"tst"'),
        (["run", "--draws", "0"], "--draws"),
        (["run", "--drws", "3"], "No such option"),
    ],
)
def test_mistakes_end_with_2(
    verb: Callable[..., Any],
    args: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(add_completion=False)
    app.command()(verb)
    done = runner.invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
