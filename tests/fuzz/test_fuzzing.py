"""Broken files of every kind: what comes out is a result or a `BayesfuseError`.

`BAYESFUSE_FUZZ_CASES` says how many files a reader is given; `make fuzz` gives it many.
"""

from __future__ import annotations

import os
import time
import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import files
from tests.fuzz.targets import CORPUS, TARGETS

CASES = int(os.environ.get("BAYESFUSE_FUZZ_CASES", "500"))

MOST_SECONDS = 10
"""Of the processor, that a small file may take."""


def kept(name: str) -> list[bytes]:
    """Return the files that are kept of a reader: faults that were found, and mended."""
    return [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_good_file_is_read(name: str) -> None:
    for start in TARGETS[name].starts():
        assert TARGETS[name].run(start) == "read"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name in TARGETS if kept(name)))
def test_faults_stay_mended(name: str) -> None:
    for data in kept(name):
        TARGETS[name].run(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_broken_file_is_a_result_or_a_told_mistake(name: str) -> None:
    target = TARGETS[name]
    broken = files(target.file, target.starts(), kept(name))

    @settings(
        max_examples=CASES,
        deadline=None,  # of the clock on the wall, which says little on a machine that is busy
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(broken | st.binary(max_size=40))
    def check(data: bytes) -> None:
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            target.run(data)
        assert time.process_time() - started < MOST_SECONDS

    check()


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has a fault fails: the fuzzing can see one."""
    from bayesfuse.config import base

    target = TARGETS["settings-json"]
    monkeypatch.setattr(base, "parse_json", lambda text: [][len(text)])
    with pytest.raises(IndexError):
        target.run(target.starts()[0])
