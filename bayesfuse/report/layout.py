"""Where the nodes of a small graph are drawn: by springs, then apart, the same every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Places = NDArray[np.float64]

_STEPS = 300
_PUSHES = 1000
_NEAR = 0.01  # boxes may cover each other by so much of their size
_GOLDEN = np.pi * (3 - 5**0.5)  # no two angles of a spiral by it are alike


def spring_layout(
    edges: ArrayLike, hops: ArrayLike, width: float = 1.0, height: float = 1.0
) -> Places:
    r"""Place nodes by the forces of Fruchterman and Reingold, the first held in the middle.

    .. math:: f_\text{apart}(d) = k^2 / d, \qquad f_\text{together}(d) = d^2 / k

    Args:
        edges: Pairs of nodes, `edges x 2`.
        hops: The distance of each node from the first, `nodes`; where it starts from.
        width: Of the area.
        height: Of the area.

    Returns:
        The place of each node, `nodes x 2`, in [0, width] x [0, height].

    Reference:
        Fruchterman and Reingold (1991), section 2. Theirs starts at random; ours on a spiral, so
        that the same graph is drawn the same.
    """
    hop = np.asarray(hops, dtype=np.float64)
    count = len(hop)
    pairs = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    if count == 1:
        return np.array([[width / 2, height / 2]])
    joined = np.zeros((count, count))
    joined[pairs[:, 0], pairs[:, 1]] = joined[pairs[:, 1], pairs[:, 0]] = 1
    angle = _GOLDEN * np.arange(count)
    places = (hop / max(hop.max(), 1.0))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ideal = 1.6 / count**0.5
    for step in range(_STEPS):
        apart = places[:, None] - places[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 1e-6)
        # Less than the square of it: a hub would draw everything into its middle.
        force = ideal**2 / distance - joined * distance**2 / ideal
        move = (apart * (force / distance)[:, :, None]).sum(axis=1)
        length = np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9)
        places += move / length * np.minimum(length, 0.1 * (1 - step / _STEPS))
        places -= places[0]
    # The first in the middle, and the outermost at the edge of the area.
    reach = np.maximum(np.abs(places).max(axis=0), 1e-9)
    return np.asarray(np.array([width, height]) / 2 * (1 + places / reach))


def separate(places: Places, sizes: ArrayLike, width: float, height: float) -> Places:
    """Push boxes apart until none covers another, or for as long as there is hope.

    Args:
        places: The middle of each box, `boxes x 2`.
        sizes: Its width and height, `boxes x 2`.
        width: Of the area that the boxes stay in.
        height: Of the area.

    Returns:
        The middles, moved.

    Example:
        >>> separate(np.array([[5.0, 5.0], [6.0, 5.0]]), [[4, 2], [4, 2]], 20, 10).tolist()
        [[3.5, 5.0], [7.5, 5.0]]
    """
    moved, boxes = np.array(places, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    needed = (boxes[:, None] + boxes[None]) / 2
    area = np.array([width, height])
    low, high = np.minimum(boxes / 2, area / 2), np.maximum(area - boxes / 2, area / 2)
    order = np.sign(np.arange(len(moved))[:, None] - np.arange(len(moved))[None])
    for _ in range(_PUSHES):
        moved = np.clip(moved, low, high)
        apart = moved[:, None] - moved[None]
        covered = np.maximum(needed - np.abs(apart), 0) / needed
        both = covered.min(axis=2) > _NEAR
        np.fill_diagonal(both, False)
        if not both.any():
            break
        # Along the axis on which the smaller part is covered; those in one place part by order.
        axis = covered.argmin(axis=2)
        for a in (0, 1):
            side = np.where(apart[:, :, a] == 0, order, np.sign(apart[:, :, a]))
            push = np.where(both & (axis == a), side * (covered * needed)[:, :, a] / 2, 0)
            moved[:, a] += push.sum(axis=1) / np.maximum((push != 0).sum(axis=1), 1)
    return np.clip(moved, low, high)
