"""Is what is on disk whole, whenever `fit` or `encode` is killed, and is what goes on the same?

As many moments as `BAYESFUSE_KILLS` says, drawn with a seed from the time that the command takes;
`make kill` tries 100 of each. Commands run in children of a process that has loaded all libraries,
so that the moments are those of the work.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from bayesfuse.estimator.checkpoint_file import read_checkpoint
from bayesfuse.estimator.files import read_history
from bayesfuse.estimator.run_folder import FILES
from tests.cli.conftest import CSV

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX"),
]

KILLS = int(os.environ.get("BAYESFUSE_KILLS", "4"))
TIMEOUT = 300.0
FIT = [
    *("fit", "films.csv", *CSV, "--split", "part", "--text-encoder", "tfidf"),
    *("--image-encoder", "statistics", "--epochs", "6", "--annealing-epochs", "2"),
    *("--hidden", "6", "--classifier-hidden", "6", "--draws", "4", "--val-draws", "2"),
    *("--members", "2", "--batch-size", "16", "--dropout", "0.2", "-o", "run"),
]
PRELOAD = ["bayesfuse.cli", "bayesfuse.estimator.resuming", "bayesfuse.estimator.encoding"]
CODE = """
import contextlib, os, sys
os.chdir({place!r})
sys.argv[1:] = {args!r}
with open("said.txt", "w") as said, contextlib.redirect_stdout(said), \
        contextlib.redirect_stderr(said):
    from bayesfuse.cli import main
    main()
"""


class Children:
    """Runs commands in children that are forked from a process with everything loaded."""

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    def run(self, place: Path, *args: str, kill_after: float | None = None) -> tuple[int, float]:
        """Return the exit code, negative if it was killed, and how many seconds it took."""
        code = CODE.format(place=str(place), args=list(args))
        child = self._context.Process(target=exec, args=(code, {}))
        started = time.perf_counter()
        child.start()
        child.join(TIMEOUT if kill_after is None else kill_after)
        child.kill()
        child.join()
        assert child.exitcode is not None
        return child.exitcode, time.perf_counter() - started


@pytest.fixture(scope="module")
def children() -> Children:
    return Children()


def said(place: Path) -> str:
    return (place / "said.txt").read_text()


def moments(seconds: float, seed: int) -> list[float]:
    """Return when to kill: a little later than the command has ever ended, too."""
    return np.random.default_rng(seed).uniform(0, 1.1 * seconds, KILLS).tolist()


# ---- fit ----


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def histories(run: Path) -> list[str]:
    rows = [row for path in sorted(run.glob("history*.csv")) for row in read_history(path)]
    return [str(row._replace(seconds=0.0)) for row in rows]


def check_fit(place: Path) -> None:
    """Whatever is there is whole: the run, or what is kept to go on from."""
    run, kept = place / "run", place / "run.partial"
    if run.exists():
        assert {path.name for path in run.iterdir()} >= set(FILES)
        weights(run)
        histories(run)
    for path in kept.glob("*.safetensors"):
        read_checkpoint(path)
    if (kept / "fit.json").exists():
        json.loads((kept / "fit.json").read_text())


def test_a_fit_that_was_killed_is_whole_and_goes_on_to_the_same(
    films: Path, tmp_path: Path, children: Children
) -> None:
    place = tmp_path / "place"
    shutil.copytree(films, place)
    before = {path.name for path in place.iterdir()}
    children.run(place, *FIT)  # the first one loads more than the others
    shutil.rmtree(place / "run")
    code, seconds = children.run(place, *FIT)
    assert code == 0, said(place)
    whole = (place / "run").rename(tmp_path / "whole")
    ends: dict[str, int] = {}
    for number, moment in enumerate(moments(seconds, 0)):
        code, _ = children.run(place, *FIT, kill_after=moment)
        check_fit(place)
        checkpoints = list((place / "run.partial").glob("*.safetensors"))
        end = "whole" if (place / "run").exists() else "kept" if checkpoints else "nothing"
        ends[end] = ends.get(end, 0) + 1
        if number % 3 == 0 and checkpoints and end != "whole":  # and killed once more on its way
            children.run(place, "fit", "--resume", "run", kill_after=0.4 * seconds)
            check_fit(place)
        if not (place / "run").exists():
            again = ["fit", "--resume", "run"]
            if not (place / "run.partial" / "fit.json").exists():
                again = FIT
            code, _ = children.run(place, *again)
            assert code == 0, said(place)
        elif (place / "run.partial").exists():
            code, _ = children.run(place, "fit", "--resume", "run")
            assert code == 2, said(place)
        found, expected = weights(place / "run"), weights(whole)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(torch.nan_to_num(found[name]), torch.nan_to_num(value)), name
        assert histories(place / "run") == histories(whole)
        shutil.rmtree(place / "run")
        (place / "said.txt").unlink()
        assert {path.name for path in place.iterdir()} == before, f"after {moment} s"
    print(f"fit: killed at {KILLS} moments of {seconds:.1f} s: {ends}")
    assert KILLS < 20 or ends.get("kept", 0) > KILLS / 4


# ---- encode ----


@pytest.fixture(scope="module")
def long_films(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalogue of texts that differ, for a network to read."""
    folder = tmp_path_factory.mktemp("long")
    frame = pd.read_csv(films / "films.csv").fillna("")
    frame = pd.concat([frame.assign(id=frame["id"] + f"_{i}") for i in range(12)])
    frame["plot"] = [f"{plot} {number}" for number, plot in enumerate(frame["plot"])]
    frame.drop(columns=["poster"]).to_csv(folder / "films.csv", index=False)
    return folder


