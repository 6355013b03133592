r"""Whether neighbours share labels more than chance has it; of train items alone.

For a pair of neighbours i, j of train with label sets :math:`Y_i, Y_j`:

.. math:: J = \operatorname{mean}_{(i, j)} \frac{|Y_i \cap Y_j|}{|Y_i \cup Y_j|}, \qquad
          s_c = P(c \in Y_j \mid c \in Y_i)

Two empty sets agree (1). Chance: the label sets of the train items are dealt out anew at random,
and the graph stays. Then J is on average the mean over all pairs of different items, and
:math:`s_c` is :math:`(n_c - 1)/(n - 1)`, where :math:`n_c` of the n items have the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.data.aligned import aligned
from bayesfuse.errors import FeatureError
from bayesfuse.graph.csr import Adjacency, Int64
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.statistics import UNION

MAX_SETS = 3000
"""Up to so many different label sets all pairs of them are compared; beyond, a sample is."""

NUM_SAMPLED = 200_000
_CHUNK = 1 << 16


@dataclass(frozen=True)
class RelationHomophily:
    """How alike the neighbours of one relation are.

    Attributes:
        name: The relation, or `union`.
        num_pairs: The number of joined pairs of train items.
        jaccard: Their mean Jaccard index; None where there is no pair.
        chance: Its expectation by chance; None where there are fewer than two items.
        spread: Its standard deviation by chance, over permutations; None without them.
        shares: For each label the probability that a neighbour of an item with it has it too;
            None where no such item has a neighbour.
    """

    name: str
    num_pairs: int
    jaccard: float | None
    chance: float | None
    spread: float | None
    shares: tuple[float | None, ...]


@dataclass(frozen=True)
class Homophily:
    """What `homophily` returns; print it, or take `to_dict`.

    Attributes:
        num_items: The number of train items.
        label_names: The labels.
        label_chances: For each label the probability that another item drawn at random has it,
            given that one has; None where no item has it.
        relations: A row a relation, then their union.
    """

    num_items: int
    label_names: tuple[str, ...]
    label_chances: tuple[float | None, ...]
    relations: tuple[RelationHomophily, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return aligned plain text."""
        rows = [
            (
                row.name,
                f"{row.num_pairs:,}",
                _number(row.jaccard),
                _number(row.chance),
                _number(row.spread, 4),
                "-" if not row.jaccard or not row.chance else f"{row.jaccard / row.chance:.2f}",
            )
            for row in self.relations
        ]
        union = self.relations[-1]
        labels = [
            (name, _percent(share), _percent(chance))
            for name, share, chance in zip(
                self.label_names, union.shares, self.label_chances, strict=True
            )
        ]
        return "\n\n".join(
            [
                f"labels of neighbours, {self.num_items:,} items of train",
                aligned(("relation", "pairs", "Jaccard", "by chance", "±", "ratio"), rows),
                aligned(("label", "neighbour has it too", "by chance"), labels),
            ]
        )


def homophily(
    graph: EntityGraph,
    labels: ArrayLike,
    train: ArrayLike,
    label_names: Sequence[str],
    *,
    num_permutations: int = 100,
    seed: int = 0,
) -> Homophily:
    """Compare the labels of neighbours in train with chance, by relation and over all.

    Args:
        graph: The graph of all items.
        labels: 0 or 1, `train items x labels`: those of train alone.
        train: Which nodes are train items with known labels, `nodes`, bool.
        label_names: The labels.
        num_permutations: How often label sets are dealt out anew for `spread`; 0 for none.
        seed: Of the permutations.

    Returns:
        The numbers.

    Raises:
        FeatureError: If the arrays do not fit each other.
    """
    mask, values = _checked(graph.num_nodes, labels, train, label_names)
    rng = np.random.default_rng(seed)
    likeness = _Likeness(values, rng)
    count = values.sum(axis=0)
    rows = {name: graph.relation(name) for name in graph.relation_names}
    rows[UNION] = graph.adjacency
    return Homophily(
        num_items=len(values),
        label_names=tuple(label_names),
        label_chances=tuple(
            None if len(values) < 2 or not n else (n - 1) / (len(values) - 1)
            for n in count.tolist()
        ),
        relations=tuple(
            _relation(name, _pairs(adjacency, mask), values, likeness, num_permutations, rng)
            for name, adjacency in rows.items()
        ),
    )


