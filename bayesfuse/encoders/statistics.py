"""Pictures as 218 statistics of colour, texture and layout, with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind
from bayesfuse.encoders.pictures import UnreadableError, read_picture
from bayesfuse.errors import FeatureError

Picture = NDArray[np.float32]  # height x width x 3, in [0, 1]

_SIZE = (60, 96)  # width, height; the grids below divide them
_HUES, _SATURATIONS, _VALUES = 12, 6, 8
_RGB_LEVELS = 4
_ORIENTATIONS = 8
_COLOUR_CELLS = (4, 3)  # rows, columns
_EDGE_CELLS = (3, 2)
_BINARY_PATTERNS = 10
_EDGE = 0.1  # the gradient from which a pixel counts as an edge, in units of full contrast

NUM_STATISTICS = (
    _HUES + _SATURATIONS + _VALUES  # histograms of hue, saturation and value
    + _RGB_LEVELS**3  # a joint histogram of red, green and blue
    + 5 * 3  # mean, deviation and skewness of red, green, blue, saturation and value
    + math.prod(_COLOUR_CELLS) * 4  # mean colour and contrast of every cell
    + math.prod(_EDGE_CELLS) * (_ORIENTATIONS + 1)  # edge directions and density of every cell
    + _BINARY_PATTERNS  # rotation-invariant local binary patterns
    + 1  # logarithm of the aspect ratio
)  # fmt: skip


@final
class StatisticsEncoder(Encoder):
    """Light picture features that need no download and no network.

    Every picture is scaled to 60 x 96 pixels. Histograms are square roots of shares (so that their
    distances are Hellinger distances); the other statistics are in the units of the picture, in
    [0, 1] or near. Nothing is learned: `fit` only says so, and scaling the features is left to the
    model. A cell that is `None` is unobserved; so is a picture that cannot be read, and that one is
    listed in `problems_`.

    Example:
        >>> encoder = StatisticsEncoder()
        >>> features, observed = encoder.encode([None, b"no picture"])
        >>> features.shape, observed.tolist()
        ((2, 218), [False, False])
        >>> encoder.problems_[0].reason
        'no picture in a known format'

    Reference: Dalal and Triggs, 2005 (gradient orientations); Ojala et al., 2002, eq. 9 (uniform
    rotation-invariant local binary patterns, here with 8 direct neighbours).
    """

    name: ClassVar[str] = "statistics"
    kind: ClassVar[Kind] = "image"

    def __init__(self) -> None:
        self.width = NUM_STATISTICS

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Return the encoder as it is: these statistics have nothing to learn."""
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read the pictures and compute their statistics; see `Encoder.encode`."""
        features = np.zeros((len(cells), self.width), dtype=np.float32)
        observed = np.zeros(len(cells), dtype=np.bool_)
        problems = []
        for row, cell in enumerate(cells):
            if cell is None:
                continue
            try:
                picture, aspect = read_picture(cell, _SIZE)
            except UnreadableError as error:
                problems.append(CellProblem(row, str(error)))
                continue
            except FeatureError as error:
                raise FeatureError(f"Row {row}: {error}") from error
            features[row] = picture_statistics(picture, aspect)
            observed[row] = True
        self.problems_ = tuple(problems)
        return features, observed

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return the name and the width; there are no arrays."""
        return {"name": self.name, "width": self.width}, {}

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Return a new encoder; see `Encoder.from_state`."""
        if config.get("width") != NUM_STATISTICS:
            raise FeatureError(
                f"The state of the statistics encoder has width {config.get('width')}; this "
                f"version computes {NUM_STATISTICS} statistics. Encode and fit again."
            )
        return cls()


def picture_statistics(picture: Picture, aspect: float) -> NDArray[np.float32]:
    """Return all statistics of one picture.

    Args:
        picture: Height x width x 3, red, green and blue in [0, 1].
        aspect: Width divided by height of the picture before it was scaled.

    Returns:
        `NUM_STATISTICS` numbers.
    """
    hue, saturation, value = _hsv(picture)
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    parts = [
        _histogram(hue, _HUES, weights=saturation * value),
        _histogram(saturation, _SATURATIONS),
        _histogram(value, _VALUES),
        _joint_histogram(picture),
        *(_moments(channel) for channel in (*np.moveaxis(picture, 2, 0), saturation, value)),
        _cell_means(picture, _COLOUR_CELLS).ravel(),
        np.sqrt(np.maximum(_cell_means(grey**2, _COLOUR_CELLS)
                           - _cell_means(grey, _COLOUR_CELLS) ** 2, 0)).ravel(),
        _edges(grey),
        _binary_patterns(grey),
        np.array([math.log(aspect)]),
    ]  # fmt: skip
    return np.concatenate(parts).astype(np.float32)


def _hsv(picture: Picture) -> tuple[Picture, Picture, Picture]:
    red, green, blue = np.moveaxis(picture, 2, 0)
    value = picture.max(axis=2)
    spread = value - picture.min(axis=2)
    safe = np.where(spread > 0, spread, 1)
    hue = np.select(
        [value == red, value == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    return (hue / 6).astype(np.float32), saturation, value


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square roots of the shares; all 0 where nothing was counted."""
    total = counts.sum()
    return np.sqrt(counts / total) if total > 0 else counts


