"""The page on the graph shows what its code and its command print."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "graph.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", re.M | re.S)


def test_the_python_prints_what_is_below_it() -> None:
    for package in ("dgl", "torch_geometric"):
        pytest.importorskip(package, reason="needs pip install 'bayesfuse[dgl,pyg]'")
    blocks = SHOWN.findall(PAGE)
    assert len(blocks) == PAGE.count("```python") == 2
    names: dict[str, object] = {}  # a reader types them one after the other
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == expected


@pytest.mark.slow
def test_the_command_prints_and_draws_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bayesfuse.cli import app

    monkeypatch.chdir(tmp_path)
    shown = re.search(
        r"^```console\n\$ (bayesfuse graph --around .*?)\n(.*?)^```", PAGE, re.M | re.S
    )
    assert shown is not None
    done = CliRunner().invoke(app, shlex.split(shown[1])[1:])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == shown[2]
    with (
        Image.open("neighbourhood.png") as drawn,
        Image.open(DOCS / "images/neighbourhood.png") as ours,
    ):
        # Another version of matplotlib may draw its letters otherwise.
        assert drawn.size == ours.size
        first, second = (
            np.asarray(image.convert("L"), dtype=np.float32) for image in (drawn, ours)
        )
    assert np.abs(first - second).mean() < 3


def test_every_option_on_the_page_exists() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 10
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", reference)] == []
