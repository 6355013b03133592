"""The command line cannot drift from its documentation."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Annotated

import pytest
import typer

DOCS = Path(__file__).parents[2] / "docs"
script = runpy.run_path(str(DOCS / "make_cli_reference.py"))

EXPECTED = {
    "bayesfuse",
    "bayesfuse fit",
    "bayesfuse predict",
    "bayesfuse evaluate",
    "bayesfuse check",
    "bayesfuse report",
    "bayesfuse compare",
    "bayesfuse graph",
    "bayesfuse data",
    "bayesfuse data demo",
    "bayesfuse data describe",
}


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """Return the real command line."""
    from bayesfuse.cli import app

    return app


def test_the_page_is_what_the_commands_say(app: typer.Typer) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert page == script["render"](app), "run: python docs/make_cli_reference.py"


def test_every_command_is_documented(app: typer.Typer) -> None:
    names = {name for name, _, _ in script["commands"](app)}
    assert names >= EXPECTED
    headings = re.findall(r"^## `(.+)`$", (DOCS / "cli.md").read_text(encoding="utf-8"), re.M)
    assert set(headings) == names


def test_every_command_and_option_has_help(app: typer.Typer) -> None:
    silent = []
    for name, command, _ in script["commands"](app):
        if not (command.help or "").strip():
            silent.append(name)
        silent += [f"{name} {p.name}" for p in command.params if not getattr(p, "help", None)]
    assert silent == []


def test_a_changed_help_changes_the_page() -> None:
    def page(text: str) -> str:
        tiny = typer.Typer(add_completion=False)

        @tiny.callback()
        def root() -> None:
            """Tiny."""

        @tiny.command(help=text)
        def fit(seed: Annotated[int, typer.Option(help="Seed.")] = 0) -> None: ...

        return str(script["render"](tiny))

    assert page("Train.") != page("Train a model.")
    assert "## `bayesfuse fit`" in page("Train.")
    assert "--seed" in page("Train.")
    assert "╭" not in page("Train.")  # no boxes
