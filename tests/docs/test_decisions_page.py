"""The page on decisions shows what its code prints, and names what there is."""

from __future__ import annotations

import contextlib
import io
import math
import re
import shlex
from pathlib import Path

import pytest

from bayesfuse.config import GOALS
from bayesfuse.estimator.costs import read_costs
from bayesfuse.evaluation.guarantees import PRECISION_STARTS, guarantee

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "decisions.md").read_text(encoding="utf-8")


def test_the_python_prints_what_is_below_it() -> None:
    pytest.importorskip("mapie")
    ((code, shown),) = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, re.M | re.S)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == shown


def test_every_option_and_goal_is_there() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 8
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", reference)] == []
    assert set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.M)) == set(GOALS)


def test_the_file_of_costs_is_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```text\n(label,.*?)^```", PAGE, re.M | re.S)
    path = tmp_path / "costs.csv"
    path.write_text(text)
    assert read_costs(path, ("Drama", "Horror"))[1].tolist() == [1, 5]


def test_the_fewest_items_of_a_precision_are_those_that_are_told() -> None:
    pytest.importorskip("mapie")
    (told,) = re.findall(r"a precision of 0.9 takes at least (\d+) tagged items", PAGE)
    few = math.ceil(math.log(0.1 / PRECISION_STARTS) / math.log(0.9))
    assert int(told) == few
    for count, kept in ((few, True), (few - 1, False)):
        assert guarantee([[0.99]] * count, [[1]] * count, "precision", 0.9).kept is kept


@pytest.mark.slow
def test_the_command_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from bayesfuse.cli import app

    pytest.importorskip("mapie")
    monkeypatch.chdir(tmp_path)
    shown = re.search(r"^```console\n\$ (bayesfuse decide .*?)\n(.*?)^```", PAGE, re.M | re.S)
    assert shown is not None
    done = CliRunner().invoke(app, ["fit", "--out", "demo-run"])
    assert done.exit_code == 0, done.stderr
    done = CliRunner().invoke(app, shlex.split(shown[1])[1:])
    assert done.exit_code == 0, done.stderr
    ours, theirs = (text.splitlines() for text in (done.stdout, shown[2]))
    digits = re.compile(r"0\.\d{2,4}")  # the last of them depend on the processor
    for mine, told in zip(ours, theirs, strict=False):
        assert digits.sub("", mine).split() == digits.sub("", told).split()
        numbers = [[float(n) for n in digits.findall(line)] for line in (mine, told)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.05)
