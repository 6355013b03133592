"""Random thinning of neighbours: what an item sees that has no links, or few, or all of them.

A model that was only trained on full neighbourhoods serves a new item badly. Thinned anew in every
epoch, each item is seen with none, few and all of its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError
from bayesfuse.graph.csr import (
    Adjacency,
    Int64,
    check_self_loops,
    nodes_to_loop,
    transposed_order,
    with_loops,
)

DENSITIES = (0.0, 0.3, 1.0)
"""None, few and all."""


@dataclass(frozen=True, eq=False)
class Thinned:
    """A graph with fewer edges.

    Attributes:
        graph: The rows that are left.
        edges: The position of every edge in the old graph, -1 for a self-loop that is new; for
            weights and relations of edges.
        densities: The share of its neighbours that each node was to keep, `nodes`.
    """

    graph: Adjacency
    edges: Int64
    densities: NDArray[np.float64]


def thin(
    graph: Adjacency,
    seed: int | np.random.Generator,
    *,
    densities: Sequence[float] = DENSITIES,
    shares: Sequence[float] | None = None,
    symmetric: bool = False,
    self_loops: str = "isolated",
) -> Thinned:
    r"""Keep a random part of each node's neighbours.

    .. math:: d_i \sim \mathrm{Categorical}(\text{densities}; \text{shares}), \qquad
              \text{keep } (i, j) \text{ where } u_{ij} < d_i

    with :math:`u_{ij}` uniform on [0, 1). A node that hears fewer is still heard by its
    neighbours; with `symmetric`, an edge is kept both ways or not at all, where
    :math:`u_{ij} = u_{ji} < \min(d_i, d_j)`.

    Args:
        graph: The graph, with or without self-loops. Those that it has are kept.
        seed: A seed, or a generator that goes on.
        densities: The shares of neighbours to choose from, each in [0, 1].
        shares: How often each density is chosen; equally often, if not given.
        symmetric: Whether an edge goes both ways or not at all.
        self_loops: Which nodes get a self-loop where they have none: with `isolated` those that
            have lost their last neighbour, so that they look as a node that never had one.

    Returns:
        The thinned graph; the same seed gives the same.

    Raises:
        ConfigError: If densities or shares are out of range, or `symmetric` is asked of a graph
            that is not.

    Example:
        >>> graph = Adjacency(np.array([0, 2, 4, 6]), np.array([1, 2, 0, 2, 0, 1]))
        >>> thin(graph, 0, densities=[0.0]).graph.indices.tolist()
        [0, 1, 2]
    """
    check_self_loops(self_loops)
    rng = np.random.default_rng(seed)
    chances = _chances(densities, shares)
    chosen = rng.choice(np.asarray(densities, dtype=np.float64), graph.num_nodes, p=chances)
    uniform = rng.random(len(graph.indices))
    limit = np.repeat(chosen, np.diff(graph.indptr))
    if symmetric:
        reverse = transposed_order(graph)
        if not graph.is_symmetric():
            raise ConfigError(
                "symmetric thinning needs a graph whose edges go both ways; this one has edges "
                "that do not, such as those of new items. Leave symmetric out."
            )
        # Of the two draws of a pair the one of the lower node's row is used for both.
        lower = graph.rows() < graph.indices
        uniform = np.where(lower, uniform, uniform[reverse])
        limit = np.minimum(limit, chosen[graph.indices])
    kept = (uniform < limit) | graph.is_loop()
    bare = graph.keep(kept)
    thinned, old = with_loops(bare, nodes_to_loop(bare, self_loops))
    return Thinned(thinned, np.append(np.flatnonzero(kept), -1)[old], chosen)


def _chances(densities: Sequence[float], shares: Sequence[float] | None) -> NDArray[np.float64]:
    given = np.asarray(densities, dtype=np.float64)
    if given.ndim != 1 or not given.size or not ((given >= 0) & (given <= 1)).all():
        raise ConfigError(
            f"densities are {list(densities)}; expected one or more shares from 0 (none of the "
            "neighbours) to 1 (all)."
        )
    weights = np.ones_like(given) if shares is None else np.asarray(shares, dtype=np.float64)
    fits = weights.shape == given.shape and np.isfinite(weights).all()
    if not fits or (weights < 0).any() or weights.sum() <= 0:
        raise ConfigError(
            f"shares are {list(shares or ())}; expected a number of at least 0 for each of the "
            f"{given.size} densities, not all 0."
        )
    return np.asarray(weights / weights.sum())
