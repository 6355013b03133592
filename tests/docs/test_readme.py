"""The Python of the README and of the first page runs as it stands there, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "docs" / "getting-started.md"]
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.M | re.S)
MAX_LINES = 25


def python_blocks(page: Path) -> list[str]:
    """Return the page's Python blocks, in order."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_shows_python(page: Path) -> None:
    blocks = python_blocks(page)
    assert blocks, f"no ```python block in {page.name}"
    longest = max(len(block.splitlines()) for block in blocks)
    assert longest <= MAX_LINES, f"a block of {longest} lines; a reader gives it {MAX_LINES}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_runs(page: Path, tmp_path: Path) -> None:
    # One process for all blocks: a reader types them one after the other.
    code = "\n".join(python_blocks(page))
    assert code, f"no ```python block in {page.name}"
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
