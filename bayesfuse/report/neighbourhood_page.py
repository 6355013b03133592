"""The drawing of a neighbourhood as a page to look around in.

The page holds everything: no network, light and dark, to be used by mouse, touch or keyboard; and
without scripts it still shows the drawing and a table of who shares whom.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from bayesfuse.report.extras import missing_extra
from bayesfuse.report.neighbourhood import HEIGHT, LINES, WIDTH, Drawing


def render_page(drawing: Drawing) -> str:
    """Return the neighbourhood as one HTML page; every name is escaped in it.

    Args:
        drawing: What `arrange` made.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = files("bayesfuse.report")
    source = folder.joinpath("neighbourhood.html.jinja").read_text(encoding="utf-8")
    script = folder.joinpath("neighbourhood.js").read_text(encoding="utf-8")
    # Only this script may run, whatever a name may hold.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(source).render(
        drawing=drawing,
        width=WIDTH,
        height=HEIGHT,
        lines=LINES,
        script=script,
        digest=digest,
        data={
            "nodes": [{"title": node.title, "hop": node.hop} for node in drawing.nodes],
            "edges": [[e.first, e.second, e.words] for e in drawing.edges],
        },
    )


def write_page(drawing: Drawing, path: str | Path) -> Path:
    """Write the page to `path` and return it; a file that is there is replaced as a whole.

    Raises:
        MissingExtraError: If jinja2 is not installed.
        OSError: If the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.write_text(render_page(drawing), encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
