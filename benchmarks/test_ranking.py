"""Time and memory of ranking a million items by 64 draws, against what it must reach.

make bench
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("ranking.py")


def rank_apart(num_items: int, num_draws: int) -> dict[str, float]:
    """Rank in a process of its own, so that the peak memory is its own."""
    arguments = [sys.executable, str(PROGRAM), str(num_items), str(num_draws)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(", ".join(f"{name} {value:,.4g}" for name, value in found.items()))
    return found


@pytest.mark.benchmark(group="ranks of 1,000,000 items from 64 draws")
def test_ranks_of_1_000_000_items(benchmark: Any) -> None:
    found = benchmark.pedantic(rank_apart, args=(1_000_000, 64), rounds=1)
    benchmark.extra_info.update(found)
    assert found["seconds"] < 120
    assert found["mib"] < 240  # the draws, in float32, are 244 MiB on disk
