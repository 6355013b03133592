"""Docstrings and pages show their formulas without a script."""

from __future__ import annotations

import runpy
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'bayesfuse[dev]'")
script = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "mathematics.py"))
to_markdown, to_mathml = script["to_markdown"], script["to_mathml"]


def test_a_block_of_one_line() -> None:
    assert to_markdown("Say.\n\n.. math:: x = 1\n\nMore.") == "Say.\n\n\n$$\nx = 1\n$$\n\nMore."


def test_a_block_of_several_lines_ends_with_its_indent() -> None:
    docstring = "Say.\n\n.. math:: x = 1 \\\\\n    y = 2\n\nArgs:\n    x: A number.\n"
    assert "$$\nx = 1 \\\\\ny = 2\n$$" in to_markdown(docstring)
    assert to_markdown(docstring).endswith("Args:\n    x: A number.\n")


def test_a_block_below_a_number_stays_in_its_list() -> None:
    docstring = "1. First:\n\n   .. math:: x\n\n   more\n2. Second"
    lines = to_markdown(docstring).splitlines()
    assert [line for line in lines if line] == [
        *("1. First:", "    $$", "    x", "    $$", "    more", "2. Second")
    ]


def test_what_is_no_formula_stays() -> None:
    text = textwrap.dedent(script["to_markdown"].__doc__ or "").split("Example")[0]
    assert to_markdown(text) == text


def test_formulas_become_mathml() -> None:
    html = (
        r'<p><span class="arithmatex">\(a &lt; b\)</span></p>'
        r'<div class="arithmatex">\[\frac{1}{2}\]</div>'
    )
    page = to_mathml(html)
    assert "arithmatex" not in page
    assert page.count("<math") == 2
    assert 'display="inline"' in page
    assert "<mfrac>" in page
    assert "&lt;" in page or "&#x0003C;" in page