def check_encoded(folder: Path) -> dict[str, Any]:
    """Whatever is there is whole; return the features, if they are there."""
    for path in folder.glob("cache/*/part-*.npy"):
        assert len(np.load(path, allow_pickle=False))
    for path in [*folder.glob("*.json"), *folder.glob("*.safetensors")]:
        json.loads(path.read_text()) if path.suffix == ".json" else load_file(path)
    if not (folder / "features.npz").exists():
        return {}
    with np.load(folder / "features.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_an_encode_that_was_killed_is_whole_and_goes_on_to_the_same(
    long_films: Path, tmp_path: Path, tiny_bert: Path, children: Children
) -> None:
    place, columns = tmp_path / "place", [flag for flag in CSV if flag not in ("--image", "poster")]
    shutil.copytree(long_films, place)
    encode = ["encode", "films.csv", *columns, "--split", "part", "--text-encoder", str(tiny_bert)]
    encode += ["--encode-batch-size", "16", "-o", "out"]
    children.run(place, *encode)
    shutil.rmtree(place / "out")
    code, seconds = children.run(place, *encode)
    assert code == 0, said(place)
    whole = check_encoded(place / "out")
    names = {path.name for path in (place / "out").iterdir()}
    ends: dict[str, int] = {}
    for number, moment in enumerate(moments(seconds, 1)):
        if number % 4:  # or else over what is there
            shutil.rmtree(place / "out")
        children.run(place, *encode, kill_after=moment)
        found = check_encoded(place / "out")
        parts = list((place / "out").glob("cache/*/part-*.npy"))
        end = "whole" if found else "kept" if parts else "nothing"
        ends[end] = ends.get(end, 0) + 1
        code, _ = children.run(place, *encode)
        assert code == 0, said(place)
        found = check_encoded(place / "out")
        assert found.keys() == whole.keys()
        for name, value in whole.items():
            if value.dtype.kind == "f":  # a network rounds by who else is in the batch
                np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(found[name], value)
        assert {path.name for path in (place / "out").iterdir()} == names, f"after {moment} s"
        hidden = [path.name for path in (place / "out").rglob(".*")]
        assert hidden == [], f"after {moment} s"
    print(f"encode: killed at {KILLS} moments of {seconds:.1f} s: {ends}")
