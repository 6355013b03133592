"""Write `docs/cli.md` from the help of the command line: `python docs/make_cli_reference.py`.

`tests/docs/test_cli_reference.py` fails when the page and the commands differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 88

INTRODUCTION = """\
<!-- Written by docs/make_cli_reference.py from the commands' own help: change that, not this. -->

# Command line

Results go to stdout and everything else (progress, warnings, errors) to stderr, so that a pipe
sees only results; `--json` makes them one JSON document. Progress is shown in a terminal and never
in a pipe. Nothing that exists is overwritten unless you ask for it.

| Exit code | Meaning |
| --- | --- |
| 0 | done |
| 1 | a failure: a loss that is not finite, a full disk |
| 2 | something you can mend: an option, a column, a file that is not there |
"""


def commands(app: typer.Typer) -> Iterator[tuple[str, Any, Any]]:
    """Yield `(full name, command, context)` of every command, in the order they were declared."""
    # `Any`: some releases of typer carry a click of their own, whose classes are not click's.
    root: Any = typer.main.get_command(app)

    def walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        command.rich_markup_mode = None  # plain text, without boxes
        size = {"terminal_width": WIDTH, "max_content_width": WIDTH}
        context = command.make_context(name, [], parent=parent, resilient_parsing=True, **size)
        yield context.command_path, command, context
        for child_name, child in getattr(command, "commands", {}).items():
            yield from walk(child, child_name, context)

    yield from walk(root, "bayesfuse", None)


def render(app: typer.Typer) -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for name, command, context in commands(app):
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"## `{name}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    from bayesfuse.cli import app

    PAGE.write_text(render(app), encoding="utf-8")


if __name__ == "__main__":
    main()
