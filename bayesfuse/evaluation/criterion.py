"""By what items are ranked: one label, or several with weights, wanted or not wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import UserError, unknown_option
from bayesfuse.evaluation.arrays import Floats

NOT = "NOT "
"""What stands before a label that is not wanted."""


@dataclass(frozen=True)
class Criterion:
    r"""Labels that are wanted, or not wanted, and what each counts.

    The score of an item under one posterior draw s is the weighted mean of the probabilities of
    getting each wish,

    .. math:: r_i^{(s)} = \frac{\sum_l w_l \, q_{il}^{(s)}}{\sum_l w_l}, \qquad
        q_{il} = p_{il} \text{ for a label that is wanted, } 1 - p_{il} \text{ for NOT}

    which is the share of the wishes, by weight, that the item is expected to meet. Of one label it
    is the label's probability. It is not the probability of meeting all wishes at once.

    Attributes:
        names: The labels.
        columns: Their columns, in draws `draws x items x labels`.
        weights: What each counts, > 0.
        wanted: False for NOT.

    Example:
        >>> wish = Criterion.parse(["Horror=2", "NOT Comedy"], ["Comedy", "Horror"])
        >>> print(wish)
        2 Horror + 1 NOT Comedy
        >>> wish.scores(np.array([[[0.5, 0.8]]])).round(3)
        array([[0.7]])
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    weights: tuple[float, ...]
    wanted: tuple[bool, ...]

    @classmethod
    def parse(cls, wishes: Sequence[str], label_names: Sequence[str]) -> Criterion:
        """Read `LABEL`, `LABEL=WEIGHT`, `NOT LABEL` and `NOT LABEL=WEIGHT`.

        A label whose own name begins with NOT, or ends with = and a number, is meant where such a
        label exists.

        Args:
            wishes: What was asked for, at least one.
            label_names: The labels that there are.

        Raises:
            UserError: If a label is not known or comes twice, or a weight is not a number > 0.
        """
        if not wishes:
            raise UserError(f"No label was named; expected some of {', '.join(label_names)}.")
        found = [_read(wish, list(label_names)) for wish in wishes]
        names = [name for name, _, _ in found]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f'The label "{name}" is named twice; name each once.')
        columns = tuple(list(label_names).index(name) for name in names)
        weights, wanted = tuple(w for _, w, _ in found), tuple(w for _, _, w in found)
        return cls(tuple(names), columns, weights, wanted)

    def __str__(self) -> str:
        """Return the criterion as a user would say it."""
        words = [
            f"{'' if wanted else NOT}{name}"
            for name, wanted in zip(self.names, self.wanted, strict=True)
        ]
        if len(words) == 1:
            return words[0]
        return " + ".join(f"{w:g} {word}" for w, word in zip(self.weights, words, strict=True))

    @property
    def shares(self) -> NDArray[np.float64]:
        """The weights as shares of 1, one a label of the criterion."""
        weights = np.array(self.weights, np.float64)
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares

    def of(self, draws: NDArray[Any]) -> NDArray[Any]:
        """Return the draws of the criterion's labels alone, `draws x items x its labels`."""
        return draws[:, :, list(self.columns)]

    def scores(self, draws: Floats) -> NDArray[np.float64]:
        """Return the score of each item under each draw, `draws x items`, in [0, 1].

        Args:
            draws: `draws x items x labels`, in [0, 1].
        """
        chosen = self.of(draws).astype(np.float64)
        wishes = np.where(np.array(self.wanted), chosen, 1 - chosen)
        scores: NDArray[np.float64] = wishes @ self.shares
        return scores.clip(0.0, 1.0)


def _read(wish: str, label_names: list[str]) -> tuple[str, float, bool]:
    """Return label, weight, and whether it is wanted."""
    if wish in label_names:
        return wish, 1.0, True
    name, equals, number = wish.rpartition("=")
    weight = 1.0
    if equals and not (wish.startswith(NOT) and wish.removeprefix(NOT).strip() in label_names):
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf:
            raise UserError(
                f'The weight in "{wish}" is {number!r}; expected a number > 0, as in '
                f"{name.strip()}=2. What is not wanted is NOT {name.removeprefix(NOT).strip()}."
            )
        wish = name.strip()
    if wish in label_names:
        return wish, weight, True
    wanted = not wish.startswith(NOT)
    wish = wish.removeprefix(NOT).strip()
    if wish not in label_names:
        raise UserError(unknown_option("label", wish, label_names))
    return wish, weight, wanted
