"""Seconds and peak memory of ranking items by draws, in a process of its own.

python benchmarks/ranking.py NUM_ITEMS NUM_DRAWS
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bayesfuse.evaluation.draw_file import DrawFile
from bayesfuse.evaluation.ranking import near_ties, rank_draws, write_scores

CHUNK = 20_000


def chunks(num_items: int, num_draws: int) -> Iterator[NDArray[np.float32]]:
    """Yield scores as a classifier's would come, joint over draws, `draws x items`."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(num_draws, 8)).astype(np.float32)
    for start in range(0, num_items, CHUNK):
        items = min(CHUNK, num_items - start)
        features = rng.normal(size=(8, items)).astype(np.float32)
        logits = 2 * rng.normal(size=items) - 2 + 0.3 * weights @ features
        yield (1 / (1 + np.exp(-logits))).astype(np.float32)


def main(num_items: int, num_draws: int) -> None:
    """Rank, and print what it took as JSON."""
    started, before = time.perf_counter(), peak_mib()
    with DrawFile(num_draws, num_items) as scores:
        write_scores(scores, chunks(num_items, num_draws))
        found = rank_draws(scores)
        groups = near_ties(scores, found.order())
    seconds = time.perf_counter() - started
    told = {"seconds": seconds, "mib": peak_mib() - before, "peak_mib": peak_mib()}
    print(json.dumps({**told, "groups": int(groups[-1])}))


def peak_mib() -> float:
    """Return the peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
