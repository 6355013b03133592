"""The page on comparing: its code runs, its command is one, and it names every row and score."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import typer

from bayesfuse.cli import app
from bayesfuse.estimator.competitors import COMPETITORS
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")


def test_the_python_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) == 1
    exec(blocks[0], {})


def test_the_command_has_these_options() -> None:
    command = shlex.split(re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)[0])
    assert command[:2] == ["bayesfuse", "compare"]
    found = typer.main.get_command(app).commands["compare"]  # type: ignore[attr-defined]
    known = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in command if word.startswith("-")} <= known


def test_every_row_and_score_is_there() -> None:
    named = set(re.findall(r"`([a-z0-9_-]+)`", PAGE))
    assert set(COMPETITORS) <= named
    p, y = np.array([[0.2], [0.7]]), np.array([[0], [1]])
    scores = {
        *bootstrap_scores(p, y, replicates=2),
        *bootstrap_scores_per_label(p, y, replicates=2),
    }
    between = {f"risk_at_{share}" for share in (60, 70, 80, 90)}  # the page spells the ends
    assert scores - between <= named