def _relation(
    name: str,
    pairs: tuple[Int64, Int64],
    values: NDArray[np.bool_],
    likeness: _Likeness,
    num_permutations: int,
    rng: np.random.Generator,
) -> RelationHomophily:
    first, second = pairs
    jaccard = likeness.mean(first, second) if len(first) else None
    spread = None
    if len(first) and num_permutations > 1:
        dealt = []
        for _ in range(num_permutations):
            order = rng.permutation(len(values))
            dealt.append(likeness.mean(order[first], order[second]))
        spread = float(np.std(dealt, ddof=1))
    # Each pair counts both ways.
    both = np.zeros(values.shape[1])
    either = np.zeros(values.shape[1])
    for begin in range(0, len(first), _CHUNK):
        one, two = values[first[begin : begin + _CHUNK]], values[second[begin : begin + _CHUNK]]
        both += 2 * (one & two).sum(axis=0)
        either += one.sum(axis=0) + two.sum(axis=0)
    shares = tuple(
        b / e if e else None for b, e in zip(both.tolist(), either.tolist(), strict=True)
    )
    return RelationHomophily(name, len(first), jaccard, likeness.chance, spread, shares)


def _pairs(graph: Adjacency, train: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """Return the joined pairs of train items, each once, as places among the train items."""
    rows = graph.rows()
    low, high = np.minimum(rows, graph.indices), np.maximum(rows, graph.indices)
    wanted = (low < high) & train[low] & train[high]
    keys = np.unique(low[wanted] * graph.num_nodes + high[wanted])
    place = np.cumsum(train) - 1
    return place[keys // graph.num_nodes], place[keys % graph.num_nodes]


class _Likeness:
    """The Jaccard index of the label sets of items.

    Attributes:
        chance: Its mean over all pairs of different items, or over a sample of them.
    """

    def __init__(self, values: NDArray[np.bool_], rng: np.random.Generator) -> None:
        self._values = values
        self._table: NDArray[np.float64] | None = None
        num_items = len(values)
        sets, code, count = np.unique(values, axis=0, return_inverse=True, return_counts=True)
        self._code = code.reshape(-1)
        self.chance: float | None = None
        if len(sets) <= MAX_SETS:
            both = sets.astype(np.float64) @ sets.T.astype(np.float64)
            size = np.diag(both)
            self._table = _ratio(both, size[:, None] + size[None, :] - both)
        if num_items < 2:
            return
        if self._table is not None:
            # All ordered pairs, less those of an item with itself (which are 1).
            total = float(count @ self._table @ count) - num_items
            self.chance = total / (num_items * (num_items - 1))
        else:
            first = rng.integers(num_items, size=NUM_SAMPLED)
            second = (first + rng.integers(1, num_items, size=NUM_SAMPLED)) % num_items
            self.chance = self.mean(first, second)

    def mean(self, first: Int64, second: Int64) -> float:
        """Return the mean over pairs of items."""
        if self._table is not None:
            return float(self._table[self._code[first], self._code[second]].mean())
        total = 0.0
        for begin in range(0, len(first), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            one, two = self._values[first[part]], self._values[second[part]]
            both, either = (one & two).sum(axis=1), (one | two).sum(axis=1)
            total += float(_ratio(both, either).sum())
        return total / len(first)


def _ratio(both: NDArray[Any], either: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.divide(both, either, out=np.ones(both.shape), where=either > 0))


def _checked(
    num_nodes: int, labels: ArrayLike, train: ArrayLike, label_names: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    mask, values = np.asarray(train), np.asarray(labels)
    if mask.dtype != np.bool_ or mask.shape != (num_nodes,):
        raise FeatureError(
            f"train is {mask.dtype} of shape {mask.shape}; expected bool of shape ({num_nodes},): "
            "which nodes are train items with known labels."
        )
    expected = (int(mask.sum()), len(label_names))
    if values.shape != expected:
        raise FeatureError(
            f"labels have shape {values.shape}; expected {expected}: the labels of the train items "
            "alone. Those of val and test are not to be given."
        )
    if not np.isin(values, (0, 1)).all():
        raise FeatureError("labels hold something else than 0 and 1.")
    return mask, values.astype(np.bool_)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
