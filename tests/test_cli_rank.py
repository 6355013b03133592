"""How `bayesfuse rank` is called; what it does is tested in tests/cli/test_rank.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bayesfuse.cli_rank import WORDS, rank
from bayesfuse.config import RANKINGS


def test_every_ranking_has_its_words() -> None:
    assert set(WORDS) == set(RANKINGS)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument 'RUN'"),
        (["run"], "No label to rank by; name one with --label"),
        (["run", "--label", "Horror"], "There is no run folder run"),
        (["run", "--label", "Horror", "--by", "lowr"], 'Did you mean "lower"?'),
        (["run", "--label", "Horror", "--decision", "f1"], "No such option"),
        (["run", "--label", "Horror", "--split", "tst"], '"tst"'),
        (["run", "--label", "Horror", "--out", "there.csv"], "there.csv exists already"),
        (["run", "--label", "Horror", "--limit", "0"], "--limit"),
    ],
)
def test_mistakes_end_with_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("mine")
    app = typer.Typer(add_completion=False)
    app.command()(rank)
    done = CliRunner().invoke(app, args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
