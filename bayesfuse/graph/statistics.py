"""What an entity graph looks like in numbers: by relation and over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.aligned import aligned
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph

UNION = "union"
"""The row of all relations together."""

STRATA = (0, 5, 20)
"""Upper ends of the strata of degree: no neighbour, 1 to 5, 6 to 20, more."""

_BAR = 30  # characters of the longest bar


@dataclass(frozen=True)
class GraphRow:
    """One relation, or their union; self-loops do not count.

    Attributes:
        name: The relation.
        named: The number of items that have a name; None in a graph of given pairs.
        names: The number of different names, after folding; None in a graph of given pairs.
        edges: The number of joined pairs, each once.
        mean_degree: The mean number of neighbours of a node.
        median_degree: The median.
        max_degree: The largest.
        isolated: The number of nodes without a neighbour.
        isolated_share: Their share of all nodes.
        cut: The number of names that join nobody since too many items have them.
    """

    name: str
    named: int | None
    names: int | None
    edges: int
    mean_degree: float
    median_degree: float
    max_degree: int
    isolated: int
    isolated_share: float
    cut: int


@dataclass(frozen=True)
class DegreeBin:
    """How many nodes have from `low` to `high` neighbours."""

    low: int
    high: int
    count: int


@dataclass(frozen=True)
class GraphStatistics:
    """What `describe_graph` returns; print it, or take `to_dict`.

    Attributes:
        num_nodes: The number of nodes.
        self_loops: Which nodes hear themselves: `isolated`, `all` or `none`.
        num_self_loops: How many do.
        rows: A row a relation, then their union.
        histogram: Degrees in the union.
        warnings: What building the graph warned of.
    """

    num_nodes: int
    self_loops: str
    num_self_loops: int
    rows: tuple[GraphRow, ...]
    histogram: tuple[DegreeBin, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        plain = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }

    def __str__(self) -> str:
        """Return aligned plain text."""
        head = ["relation", "items with", "names", "edges", "mean degree", "median", "max"]
        head += ["isolated", "share"]
        rows = [
            [
                row.name,
                _count(row.named),
                _count(row.names),
                _count(row.edges),
                f"{row.mean_degree:.2f}",
                f"{row.median_degree:g}",
                _count(row.max_degree),
                _count(row.isolated),
                f"{row.isolated_share:.1%}",
            ]
            for row in self.rows
        ]
        if any(row.cut for row in self.rows):
            head.append("names cut")
            for row, cells in zip(self.rows, rows, strict=True):
                cells.append(_count(row.cut))
        bins = [
            (
                f"{b.low:,}" if b.low == b.high else f"{b.low:,}–{b.high:,}",
                f"{b.count:,}",
                f"{b.count / self.num_nodes:.1%}",
            )
            for b in self.histogram
        ]
        histogram = aligned(("neighbours", "nodes", "share"), bins).split("\n")
        bars = ["", *_bars([b.count for b in self.histogram])]
        parts = [
            f"{_some(self.num_nodes, 'node')}, {_some(self.rows[-1].edges, 'edge')}, self-loops: "
            f"{self.num_self_loops:,} ({self.self_loops})",
            aligned(head, rows),
            "\n".join(f"{a}  {b}".rstrip() for a, b in zip(histogram, bars, strict=True)),
        ]
        parts += [f"warning: {warning}" for warning in self.warnings]
        return "\n\n".join(parts)


def describe_graph(graph: EntityGraph) -> GraphStatistics:
    """Count nodes, edges and degrees, by relation and over all.

    Args:
        graph: The graph.

    Returns:
        The numbers.
    """
    rows = []
    for name in graph.relation_names:
        named, names = None, None
        if graph.people is not None:
            entities = graph.people[name]
            named, names = int((np.diff(entities.indptr) > 0).sum()), len(entities.keys)
        cut = sum(group.relation == name for group in graph.cut)
        rows.append(_row(name, graph.relation(name), named, names, cut))
    named = None
    if graph.people is not None:
        lists = [np.diff(entities.indptr) > 0 for entities in graph.people.relations.values()]
        named = int(np.any(lists, axis=0).sum())
    # A director and a writer of one name are not one: there is no number of names over all.
    rows.append(_row(UNION, graph.adjacency, named, None, len(graph.cut)))
    return GraphStatistics(
        graph.num_nodes,
        graph.self_loops,
        int(graph.adjacency.is_loop().sum()),
        tuple(rows),
        degree_histogram(graph.degrees()),
        graph.warnings,
    )


def degree_histogram(degrees: NDArray[np.int64]) -> tuple[DegreeBin, ...]:
    """Count nodes by degree, in bins that double: 0, 1, 2–3, 4–7 and so on.

    Example:
        >>> [(b.low, b.high, b.count) for b in degree_histogram(np.array([0, 1, 2, 3, 5]))]
        [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 1)]
    """
    if not len(degrees):
        return ()
    # The bit length of a degree is its bin.
    number = np.ceil(np.log2(degrees + 1)).astype(np.int64)
    counts = np.bincount(number).tolist()
    return tuple(DegreeBin((1 << b) // 2, (1 << b) - 1, count) for b, count in enumerate(counts))


def degree_strata(
    degrees: NDArray[np.int64], ends: Sequence[int] = STRATA
) -> dict[str, NDArray[np.bool_]]:
    """Sort nodes into strata of degree, to compare like with like.

    Args:
        degrees: The number of neighbours of each node, `nodes`.
        ends: The largest degree of each stratum but the last, in ascending order.

    Returns:
        The name of each stratum -> which nodes are in it, `nodes`.

    Example:
        >>> {name: int(of.sum()) for name, of in degree_strata(np.array([0, 3, 5, 99])).items()}
        {'0': 1, '1–5': 2, '6–20': 0, 'more than 20': 1}
    """
    place = np.searchsorted(np.asarray(ends), degrees)
    strata = {}
    low = 0
    for number, high in enumerate(ends):
        strata[f"{low}" if low == high else f"{low}–{high}"] = place == number
        low = high + 1
    strata[f"more than {ends[-1]}"] = place == len(ends)
    return strata


def _row(name: str, graph: Adjacency, named: int | None, names: int | None, cut: int) -> GraphRow:
    degrees = graph.degrees()
    isolated = int((degrees == 0).sum())
    some = len(degrees) > 0
    return GraphRow(
        name=name,
        named=named,
        names=names,
        edges=graph.num_pairs(),
        mean_degree=float(degrees.mean()) if some else 0.0,
        median_degree=float(np.median(degrees)) if some else 0.0,
        max_degree=int(degrees.max()) if some else 0,
        isolated=isolated,
        isolated_share=isolated / len(degrees) if some else 0.0,
        cut=cut,
    )


def _bars(counts: Sequence[int]) -> list[str]:
    """Return a bar for each count, the longest for the largest; a count that is not 0 shows."""
    most = max(counts, default=0)
    return ["#" * -(-_BAR * count // most) if count else "" for count in counts]


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
