"""From who is named by which item to who shares whom, by sparse products of blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bayesfuse.errors import ConfigError
from bayesfuse.graph.csr import Adjacency, Int64
from bayesfuse.graph.entity_index import EntityIndex
from bayesfuse.graph.pairs import Masks

MAX_RELATIONS = 64
"""A relation is a bit of an edge's mask."""

MAX_PAIRS = 1_000_000_000
"""More pairs than this are refused before anything is built: an edge takes 16 bytes."""

BLOCK_PAIRS = 4_000_000
"""About so many pairs are multiplied out at a time, which bounds what a block needs in memory."""

NUM_SHOWN = 5


@dataclass(frozen=True)
class CutGroup:
    """A name that too many items share, so that it joins none of them.

    Attributes:
        relation: Its relation.
        name: The name, as first written.
        size: How many items have it.
    """

    relation: str
    name: str
    size: int


def join(
    index: EntityIndex, first_row: int = 0, last_neighbour: int | None = None
) -> tuple[Adjacency, Masks]:
    r"""Join the items that share a name in the same relation.

    .. math:: A_r = B_r B_r^\top, \qquad A = \bigvee_r A_r, \qquad A_{ii} = 0

    where :math:`B_r` is the incidence of items and names of relation r. A block of rows of A is
    made at a time.

    Args:
        index: Who is named by which item.
        first_row: The first item whose neighbours are wanted.
        last_neighbour: Items from this on are nobody's neighbour; all may be, if not given.

    Returns:
        The rows from `first_row` on (without self-loops), and the relations of each edge: bit k is
        set where relation k joins the two.

    Raises:
        ConfigError: If there are more than 64 relations, or `MAX_PAIRS` pairs.

    Reference:
        Seo et al. (2022), equation 4, for each relation apart.
    """
    names = list(index.relations)
    if len(names) > MAX_RELATIONS:
        raise ConfigError(f"{len(names)} relations; expected at most {MAX_RELATIONS}.")
    wanted = [entities.incidence(first_row) for entities in index.relations.values()]
    heard = [
        entities.incidence()[:last_neighbour].T.tocsr() for entities in index.relations.values()
    ]
    sizes = [np.diff(matrix.indptr).astype(np.int64) for matrix in heard]
    # A row costs as many pairs as there are items behind its names.
    cost = sum(
        (rows.astype(np.int64) @ size for rows, size in zip(wanted, sizes, strict=True)),
        start=np.zeros(index.num_items - first_row, dtype=np.int64),
    )
    _refuse_too_many(index, names, sizes, int(cost.sum()))
    indices: list[NDArray[np.signedinteger[Any]]] = []
    masks: list[Masks] = []
    degrees = [np.zeros(1, dtype=np.int64)]
    for begin, end in _blocks(cost):
        block = _union(
            [rows[begin:end] @ columns for rows, columns in zip(wanted, heard, strict=True)]
        )
        row = np.repeat(np.arange(begin, end), np.diff(block.indptr))
        others = block.indices != row + first_row
        indices.append(block.indices[others])
        masks.append(block.data[others])
        degrees.append(np.bincount(row[others] - begin, minlength=end - begin))
    indptr = np.cumsum(np.concatenate(degrees), dtype=np.int64)
    return (
        Adjacency(indptr, np.concatenate([np.zeros(0, np.int64), *indices], dtype=np.int64)),
        np.concatenate([np.zeros(0, dtype=np.uint64), *masks]),
    )


def cut_groups(index: EntityIndex) -> tuple[CutGroup, ...]:
    """Return the names that join nobody since too many items have them, the largest first."""
    found = []
    for relation, entities in index.relations.items():
        for entity in np.flatnonzero(entities.cut).tolist():
            name = entities.spellings(entity)[0]
            found.append(CutGroup(relation, name, int(entities.sizes[entity])))
    return tuple(sorted(found, key=lambda group: (-group.size, group.relation, group.name)))


def cut_warning(groups: Sequence[CutGroup], max_group: int) -> str:
    """Say which groups were cut.

    Example:
        >>> print(cut_warning([CutGroup("studio", "Acme", 4213)], 1000))
        1 name is in more than 1,000 items (max_group) and joins none of them: studio "Acme" \
(4,213 items).
    """
    shown = ", ".join(f'{g.relation} "{g.name}" ({g.size:,} items)' for g in groups[:NUM_SHOWN])
    rest = f" and {len(groups) - NUM_SHOWN:,} more" if len(groups) > NUM_SHOWN else ""
    many = len(groups) > 1
    return (
        f"{len(groups):,} name{'s are' if many else ' is'} in more than {max_group:,} items "
        f"(max_group) and join{'' if many else 's'} none of them: {shown}{rest}."
    )


def _union(products: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """Return the union of 0-1 matrices; its data are the bits of those that an entry is in."""
    union = None
    for bit, product in enumerate(products):
        product.sort_indices()
        product.data = np.full(len(product.indices), 1 << bit, dtype=np.uint64)
        # The bits differ, so the sum is their union.
        union = product if union is None else union + product
    assert union is not None, "an index has a relation"
    return union


def _blocks(cost: Int64) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that cost about `BLOCK_PAIRS` together, or are one row."""
    ends = np.cumsum(cost)
    begin = 0
    while begin < len(cost):
        before = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, before + BLOCK_PAIRS, side="right")), begin + 1)
        yield begin, end
        begin = end


def _refuse_too_many(
    index: EntityIndex, names: Sequence[str], sizes: Sequence[Int64], num_pairs: int
) -> None:
    if num_pairs <= MAX_PAIRS:
        return
    largest = sorted(
        ((int(size[e]), names[r], e) for r, size in enumerate(sizes) for e in _top(size)),
        reverse=True,
    )
    shown = ", ".join(
        f'{relation} "{index[relation].spellings(entity)[0]}" ({size:,} items)'
        for size, relation, entity in largest[:NUM_SHOWN]
    )
    raise ConfigError(
        f"The names join {num_pairs:,} pairs of items; at most {MAX_PAIRS:,} are built. The "
        f"largest groups are {shown}. Cut them with --max-group, for example "
        f"{max(largest[0][0] // 10, 2)}, or leave out a relation that says little."
    )


def _top(sizes: Int64) -> list[int]:
    top: list[int] = np.argsort(-sizes, kind="stable")[:NUM_SHOWN].tolist()
    return top
