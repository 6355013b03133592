"""A table is made of what is kept and what is fitted, and a stopped one goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesfuse import FeatureTable
from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.tables import running
from bayesfuse.estimator.tables.running import Plan, compare_models
from bayesfuse.estimator.tables.workers import Done, Failure, in_processes
from tests.estimator.competitors.conftest import SMALL

FAST = {**SMALL, "epochs": 2, "annealing_epochs": 1, "graph_width": 4, "graph_heads": 2}


def test_a_table_of_two_seeds_and_nothing_twice(
    folder: Path, tmp_path: Path, here: list[str]
) -> None:
    said: list[str] = []
    plan = Plan(tmp_path / "kept", seeds=2, jobs=1, replicates=20, tell=said.append)
    given = {**FAST, "seed": 5}
    table = compare_models(str(folder), ["text", "gmu"], given, plan)
    rows = ["text", "text (Bayes)", "gmu", "gmu (Bayes)"]
    assert list(table.results) == rows
    assert here == [f"{row} {seed}" for seed in (5, 6) for row in rows]
    assert said == ["8 fits; 8 to do, in 1 process of one thread (as --jobs says)."]
    assert {len(found) for found in table.results.values()} == {2}
    assert table.difference("gmu", "macro_ap").estimate != 0

    here.clear()
    said.clear()
    again = compare_models(str(folder), ["gmu", "text"], given, plan)
    assert here == []
    assert "8 of them kept" in said[0]
    assert "nothing is left to fit" in said[0]
    assert list(again.results) == ["gmu", "gmu (Bayes)", "text", "text (Bayes)"]
    for row in rows:
        assert again.seeds(row, "nll") == table.seeds(row, "nll")

    more = dataclasses.replace(plan, seeds=3, replicates=30)
    wider = compare_models(str(folder), ["text"], given, more)
    assert here == ["text 7", "text (Bayes) 7"]
    assert wider.mean("text", "nll").resampled[1] == 30
    here.clear()
    compare_models(str(folder), ["text"], {**given, "hidden": 9}, plan)
    assert len(here) == 4  # other settings are another fit


def test_an_interrupted_table_goes_on(
    folder: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    plan = Plan(tmp_path / "kept", seeds=1, jobs=1, replicates=9, on_fit=stop)
    with pytest.raises(KeyboardInterrupt):
        compare_models(str(folder), ["text", "moe"], FAST, plan)
    assert len(list((tmp_path / "kept" / "rows").iterdir())) == 3
    here.clear()
    table = compare_models(
        str(folder), ["text", "moe"], FAST, dataclasses.replace(plan, on_fit=None)
    )
    assert here == ["moe (Bayes) 0"]
    assert len(table.results) == 4


def test_what_cannot_take_the_catalogue_is_listed_with_the_reason(
    folder: Path, tmp_path: Path, here: list[str]
) -> None:
    toml = (folder / "catalog.toml").read_text()
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    for name in ("films.parquet", "features.npz"):
        (strangers / name).symlink_to(folder / name)
    (strangers / "catalog.toml").write_text(toml.split("[graph]")[0])
    plan = Plan(tmp_path / "kept", jobs=1, replicates=9)
    table = compare_models(str(strangers), ["image", "gat"], {**FAST, "elbo": "none"}, plan)
    assert list(table.results) == ["image"]
    (left,) = table.left_out
    assert left.name == "gat"
    assert "people" in left.reason
    assert f"gat: {left.reason}" in str(table)
    with pytest.raises(UserError, match=r"No row could be fitted on .*\n  gat: "):
        compare_models(str(strangers), ["gat"], {**FAST, "elbo": "none"}, plan)


def test_what_breaks_is_told_at_once_and_tried_again(
    folder: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = running.in_processes

    def breaking(*args: object, **how: object) -> Iterator[Done[Any, Any]]:
        for done in inline(*args, **how):  # type: ignore[arg-type]
            broken = done.task.row == "moe"
            yield Done(done.task, Failure("it was killed", expected=False)) if broken else done

    said: list[str] = []
    plan = Plan(tmp_path / "kept", jobs=1, replicates=9, on_warning=said.append)
    given = {**FAST, "elbo": "none"}
    with monkeypatch.context() as now:
        now.setattr(running, "in_processes", breaking)
        table = compare_models(str(folder), ["gmu", "moe"], given, plan)
    assert "moe: it was killed" in said
    assert [one.name for one in table.left_out] == ["moe"]
    here.clear()
    assert list(compare_models(str(folder), ["gmu", "moe"], given, plan).results) == ["gmu", "moe"]
    assert here == ["moe 0"]


def test_steps_of_sequences_count_for_memory() -> None:
    arrays = {"text": np.zeros((4, 7, 3)), "image": np.zeros((4, 5))}
    assert running._numbers_an_item(FeatureTable.from_arrays(arrays)) == 7 * 3 + 5


def test_mistakes_are_told_before_anything_is_read(tmp_path: Path) -> None:
    plan = Plan(tmp_path, seeds=0, scored="train", jobs=0, replicates=0)
    with pytest.raises(
        ConfigError, match=r"(?s)--on.*--seeds is 0.*--replicates is 0.*--jobs is 0"
    ):
        compare_models("nowhere", ["gmu"], {}, plan)


def test_there_must_be_items_to_score(folder: Path, tmp_path: Path, here: list[str]) -> None:
    toml = (folder / "catalog.toml").read_text()
    untested = tmp_path / "untested"
    untested.mkdir()
    (untested / "features.npz").symlink_to(folder / "features.npz")
    frame = pd.read_parquet(folder / "films.parquet")
    frame["split"] = frame["split"].replace("test", "train")
    frame.to_parquet(untested / "films.parquet")
    (untested / "catalog.toml").write_text(toml)
    plan = Plan(tmp_path / "kept", scored="test")
    with pytest.raises(UserError, match='no labelled items in the split "test"'):
        compare_models(str(untested), ["gmu"], FAST, plan)


@pytest.mark.slow
def test_a_killed_run_goes_on_with_what_is_missing(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in FAST.items()]
    command = [
        *(sys.executable, "-m", "bayesfuse", "compare", str(folder), "--models", "text,gmu,moe"),
        *("--jobs", "2", "--replicates", "9", "--results", str(kept), *words),
    ]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(kept.glob("rows/*.npz")):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = {path: path.stat().st_mtime_ns for path in kept.glob("rows/*.npz")}
    assert 0 < len(before) < 6
    assert not (kept / "table.md").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert f"6 fits, {len(before)} of them kept" in done.stderr
    after = {path: path.stat().st_mtime_ns for path in kept.glob("rows/*.npz")}
    assert len(after) == 6
    assert {path: after[path] for path in before} == before
    assert (kept / "table.md").is_file()
    assert not list(kept.glob("rows/.*"))


@pytest.mark.slow
def test_processes_fit_what_one_fits(folder: Path, tmp_path: Path, here: list[str]) -> None:
    plans = [Plan(tmp_path / name, jobs=2, replicates=9) for name in ("one", "two")]
    alone = compare_models(str(folder), ["text", "gmu"], FAST, plans[0])
    with pytest.MonkeyPatch.context() as undone:
        undone.setattr(running, "in_processes", in_processes)
        shared = compare_models(str(folder), ["text", "gmu"], FAST, plans[1])
    assert len(here) == 4
    for row, (one,) in alone.results.items():
        (other,) = shared.results[row]
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
