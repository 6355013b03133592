"""A small catalogue of a stranger's own, in every form, and the command line to run on it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

WORDS = {
    "Comedy": ("joke", "party", "clown", "dog"),
    "Drama": ("tears", "mother", "letter", "rain"),
    "Horror": ("knife", "night", "ghost", "scream"),
}
COLOURS = {"Comedy": (240, 220, 60), "Drama": (90, 90, 140), "Horror": (60, 0, 0)}
NUM_ITEMS = 90

COLUMNS = ["--id", "id", "--text", "plot", "--image", "poster", "--labels", "genres"]
CSV = [*COLUMNS, "--labels-separator", "|"]
ENCODE = ["--text-encoder", "tfidf", "--image-encoder", "statistics"]
SMALL = (
    *("--epochs", "2", "--annealing-epochs", "1", "--hidden", "8", "--classifier-hidden", "8"),
    *("--draws", "4", "--val-draws", "2"),
)
"""Flags of a fit that takes a second and is good for nothing else."""


@dataclass(frozen=True)
class Ran:
    """What a command came to: its exit code, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def _write(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "posters").mkdir()
    rows = []
    for i in range(NUM_ITEMS):
        genres = [name for name in WORDS if rng.random() < 0.4] or ["Drama"]
        words = [str(word) for name in genres for word in rng.choice(WORDS[name], 5)]
        poster = f"posters/{i}.png"
        pixels = np.clip(rng.normal(COLOURS[genres[0]], 30, (12, 12, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / poster)
        rows.append(
            {
                "id": f"f{i}",
                "title": f"Film {i}",
                "plot": "" if i % 13 == 5 else " ".join(rng.permutation(words)),
                "poster": "" if i % 11 == 7 else poster,
                "genres": "|".join(genres),
                "director": f"d{i % 7}",
                "part": ("train", "train", "train", "val", "test")[i % 5],
            }
        )
    films = pd.DataFrame(rows)
    films.to_csv(folder / "films.csv", index=False)
    films[["id", "plot", "poster"]].to_csv(folder / "new.csv", index=False)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `films.csv`, `new.csv` (no labels) and `posters/`; nobody changes it."""
    folder = tmp_path_factory.mktemp("films")
    _write(folder)
    return folder


@pytest.fixture
def place(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of one's own that holds what `films` does."""
    place = tmp_path / "place"
    shutil.copytree(films, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="session")
def bayesfuse() -> Callable[..., Ran]:
    """Return the command line: arguments in, a `Ran` out; what is no exit is raised."""
    from bayesfuse.cli import app

    def run(*args: object) -> Ran:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def fitted(films: Path, bayesfuse: Callable[..., Ran]) -> Path:
    """Return a run folder fitted on `films.csv`, with its splits; nobody changes it."""
    run = films.with_name("fitted") / "run"
    split = ["--split", "part"]
    done = bayesfuse("fit", films / "films.csv", *CSV, *split, *ENCODE, *SMALL, "--out", run)
    assert done.code == 0, done.err
    return run


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 64 kB, or skip where none can be mounted."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a file system that is too small")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    try:
        yield disk
    finally:
        gc.collect()  # Arrow closes a file that could not be written when it is collected
        subprocess.run(["umount", str(disk)], check=True)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content, and every folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"/"
        for path in sorted(folder.rglob("*"))
    }


def argv(*args: object) -> Sequence[str]:
    """Return the command line of a process of its own."""
    return [sys.executable, "-m", "bayesfuse.cli", *map(str, args)]