def _histogram(
    values: Picture, num_bins: int, weights: Picture | None = None
) -> NDArray[np.float64]:
    bins = np.minimum((values.ravel() * num_bins).astype(np.int64), num_bins - 1)
    flat = None if weights is None else weights.ravel()
    return _shares(np.bincount(bins, flat, minlength=num_bins).astype(np.float64))


def _joint_histogram(picture: Picture) -> NDArray[np.float64]:
    levels = np.minimum((picture * _RGB_LEVELS).astype(np.int64), _RGB_LEVELS - 1)
    codes = levels @ np.array([_RGB_LEVELS**2, _RGB_LEVELS, 1])
    return _shares(np.bincount(codes.ravel(), minlength=_RGB_LEVELS**3).astype(np.float64))


def _moments(channel: Picture) -> NDArray[np.float64]:
    """Return the mean, the deviation, and the cube root of the third central moment."""
    mean = channel.mean(dtype=np.float64)
    centred = channel - mean
    squared = centred * centred
    return np.array([mean, np.sqrt(squared.mean()), np.cbrt((squared * centred).mean())])


def _cell_means(values: NDArray[np.floating], cells: tuple[int, int]) -> NDArray[np.float64]:
    """Average over a grid of rows x columns; further axes are kept."""
    rows, columns = cells
    height, width = values.shape[:2]
    grid = values.reshape(rows, height // rows, columns, width // columns, *values.shape[2:])
    return np.asarray(grid.mean(axis=(1, 3), dtype=np.float64))


def _edges(grey: Picture) -> NDArray[np.float64]:
    """Return directions (weighted by strength) and density of the edges of every cell."""
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    turn = np.arctan2(down, across) / np.pi % 1  # a direction and its opposite are the same
    bins = np.minimum((turn * _ORIENTATIONS).astype(np.int64), _ORIENTATIONS - 1)
    by_direction = strength[..., None] * (bins[..., None] == np.arange(_ORIENTATIONS))
    directions = _cell_means(by_direction, _EDGE_CELLS)
    density = _cell_means((strength > _EDGE).astype(np.float64), _EDGE_CELLS)
    return np.concatenate([np.sqrt(directions).ravel(), density.ravel()])


def _binary_patterns(grey: Picture) -> NDArray[np.float64]:
    """Return the histogram of uniform local binary patterns by their number of brighter pixels."""
    centre = grey[1:-1, 1:-1]
    height, width = centre.shape
    around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    brighter = np.stack([grey[y : y + height, x : x + width] > centre + 0.01 for y, x in around])
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, brighter.sum(axis=0), _BINARY_PATTERNS - 1)
    return _shares(np.bincount(pattern.ravel(), minlength=_BINARY_PATTERNS).astype(np.float64))
