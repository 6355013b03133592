"""Tables as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as text: the first column to the left, the others to the right.

    What cannot be printed, such as a line's end within a name, becomes a space.

    Example:
        >>> print(aligned(("role", "edges"), [("director", "16,554"), ("writer", "7")]))
        role       edges
        director  16,554
        writer         7
    """
    lines = [[_on_one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(text)


def _on_one_line(cell: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in cell)
