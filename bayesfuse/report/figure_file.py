"""A figure as a file: written as a whole, or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bayesfuse.errors import write_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(figure: Figure, path: Path, option: str) -> None:
    """Write a figure on white; call it inside the `canvas` that made the figure.

    Args:
        figure: The figure.
        path: The file, whose ending says of which kind; one that is there is replaced as a whole,
            and folders are made.
        option: The flag that named it, for a message.

    Raises:
        BayesfuseError: If the file cannot be written.
    """
    kind = path.suffix[1:].lower()
    partial = path.with_name(f".{path.name}.partial")
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(partial, format=kind, dpi=150, facecolor="white", metadata=metadata[kind])
        partial.replace(path)
    except OSError as error:
        raise write_error(path, error, f"Make room or choose another {option}.") from error
    finally:
        with suppress(OSError):  # what went wrong before is what should be told
            partial.unlink()
