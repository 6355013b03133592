"""Real disks that are full: what is said, and what is left."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesfuse import FusionClassifier
from tests.cli.conftest import CSV, ENCODE, SMALL, Ran, tree

Bayesfuse = Callable[..., Ran]
FIT = ["fit", "films.csv", *CSV, "--split", "part", *ENCODE, *SMALL]


@pytest.mark.slow
def test_a_full_disk_is_told_before_training_or_ends_none_and_loses_no_model(
    place: Path, tiny_disk: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse(*FIT, "-o", tiny_disk / "run")
    assert done.code == 1
    assert done.err.startswith(f"Error: Cannot write into {tiny_disk}: No space left on device.")
    subprocess.run(["mount", "-o", "remount,size=200k", str(tiny_disk)], check=True)
    done = bayesfuse(*FIT, "--hidden", "200", "-o", tiny_disk / "run")
    assert done.code == 1
    words = " ".join(done.err.split())
    assert words.count("No checkpoint could be written") == 1
    assert "No space left on device" in words
    saved = re.search(r"The fitted run was saved as (\S+) instead", words)
    assert saved is not None
    assert FusionClassifier.load(saved[1]).label_names_
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.slow
def test_an_encode_onto_a_full_disk_keeps_what_was_there(
    place: Path, tiny_disk: Path, bayesfuse: Bayesfuse
) -> None:
    (tiny_disk / "out").mkdir()
    (tiny_disk / "out" / "features.npz").write_bytes(b"an earlier one")
    before = tree(tiny_disk)
    flags = [*CSV, "--split", "part", *ENCODE]
    done = bayesfuse("encode", "films.csv", *flags, "-o", tiny_disk / "out")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert tree(tiny_disk) == before
