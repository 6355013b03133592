"""A neighbourhood of the entity graph, arranged to be drawn: a place and words for everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesfuse.errors import ConfigError
from bayesfuse.graph.neighbourhood import Neighbourhood
from bayesfuse.report.layout import separate, spring_layout

WIDTH, HEIGHT = 1000, 700
RADII = (11, 8, 6)
"""Of a node, by how many edges it is from the centre."""

LINES = (
    ("#1f5fa8", "#79b0f0", ""),
    ("#b4480f", "#f2a15f", "7 3"),
    ("#1a7a58", "#5fd0a5", "2 3"),
    ("#86399c", "#d59bea", "9 3 2 3"),
    ("#7d6608", "#e0c050", "14 4"),
    ("#b52a62", "#ff8fb8", "1 4"),
    ("#59616f", "#a3abb9", ""),
)
"""Colour of a relation on white and on black, and its dashes; the last is for several at once, and
for relations beyond the sixth."""

_MAX_LETTERS = 22
_MAX_LISTED = 5


@dataclass(frozen=True)
class DrawnNode:
    """A node in the drawing: its place, its title, and what joins it to others, in words."""

    x: float
    y: float
    radius: int
    hop: int
    title: str
    short: str
    id: str
    joined: tuple[str, ...]


@dataclass(frozen=True)
class DrawnEdge:
    """An edge in the drawing: places of its ends, number of its line, and what it stands for."""

    first: int
    second: int
    line: int
    width: float
    words: str


@dataclass(frozen=True)
class Drawing:
    """A neighbourhood with a place for everything.

    Attributes:
        nodes: The nodes, the centre first.
        edges: The edges.
        legend: What each line stands for, and its number; only those that occur.
        caption: What is to be seen, in a sentence or two.
    """

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    legend: tuple[tuple[str, int], ...]
    caption: str


def arrange(around: Neighbourhood, ids: Sequence[str], titles: Sequence[str] | None) -> Drawing:
    """Find a place for every node, and words for what joins them.

    Args:
        around: The neighbourhood.
        ids: The id of every item of the catalogue.
        titles: The title of every item; an item without one is called by its id.

    Returns:
        The drawing, the same for the same neighbourhood.

    Raises:
        ConfigError: If there are fewer ids or titles than nodes.
    """
    needed = max(around.nodes) + 1
    if len(ids) < needed or (titles is not None and len(titles) < needed):
        raise ConfigError(
            f"The neighbourhood has item {needed - 1}, but there are {len(ids)} ids"
            + (f" and {len(titles)} titles" if titles is not None else "")
            + "; expected those of all items of the graph."
        )
    own = [_clean(str(ids[node])) for node in around.nodes]
    names = [
        _clean(titles[node]) if titles is not None and titles[node].strip() else name
        for node, name in zip(around.nodes, own, strict=True)
    ]
    shorts = [_short(name) for name in names]
    places = spring_layout([(e.first, e.second) for e in around.edges], around.hops, WIDTH, HEIGHT)
    # A node and the title below it.
    boxes = [(7.2 * max(len(short), 4) + 6, 2 * RADII[0] + 20) for short in shorts]
    places = separate(places, boxes, WIDTH, HEIGHT) - np.array([0, 8])
    edges = tuple(
        DrawnEdge(
            edge.first,
            edge.second,
            _line(around, edge.shared),
            min(1.2 + 0.6 * (len(edge.shared) - 1), 4.0),
            _words(edge.shared),
        )
        for edge in around.edges
    )
    nodes = tuple(
        DrawnNode(
            round(float(x), 1),
            round(float(y), 1),
            RADII[hop],
            hop,
            name,
            short,
            id_,
            _joined(place, hop, names, around, edges),
        )
        for place, ((x, y), hop, name, short, id_) in enumerate(
            zip(places, around.hops, names, shorts, own, strict=True)
        )
    )
    several = len(LINES) - 1
    legend = [
        (_spoken(name), number)
        for number, name in enumerate(around.relation_names[:several])
        if any(edge.line == number for edge in edges)
    ]
    if any(edge.line == several for edge in edges):
        legend.append(
            ("several, or another" if len(around.relation_names) > several else "several", several)
        )
    return Drawing(nodes, edges, tuple(legend), _caption(names, around))


def _line(around: Neighbourhood, shared: Sequence[tuple[str, str]]) -> int:
    relations = {relation for relation, _ in shared}
    several = len(LINES) - 1
    if len(relations) != 1:
        return several
    return min(around.relation_names.index(relations.pop()), several)


def _words(shared: Sequence[tuple[str, str]]) -> str:
    """Say what joins two items: `director A, B; writer A`."""
    by_relation: dict[str, list[str]] = {}
    for relation, name in shared:
        by_relation.setdefault(_spoken(relation), []).append(_clean(name))
    return "; ".join(f"{r} {', '.join(filter(None, n))}".strip() for r, n in by_relation.items())


def _joined(
    place: int,
    hop: int,
    names: Sequence[str],
    around: Neighbourhood,
    edges: Sequence[DrawnEdge],
) -> tuple[str, ...]:
    """Say by whom a node is in the picture: its edges towards the centre."""
    found = []
    for edge in edges:
        if place not in (edge.first, edge.second):
            continue
        other = edge.second if edge.first == place else edge.first
        if around.hops[other] < hop:
            found.append(edge.words if other == 0 else f"{edge.words} (with {names[other]})")
    rest = len(found) - _MAX_LISTED
    return (*found[:_MAX_LISTED], f"and {rest} more") if rest > 0 else tuple(found)


def _caption(names: Sequence[str], around: Neighbourhood) -> str:
    count = Counter(around.hops)
    if len(names) == 1 and not around.num_left_out:
        return f"{names[0]} is joined to no other item."
    told = any(name for edge in around.edges for _, name in edge.shared)
    first, then = "it shares a name with", "these share one with"
    if not told:  # a graph of given pairs
        first, then = "it is joined to", "these are joined to"
    text = f"{names[0]} and {count[1]} of those {first}"
    if count[2]:
        text += f", and {count[2]} of those that {then}"
    if around.num_left_out:
        text += f"; {around.num_left_out:,} more within reach are not shown"
    return text + "."


def _spoken(relation: str) -> str:
    return _clean(relation).replace("_", " ")


def _short(name: str) -> str:
    return name if len(name) <= _MAX_LETTERS else name[: _MAX_LETTERS - 1].rstrip() + "…"


def _clean(name: str) -> str:
    """Return a name on one line that can be written as UTF-8."""
    plain = " ".join(name.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in plain)
