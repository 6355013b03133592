"""The documentation is complete, builds strictly, and asks nobody for fonts or scripts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_package_has_its_reference_page() -> None:
    package = ROOT / "bayesfuse"
    found = {p.parent.name for p in package.glob("*/__init__.py")} | {"config", "errors"}
    shown = {p.stem: p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md")}
    assert found == set(shown) - {"index"}
    assert all(f"::: bayesfuse.{name}\n" in shown[name] for name in found)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert set(re.findall(r"\S+\.md", navigation)) == pages


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'bayesfuse[dev]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="([^"]+)"', html)
        remote = [url for url in loaded if re.match(r"(?:https?:)?//", url)]
        assert remote == [], page
    formulas = (tmp_path / "concepts" / "index.html").read_text(encoding="utf-8")
    assert "<math" in formulas
    assert "arithmatex" not in formulas
