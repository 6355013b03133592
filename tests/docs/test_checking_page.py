"""The page on checks shows what its command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

PAGE = (Path(__file__).parents[2] / "docs" / "checking.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_command_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesfuse.cli import app

    monkeypatch.chdir(tmp_path)
    shown = re.search(r"^```console\n\$ (.*?)\n\$ (.*?)\n(.*?)^```", PAGE, re.M | re.S)
    assert shown is not None
    fit, check = (CliRunner().invoke(app, shlex.split(line)[1:]) for line in shown.groups()[:2])
    assert (fit.exit_code, check.exit_code) == (0, 0)
    # another processor may round otherwise, so that numbers of a fit differ in the last digits
    words = [re.sub(r"[\d.,]+", "#", re.sub(r" +", " ", text)) for text in (check.stdout, shown[3])]
    families = [text.split("does not fit")[0] for text in words]
    assert families[0] == families[1]
    assert "labels an item: 0 labels" in check.stdout


def test_every_option_on_the_page_exists() -> None:
    import typer

    from bayesfuse.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {o for name in ("fit", "check") for p in commands[name].params for o in p.opts}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert used
    assert used <= known
