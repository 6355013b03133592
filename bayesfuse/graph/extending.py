"""New items of an entity graph: appended, and joined to the old ones by their names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesfuse.errors import ConfigError
from bayesfuse.graph.building import cut_groups, cut_warning, join
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_index import People
from bayesfuse.graph.pairs import merge_pairs

if TYPE_CHECKING:
    from bayesfuse.graph.entity_graph import EntityGraph


def extend(
    graph: EntityGraph, people: People, *, link_new: bool = False, update_old: bool = False
) -> EntityGraph:
    """Append new items; see `EntityGraph.extended`.

    Whether a name is cut was decided when it came in: new items do not change which old groups
    join their members, and a name that is new is cut if too many of the new items have it.

    Args:
        graph: A graph of names.
        people: Relation -> names a new item.
        link_new: Whether new items are joined to each other.
        update_old: Whether old nodes hear new ones too.

    Returns:
        The graph, new nodes after the old ones.

    Raises:
        ConfigError: If the graph is of given pairs, or a relation is unknown.
        CatalogError: If the lists do not fit each other, or hold something else than names.
    """
    if graph.people is None:
        raise ConfigError(
            "This graph is of given pairs, so that nothing is known which joins new items to it. "
            "Give the pairs of all items, or build the graph from names."
        )
    index = graph.people.extended(people, graph.max_group)
    old = graph.num_nodes
    rows, masks = join(index, old, None if link_new else old)
    warnings = list(graph.warnings)
    missing = [name for name in graph.relation_names if name not in people]
    if missing:
        warnings.append(f"new items: no {', '.join(missing)} given; none is linked by them.")
    known = {(group.relation, group.name) for group in graph.cut}
    cut = [group for group in cut_groups(index) if (group.relation, group.name) not in known]
    if cut:
        assert graph.max_group is not None, "nothing is cut without a limit"
        warnings.append(f"new items: {cut_warning(cut, graph.max_group)}")
    bare = graph.with_self_loops("none") if update_old else graph
    joined = Adjacency(
        np.concatenate([bare.indptr, bare.indptr[-1] + rows.indptr[1:]]),
        np.concatenate([bare.indices, rows.indices]),
    )
    mask = np.concatenate([bare.relation_mask, masks])
    if update_old:
        of = joined.rows()
        back = (of >= old) & (joined.indices < old)
        merged = merge_pairs(
            np.concatenate([of, joined.indices[back]]),
            np.concatenate([joined.indices, of[back]]),
            index.num_items,
        )
        joined, mask = merged.graph, merged.either(np.concatenate([mask, mask[back]]))
    extended = replace(
        graph,
        num_nodes=index.num_items,
        indptr=joined.indptr,
        indices=joined.indices,
        relation_mask=mask,
        people=index,
        warnings=tuple(warnings),
    )
    return extended.with_self_loops(graph.self_loops)
