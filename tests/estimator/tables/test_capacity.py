"""How many processes: by cores, by memory, by what there is to do, or as the user says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.tables import capacity
from bayesfuse.estimator.tables.capacity import LIBRARIES, choose_jobs, free_memory, usable_cores

PLENTY = 2**40


def test_cores_memory_and_fits_bound_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "usable_cores", lambda: 8)
    assert choose_jobs(None, 100, 10**6, "cpu", PLENTY).jobs == 8
    assert choose_jobs(None, 3, 10**6, "cpu", PLENTY).jobs == 3
    few = choose_jobs(None, 100, 10, "cpu", 4 * LIBRARIES)
    assert few.jobs == 3
    assert few.reason == "8 cores, 2.7 GiB free, about 0.7 GiB a fit"
    assert choose_jobs(None, 100, 10**9, "cpu", 40 * 2**30).jobs == 3
    assert choose_jobs(None, 100, 10**9, "cpu", 2**30).jobs == 1


def test_a_device_is_shared_only_if_asked() -> None:
    assert choose_jobs(None, 100, 10, "cuda", PLENTY).jobs == 1
    assert choose_jobs(3, 100, 10, "cuda", PLENTY).jobs == 3
    with pytest.raises(ConfigError, match="--jobs is 0"):
        choose_jobs(0, 1, 1, "cpu", PLENTY)


def test_the_system_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 99 kB\nMemAvailable:    2048 kB\n")
    monkeypatch.setattr(capacity, "MEMINFO", file)
    assert free_memory() == 2**21
    monkeypatch.setattr(capacity, "MEMINFO", tmp_path / "none")
    assert free_memory() is None
    told = choose_jobs(None, 1, 10, "cpu")
    assert (told.jobs, "not known here" in told.reason) == (1, True)
