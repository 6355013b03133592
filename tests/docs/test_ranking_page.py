"""The page on ranking shows what its code prints, and names what there is."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from bayesfuse.cli_rank import WORDS
from bayesfuse.estimator.ranked_items import SCHEMA

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ranking.md").read_text(encoding="utf-8")


def test_the_python_prints_what_is_below_it() -> None:
    shown = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, re.M | re.S)
    assert len(shown) == PAGE.count("```python") == 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(shown[0][0], {})
    assert printed.getvalue() == shown[0][1]


def test_every_option_column_and_order_is_there() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 8
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", reference)] == []
    rows = [line.partition("|")[2].partition("|")[0] for line in PAGE.splitlines() if "|" in line]
    words = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert set(SCHEMA.names) | set(WORDS) == words


@pytest.mark.slow
def test_the_command_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    from typer.testing import CliRunner

    from bayesfuse.cli import app

    monkeypatch.chdir(tmp_path)
    shown = re.search(r"^```console\n\$ (bayesfuse rank .*?)\n(.*?)^```", PAGE, re.M | re.S)
    assert shown is not None
    done = CliRunner().invoke(app, ["fit", "--out", "demo-run"])
    assert done.exit_code == 0, done.stderr
    done = CliRunner().invoke(app, shlex.split(shown[1])[1:])
    assert done.exit_code == 0, done.stderr
    ours, theirs = (text.splitlines() for text in (done.stdout, shown[2]))
    assert ours[:3] == theirs[:3]
    # digits, and with them places, depend on the processor; who is among the first does not
    firsts = [{line.split()[1] for line in lines[3:11]} for lines in (ours, theirs)]
    assert len(firsts[0] & firsts[1]) >= 7
    means = [[float(line.split()[4]) for line in lines[3:11]] for lines in (ours, theirs)]
    assert means[0] == pytest.approx(means[1], abs=0.02)
