"""How `bayesfuse distill` is called; what it does is tested in tests/cli/test_distill.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_distill import distill


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument 'RUN'"),
        (["run"], "There is no run folder run"),
        (["run", "--method", "msg"], 'Did you mean "msd"?'),
        (["run", "--modality-weight", "0.3", "--method", "kd"], "--modality-weight: no effect"),
        (["run", "--hidden", "0"], "--hidden: expected at least 1"),
        (["run", "--out", "."], "exists"),
    ],
)
def test_mistakes_end_with_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(add_completion=False)
    app.command()(distill)
    done = CliRunner().invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
