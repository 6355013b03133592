"""What can be wrong with a run folder, a place to write, or a disk: nothing is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bayesfuse.estimator.run_folder import FILES
from tests.cli.conftest import CSV, ENCODE, Ran, tree

Bayesfuse = Callable[..., Ran]

ENCODERS = ("encoders.json", "encoders.safetensors")

DRAWS = "expected a whole number of at least 1, or auto"


def refused(bayesfuse: Bayesfuse, place: Path, *args: object) -> str:
    """Return what stderr says of a command that must fail with 2, silently else."""
    before = tree(place)
    done = bayesfuse(*args)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.count("Error: ") == 1
    assert "Traceback" not in done.err
    assert tree(place) == before
    return done.err


@pytest.mark.parametrize("name", [*FILES, *ENCODERS])
def test_a_file_is_missing(name: str, place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    shutil.copytree(fitted, "run")
    os.unlink(f"run/{name}")
    said = refused(bayesfuse, place, "predict", "run", "new.csv")
    assert name in said
    assert "fit again" in said


@pytest.mark.parametrize("keep", [0, 0.5], ids=["empty", "half"])
@pytest.mark.parametrize("name", [*FILES, *ENCODERS])
def test_a_file_is_truncated(
    name: str, keep: float, place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    shutil.copytree(fitted, "run")
    os.truncate(f"run/{name}", int(keep * Path("run", name).stat().st_size))
    said = refused(bayesfuse, place, "predict", "run", "new.csv")
    assert "run" in said
    assert "fit again" in said


def test_the_whole_folder_works(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    shutil.copytree(fitted, "run")
    assert bayesfuse("predict", "run", "new.csv").code == 0  # or the two tests above say nothing
    assert Path("predictions.parquet").is_file()


@pytest.mark.parametrize("verb", ["predict", "evaluate", "report"])
def test_what_is_no_run_folder(verb: str, place: Path, bayesfuse: Bayesfuse) -> None:
    for name in ("nowhere", "films.csv"):
        assert refused(bayesfuse, place, verb, name, "films.csv") == (
            f"Error: There is no run folder {name}; `bayesfuse fit --out {name}` makes one.\n"
        )
    assert "The run folder posters lacks config.json" in refused(bayesfuse, place, verb, "posters")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--draws", "0"], f"  - --draws: {DRAWS}; got '0'.\n"),
        (["--draws", "-4", "--seed", "-1"], "  - --seed: expected at least 0; got '-1'.\n"),
        (["--device", "tpu"], "  - --device: expected auto, cpu, cuda, cuda:N or mps; got 'tpu'."),
        (["--draws", "many"], f"  - --draws: {DRAWS}; got 'many'.\n"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "evaluate", "report"])
def test_flags_are_checked_before_the_run_is_read(
    verb: str, args: list[str], said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    assert said in refused(bayesfuse, place, verb, "nowhere", *args)


def test_a_split_without_items(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    assert refused(bayesfuse, place, "predict", fitted, "new.csv", "--split", "train").endswith(
        'Error: new.csv has no items in the split "train"; it has 0 in train, 0 in val, 90 in '
        "test. Choose another --split.\n"
    )
    pd.read_csv("films.csv").query("part != 'val'").to_csv("films.csv", index=False)
    said = refused(bayesfuse, place, "evaluate", fitted, "films.csv")
    assert 'no labelled items in the split "val"' in said


def test_items_without_labels_have_no_score(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    said = refused(bayesfuse, place, "evaluate", fitted, "new.csv", "--split", "all")
    assert "new.csv has no labelled items" in said


def test_labels_that_the_run_does_not_know(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    table = pd.read_csv("films.csv")
    table["genres"] = table["genres"].str.replace("Drama", "Opera")
    table.to_csv("films.csv", index=False)
    said = refused(bayesfuse, place, "evaluate", fitted, "films.csv")
    assert "labels that the run was not fitted on: Opera" in said


@pytest.mark.parametrize("verb", ["predict", "report"])
def test_an_out_that_exists_is_left_as_it_is(verb: str, place: Path, bayesfuse: Bayesfuse) -> None:
    # `nowhere` is no run folder: the place to write is looked at first
    assert refused(bayesfuse, place, verb, "nowhere", "-o", "films.csv") == (
        "Error: films.csv exists already and is left as it is. Choose another --out.\n"
    )


@pytest.mark.parametrize("verb", ["predict", "report"])
def test_an_out_within_a_file(verb: str, place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    shutil.copytree(fitted, "run")
    said = refused(bayesfuse, place, verb, "run", "-o", "films.csv/page")
    assert "films.csv" in said
    assert "--out" in said


# ---- a full disk is a failure, not a mistake: exit code 1 ----


def fill(disk: Path, leave: int = 0) -> None:
    """Fill a disk up to so many bytes."""
    free = os.statvfs(disk)
    (disk / "full").write_bytes(b"\0" * (free.f_bavail * free.f_frsize - leave))


def failed(bayesfuse: Bayesfuse, disk: Path, *args: object) -> str:
    """Return what stderr says of a command that must fail with 1 and leave the disk as it was."""
    before = tree(disk)
    done = bayesfuse(*args)
    assert (done.code, done.out) == (1, ""), done.err
    assert "No space left on device" in done.err
    assert "Traceback" not in done.err
    assert tree(disk) == before
    return done.err


def test_a_full_disk_is_noticed_before_training(
    place: Path, tiny_disk: Path, bayesfuse: Bayesfuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("bayesfuse.inference.svi.SVI.fit")
    fill(tiny_disk)
    failed(bayesfuse, tiny_disk, "fit", "films.csv", *CSV, *ENCODE, "-o", tiny_disk / "run")


@pytest.mark.parametrize("verb", ["predict", "report"])
def test_a_full_disk_is_a_failure(
    verb: str, place: Path, fitted: Path, tiny_disk: Path, bayesfuse: Bayesfuse
) -> None:
    fill(tiny_disk)
    failed(bayesfuse, tiny_disk, verb, fitted, "films.csv", "-o", tiny_disk / "new.file")


def test_a_demo_on_a_full_disk(tiny_disk: Path, bayesfuse: Bayesfuse) -> None:
    failed(bayesfuse, tiny_disk, "data", "demo", tiny_disk / "demo", "--num-items", "200")
