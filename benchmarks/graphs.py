"""Catalogues of names for the benchmarks: groups of very different sizes, drawn from a seed.

    python benchmarks/graphs.py ITEMS MEAN_DEGREE

builds one graph in this process and prints its size, the seconds and the peak memory.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from bayesfuse.graph.entity_graph import EntityGraph

RELATIONS = {"director": 1.0, "producer": 1.5, "writer": 1.5, "cinematographer": 0.6, "art": 0.4}
"""Relation -> the mean number of names of an item."""


def draw_people(num_items: int, mean_degree: float, seed: int = 0) -> dict[str, list[list[str]]]:
    """Draw names so that an item has about `mean_degree` neighbours over all relations.

    How often a name is drawn is lognormal: a few names are in hundreds of items, most in a few.
    """
    rng = np.random.default_rng(seed)
    spread = 1.0
    people = {}
    for relation, names_an_item in RELATIONS.items():
        # A name of an item stands for E[size^2] / E[size] others: its share of the wanted degree.
        degree_a_name = mean_degree / sum(RELATIONS.values())
        num_names = int(num_items * names_an_item * np.exp(spread**2) / degree_a_name) + 1
        popularity = rng.lognormal(0, spread, num_names)
        counts = rng.poisson(names_an_item, num_items)
        drawn = rng.choice(num_names, size=counts.sum(), p=popularity / popularity.sum())
        texts = [f"José {number:x} O'Name" for number in range(num_names)]
        ends = np.cumsum(counts).tolist()
        numbers = drawn.tolist()
        people[relation] = [
            [texts[i] for i in numbers[begin:end]]
            for begin, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
    return people


def peak_memory() -> float:
    """Return the most memory that this process has held at a time, in GiB."""
    # not ru_maxrss, which starts at what the parent process had
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split()[0]) / 1024**2


def main() -> None:
    """Build a graph and print what it took, as JSON."""
    num_items, mean_degree = int(sys.argv[1]), float(sys.argv[2])
    people = draw_people(num_items, mean_degree)
    before = peak_memory()
    started, cpu_started = time.perf_counter(), time.process_time()
    graph = EntityGraph.from_people(people)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    print(
        json.dumps(
            {
                "items": graph.num_nodes,
                "edges": graph.num_edges,
                "mean_degree": float(graph.degrees().mean()),
                "max_degree": int(graph.degrees().max()),
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "names_gib": before,
                "peak_gib": peak_memory(),
            }
        )
    )


if __name__ == "__main__":
    main()
