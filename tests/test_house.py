"""The rules of the house that no linter knows: light starts, mirrored tests, short files."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bayesfuse"
SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")

HEAVY = {
    *("torch", "pyro", "numpy", "pandas", "sklearn", "scipy", "pyarrow", "PIL"),
    *("matplotlib", "jinja2", "arviz", "transformers", "timm", "torchvision", "dgl"),
}
CPU_SECONDS = 0.5
MAX_LINES = 350
MAX_BYTES = 1_000_000

# What a fresh interpreter has loaded, and the user and system time it has spent since it started.
PROBE = """
import sys
try:
    {body}
except SystemExit as done:
    assert not done.code, done.code
import json, resource
spent = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([sorted(sys.modules), spent.ru_utime + spent.ru_stime]), file=sys.stderr)
"""
IMPORT = "import bayesfuse"
HELP = "sys.argv[:] = ['bayesfuse', '--help']; import bayesfuse.cli; bayesfuse.cli.main()"


def probe(body: str) -> tuple[set[str], float]:
    """Return the top-level modules that `body` loads, and its CPU seconds."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(body=body)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    modules, seconds = json.loads(done.stderr.splitlines()[-1])
    return {name.partition(".")[0] for name in modules}, seconds


def tracked_files() -> list[Path]:
    """Return the files that git tracks, or skip where this is no git checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("body", [IMPORT, HELP], ids=["import", "help"])
def test_light_start_loads_nothing_heavy(body: str) -> None:
    modules, _ = probe(body)
    assert "bayesfuse" in modules
    assert not HEAVY & modules


@pytest.mark.parametrize("body", [IMPORT, HELP], ids=["import", "help"])
def test_light_start_is_quick(body: str) -> None:
    assert min(probe(body)[1] for _ in range(3)) < CPU_SECONDS


def test_the_probe_would_notice_torch() -> None:
    modules, seconds = probe("import torch")
    assert "torch" in HEAVY & modules
    assert seconds > CPU_SECONDS


def test_sources_were_found() -> None:
    assert len(SOURCES) > 10


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_every_source_has_its_test(source: Path) -> None:
    mirrored = ROOT / "tests" / source.relative_to(PACKAGE).parent / f"test_{source.name}"
    assert mirrored.is_file(), f"expected {mirrored.relative_to(ROOT)}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_every_source_is_one_concept(source: Path) -> None:
    count = len(source.read_text(encoding="utf-8").splitlines())
    assert count <= MAX_LINES, f"{count} lines; split it by concept"


def test_every_extra_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"text", "image", "hdf5", "pyg", "dgl", "report", "decisions", "onnx"}
    extras |= {"bench", "dev", "all"}
    assert set(project["optional-dependencies"]) == extras
    assert set(importlib.metadata.metadata("bayesfuse").get_all("Provides-Extra")) == extras


def test_no_tracked_file_names_a_place_on_one_machine() -> None:
    places = [f"/{folder}/".encode() for folder in ("home", "root", "work", "Users")]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1)
        if any(place in line for place in places)
    ]
    assert found == []


def test_no_tracked_file_is_large() -> None:
    large = [path.name for path in tracked_files() if path.stat().st_size > MAX_BYTES]
    assert large == []


def test_every_module_defers_annotations() -> None:
    line = "from __future__ import annotations"
    missing = [
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.suffix == ".py" and line not in path.read_text(encoding="utf-8").splitlines()
    ]
    # A package's __init__ that is a docstring alone has no annotation to defer.
    assert [name for name in missing if not name.endswith("__init__.py")] == []
