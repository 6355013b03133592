"""The Python of the README runs as it stands there, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.M | re.S)
MAX_LINES = 25


def python_blocks() -> list[str]:
    """Return the README's Python blocks, in order."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


def test_the_readme_shows_python() -> None:
    blocks = python_blocks()
    assert blocks, f"no ```python block in {README.name}"
    longest = max(len(block.splitlines()) for block in blocks)
    assert longest <= MAX_LINES, f"a block of {longest} lines; a reader gives it {MAX_LINES}"


def test_the_readme_runs(tmp_path: Path) -> None:
    # One process for all blocks: a reader types them one after the other.
    code = "\n".join(python_blocks())
    assert code, f"no ```python block in {README.name}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_links_to_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", README.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (README.parent / link).exists()] == []
