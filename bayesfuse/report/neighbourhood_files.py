"""A drawn neighbourhood as two files: a picture to show, and a page to look around in."""

from __future__ import annotations

from pathlib import Path

from bayesfuse.errors import ConfigError, write_error
from bayesfuse.report.neighbourhood import Drawing
from bayesfuse.report.neighbourhood_page import render_page, write_page
from bayesfuse.report.neighbourhood_picture import write_picture

PICTURE, PAGE = ".png", ".html"


def neighbourhood_files(name: Path) -> tuple[Path, Path]:
    """Return the two files that a name stands for.

    Raises:
        ConfigError: If it is a folder's: `.`, `..` or `/`.

    Example:
        >>> [path.name for path in neighbourhood_files(Path("jaws"))]
        ['jaws.png', 'jaws.html']
        >>> neighbourhood_files(Path("jaws.png")) == neighbourhood_files(Path("jaws"))
        True
    """
    if name.name in ("", ".."):
        raise ConfigError(f'--out got "{name}"; expected a name such as jaws, for two files.')
    base = name.with_suffix("") if name.suffix.lower() in (PICTURE, PAGE) else name
    return base.with_name(base.name + PICTURE), base.with_name(base.name + PAGE)


def write_neighbourhood(drawing: Drawing, name: Path) -> tuple[str, ...]:
    """Write the drawing as a PNG and as a page; files that are there are replaced as a whole.

    Args:
        drawing: What `arrange` made.
        name: The files without their endings; folders are made.

    Returns:
        Warnings: that characters are in no font here.

    Raises:
        MissingExtraError: If matplotlib or jinja2 is not installed; nothing is written then.
        BayesfuseError: If a file cannot be written.
    """
    picture, page = neighbourhood_files(name)
    render_page(drawing)  # so that what it needs is missed before anything is written
    path = picture
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        warnings = write_picture(drawing, path)
        path = page
        write_page(drawing, path)
    except OSError as error:
        raise write_error(path, error, "Make room or choose another --out.") from error
    return warnings
