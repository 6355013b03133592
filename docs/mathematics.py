"""How docstrings become pages: their mathematics, their examples, and no name twice.

The griffe extension turns the `.. math::` and `:math:` of docstrings into the dollars of Markdown;
the MkDocs hook turns what the arithmatex extension found into MathML when the site is built, so
that browsers draw formulas by themselves, without a script.
"""

from __future__ import annotations

import re
import textwrap
from html import unescape
from typing import Any

import griffe
from latex2mathml.converter import convert

BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)\.\. math::[ \t]*(?P<first>[^\n]*)\n?"
    r"(?P<rest>(?:(?:(?P=indent)[ \t]+[^\n]*|[ \t]*)(?:\n|\Z))*)",
    re.M,
)
NUMBERED = re.compile(r"^\d+\. ", re.M)
HANGING = re.compile(r"^ {3}(?=\S)", re.M)
"""A paragraph below a number is indented by three in a docstring, and by four in Markdown."""
EXAMPLE = re.compile(r"^([ \t]*)Example:[ \t]*$", re.M)
INLINE = re.compile(r":math:`([^`]+)`")
ARITHMATEX = re.compile(
    r'<(?P<tag>div|span) class="arithmatex">\\[\[(](?P<latex>.*?)\\[\])]</(?P=tag)>', re.S
)


def to_markdown(docstring: str) -> str:
    r"""Write the mathematics of a docstring as Markdown does.

    Example:
        >>> to_markdown("a :math:`x^2` b")
        'a $x^2$ b'
    """

    def block(found: re.Match[str]) -> str:
        text = "\n".join([found["first"], textwrap.dedent(found["rest"])]).strip()
        indent = found["indent"]
        lines = ["", "$$", *text.splitlines(), "$$", "", ""]
        return "\n".join(indent + line if line else line for line in lines)

    if NUMBERED.search(docstring):
        docstring = HANGING.sub("    ", docstring)
    return INLINE.sub(r"$\1$", BLOCK.sub(block, docstring))


def to_mathml(html: str) -> str:
    """Replace every formula of a page by MathML."""

    def formula(found: re.Match[str]) -> str:
        display = "block" if found["tag"] == "div" else "inline"
        mathml: str = convert(unescape(found["latex"]), display=display)
        return mathml.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em"/>')

    return ARITHMATEX.sub(formula, html)


class HouseDocstrings(griffe.Extension):
    """Reads docstrings as this project writes them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the object's docstring."""
        if obj.docstring is not None:
            # griffe knows "Examples:" as code, and takes "Example:" for a note in prose
            text = EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
            obj.docstring.value = to_markdown(text)

    def on_module(self, *, mod: griffe.Module, **_: Any) -> None:
        """Show a name where it is defined, and not again where a package exports it."""
        if mod.is_init_module:
            mod.exports = None


def on_page_content(html: str, **_: Any) -> str:
    """Replace the formulas of one page: the MkDocs hook."""
    return to_mathml(html)
