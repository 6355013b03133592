"""A graph of given pairs: a table of two columns of ids, perhaps with a relation and a weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.table_columns import Cell
from bayesfuse.data.tables import is_blank, open_table
from bayesfuse.errors import CatalogError, did_you_mean
from bayesfuse.graph.building import MAX_RELATIONS
from bayesfuse.graph.csr import Int64, check_self_loops
from bayesfuse.graph.entity_graph import EntityGraph

EDGE = "edge"
"""What the one relation is called where the table names none."""

_MAX_COMPARED = 20_000  # ids; looking for the nearest among more takes too long


def from_edges(
    table: str | Path | Mapping[str, Sequence[Cell]],
    ids: Sequence[str] | NDArray[np.str_],
    *,
    source: str = "source",
    target: str = "target",
    relation: str | None = None,
    weight: str | None = None,
    delimiter: str | None = None,
    self_loops: str = "isolated",
) -> EntityGraph:
    """Read a graph from pairs of ids; a pair joins both ways, whichever way it is written.

    A pair that is given twice in the same relation is merged, and so are relations: the weight of
    an edge is the sum over its relations.

    Args:
        table: A Parquet, CSV or JSON-lines file, or column -> cells.
        ids: The id of every node, `nodes`, such as `Catalog.ids`.
        source: The column of one end of a pair.
        target: The column of the other end.
        relation: The column that names the relation of a pair; `edge` is the one, if not given.
        weight: The column of weights: finite numbers.
        delimiter: What separates the fields of a CSV.
        self_loops: Which nodes hear themselves: `isolated`, `all` or `none`.

    Returns:
        The graph, one node an id, in the same order; its `warnings` say what was merged.

    Raises:
        CatalogError: With every mistake that was found: columns that are missing, ids that are
            empty or unknown, pairs of an item with itself, weights that are no finite number or
            differ for one pair.
        ConfigError: If the choice of self-loops is unknown.

    Example:
        >>> graph = from_edges({"source": ["a", "b"], "target": ["b", "a"]}, ["a", "b", "c"])
        >>> graph.indices.tolist(), graph.warnings
        ([1, 0, 2], ('1 of 2 pairs is given again, this or the other way round: merged.',))
    """
    check_self_loops(self_loops)
    name = str(table) if isinstance(table, str | Path) else "edges"
    findings = Findings()
    roles = {"source": source, "target": target, "relation": relation, "weight": weight}
    columns = _columns(table, delimiter, roles, name, findings)
    reading = _Reading(name, {text: row for row, text in enumerate(map(str, ids))}, findings)
    ends = [reading.ends(columns.get(role), role) for role in ("source", "target")]
    names, relations = reading.relations(columns.get("relation"))
    weights = reading.weights(columns.get("weight"))
    if all(end is not None for end in ends):
        reading.no_self_pairs(*ends)
    findings.raise_problems(name)
    (first, second), num_nodes = ends, len(reading.positions)
    assert first is not None, "a missing column is a problem"
    assert second is not None, "a missing column is a problem"
    if relations is None:
        relations = np.zeros(len(first), dtype=np.int64)
    pairs = _Pairs(np.minimum(first, second), np.maximum(first, second), relations, weights)
    pairs = _merged(pairs, num_nodes, len(names), findings)
    findings.raise_problems(name)
    return _graph(pairs, num_nodes, names, self_loops, tuple(findings.warnings))


@dataclass
class _Reading:
    """The columns of a table of pairs being read; every mistake goes into the findings."""

    name: str
    positions: Mapping[str, int]
    findings: Findings

    def ends(self, cells: Sequence[Cell] | None, role: str) -> Int64 | None:
        """Return the node of each id, -1 where there is none."""
        if cells is None:
            return None
        blank = [row for row, cell in enumerate(cells) if is_blank(cell)]
        if blank:
            self.findings.problem(
                f"{role}: {len(blank)} of {len(cells)} ids are empty (rows {first_few(blank)}, "
                "counted from 0)."
            )
        nodes = np.fromiter(
            (self.positions.get(str(cell), -1) for cell in cells), np.int64, len(cells)
        )
        unknown = [row for row in np.flatnonzero(nodes < 0).tolist() if not is_blank(cells[row])]
        if unknown:
            shown = [f'"{cells[row]}" in row {row}' for row in unknown[:3]]
            shown += [""] * (len(unknown) - len(shown))
            options = self.positions if len(self.positions) <= _MAX_COMPARED else ()
            self.findings.problem(
                f"{role}: {len(unknown)} of {len(cells)} ids are none of the catalogue's "
                f"{len(self.positions)} ({first_few(shown)}; rows are counted from 0)."
                f"{did_you_mean(str(cells[unknown[0]]), options)}"
            )
        return nodes

    def relations(self, cells: Sequence[Cell] | None) -> tuple[tuple[str, ...], Int64 | None]:
        """Return the relations, in order of appearance, and that of each pair."""
        if cells is None:
            return (EDGE,), None
        blank = [row for row, cell in enumerate(cells) if is_blank(cell)]
        if blank:
            self.findings.problem(
                f"relation: {len(blank)} of {len(cells)} are empty (rows {first_few(blank)}, "
                "counted from 0)."
            )
        order: dict[str, int] = {}
        numbers = [order.setdefault(str(cell).strip(), len(order)) for cell in cells]
        if len(order) > MAX_RELATIONS:
            self.findings.problem(
                f"relation: {len(order)} different ones ({first_few(list(order))}); expected at "
                f"most {MAX_RELATIONS}."
            )
        return tuple(order), np.array(numbers, dtype=np.int64)

    def weights(self, cells: Sequence[Cell] | None) -> NDArray[np.float64] | None:
        """Return the weight of each pair."""
        if cells is None:
            return None
        values = np.array([_number(cell) for cell in cells], dtype=np.float64)
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(np.float32))
        odd = np.flatnonzero(~finite).tolist()
        if odd:
            shown = [f"{cells[row]!r} in row {row}" for row in odd[:3]]
            shown += [""] * (len(odd) - len(shown))
            self.findings.problem(
                f"weight: {len(odd)} of {len(cells)} are no finite number ({first_few(shown)}; "
                "rows are counted from 0)."
            )
        return values

    def no_self_pairs(self, first: Int64 | None, second: Int64 | None) -> None:
        """Note pairs of an item with itself."""
        own = np.flatnonzero((first == second) & (np.asarray(first) >= 0)).tolist()
        if own:
            self.findings.problem(
                f"{len(own)} pairs join an item to itself (rows {first_few(own)}, counted from "
                "0). Leave them out; self-loops are an option of their own."
            )


@dataclass(frozen=True)
class _Pairs:
    """Pairs, the lower node first.

    Attributes:
        low: The lower node, `pairs`.
        high: The higher node, `pairs`.
        relations: Number of the relation, `pairs`.
        weights: Weights, `pairs`, if there are any.
    """

    low: Int64
    high: Int64
    relations: Int64
    weights: NDArray[np.float64] | None

    def take(self, rows: Int64) -> _Pairs:
        weights = None if self.weights is None else self.weights[rows]
        return _Pairs(self.low[rows], self.high[rows], self.relations[rows], weights)


def _merged(pairs: _Pairs, num_nodes: int, num_relations: int, findings: Findings) -> _Pairs:
    """Return each pair of each relation once, sorted; other weights for one pair are a problem."""
    keys = (pairs.low * num_nodes + pairs.high) * num_relations + pairs.relations
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    num_again = len(keys) - len(starts)
    if num_again:
        findings.warn(
            f"{num_again:,} of {len(keys):,} pairs {'is' if num_again == 1 else 'are'} given "
            "again, this or the other way round: merged."
        )
    if pairs.weights is not None and len(starts):
        weights = pairs.weights[order]
        differ = np.maximum.reduceat(weights, starts) != np.minimum.reduceat(weights, starts)
        if differ.any():
            start = starts[np.flatnonzero(differ)[0]]
            other = start + int(np.argmax(weights[start:] != weights[start]))
            findings.problem(
                f"weight: {int(differ.sum())} pairs are given with different weights (first: rows "
                f"{order[start]} and {order[other]}, counted from 0, {weights[start]:g} and "
                f"{weights[other]:g}). Give each pair once."
            )
    return pairs.take(order[starts])


def _graph(
    pairs: _Pairs,
    num_nodes: int,
    names: tuple[str, ...],
    self_loops: str,
    warnings: tuple[str, ...],
) -> EntityGraph:
    """Join each pair both ways; the weights of its relations are added."""
    masks = np.left_shift(np.uint64(1), pairs.relations.astype(np.uint64))
    weights = None
    if pairs.weights is not None:
        # Sorted by pair, then relation.
        first = np.diff(pairs.low * num_nodes + pairs.high, prepend=-1) != 0
        edge = np.cumsum(first) - 1
        weights = np.bincount(edge, pairs.weights)[edge].astype(np.float32)
        weights = np.concatenate([weights, weights])
    return EntityGraph.from_pairs(
        num_nodes,
        np.concatenate([pairs.low, pairs.high]),
        np.concatenate([pairs.high, pairs.low]),
        relation_names=names,
        masks=np.concatenate([masks, masks]),
        weights=weights,
        self_loops=self_loops,
        warnings=warnings,
    )


def _columns(
    table: str | Path | Mapping[str, Sequence[Cell]],
    delimiter: str | None,
    roles: Mapping[str, str | None],
    name: str,
    findings: Findings,
) -> dict[str, Sequence[Cell]]:
    """Return role -> cells, of the columns that are there."""
    opened = None
    if isinstance(table, str | Path):
        opened = open_table(Path(table), delimiter)
        names: Sequence[str] = opened.names
    else:
        names = list(map(str, table))
    columns: dict[str, Sequence[Cell]] = {}
    for role, column in roles.items():
        if column is None:
            continue
        if column not in names:
            findings.problem(
                f'{role}: {name} has no column "{column}"; it has {", ".join(names)}.'
                f"{did_you_mean(column, names)} Name it with --edge-{role}."
            )
            continue
        if opened is not None:
            with findings.gathering():
                columns[role] = opened.column(column)
        else:
            assert not isinstance(table, str | Path)
            columns[role] = list(table[column])
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise CatalogError(name, [f"columns of different lengths: {sorted(lengths)}."])
    unread = [column for column in names if column not in roles.values()]
    if unread:
        findings.warn(f"{name}: not read: {', '.join(unread)}.")
    return columns


def _number(cell: Cell) -> float:
    """Return a cell as a number, NaN where it is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float | np.number):
        return float("nan")
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return float("nan")
