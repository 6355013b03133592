"""Decision rules: from probabilities to tags, by a threshold a label or by the top k of an item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.arrays import Bools, as_probability

NEVER = math.inf
"""The threshold of a label that is never tagged."""


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Which tags an item gets, given the probability of each.

    Attributes:
        goal: What it is for, such as `"f1"`.
        thresholds: `labels`, in [0, 1] or `NEVER`; None for `top_k`.
        top_k: How many tags each item gets; None for thresholds.
        about: What it was chosen by and on, for people to read.
    """

    goal: str
    thresholds: NDArray[np.float64] | None = None
    top_k: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that it is one rule or the other.

        Raises:
            ConfigError: If it is neither or both, or a number is out of range.
        """
        if (self.thresholds is None) == (self.top_k is None):
            raise ConfigError("A decision rule has thresholds or top_k, one of the two.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; expected at least 1 tag an item.")
        cuts = np.zeros(0) if self.thresholds is None else self.thresholds
        if not np.all((cuts >= 0) & ((cuts <= 1) | (cuts == NEVER))):
            raise ConfigError(f"Got the thresholds {cuts}; expected numbers in [0, 1], or NEVER.")

    def __call__(self, probability: ArrayLike) -> Bools:
        """Return the tags, `items x labels`.

        Of labels with equal probability, those that come first are among the top k first.

        Args:
            probability: `items x labels`, in [0, 1].

        Raises:
            UserError: If a value is out of range, or the number of labels does not fit.

        Example:
            >>> DecisionRule("f1", np.array([0.5, NEVER]))([[0.7, 0.9], [0.2, 1.0]])
            array([[ True, False],
                   [False, False]])
            >>> DecisionRule("top-k", top_k=1)([[0.2, 0.3], [0.9, 0.1]])
            array([[False,  True],
                   [ True, False]])
        """
        p = as_probability(probability).astype(np.float64)
        if p.ndim != 2:
            raise UserError(f"Got probabilities of shape {p.shape}; expected items x labels.")
        if self.thresholds is not None:
            if p.shape[1] != len(self.thresholds):
                raise UserError(
                    f"Got probabilities of {p.shape[1]} labels; expected the "
                    f"{len(self.thresholds)} that the decision rule has thresholds for."
                )
            return p >= self.thresholds
        assert self.top_k is not None
        if self.top_k > p.shape[1]:
            raise UserError(
                f"top_k is {self.top_k}, and there are {p.shape[1]} labels; choose at most as many."
            )
        chosen = np.zeros(p.shape, np.bool_)
        first = np.argsort(-p, axis=1, kind="stable")[:, : self.top_k]
        np.put_along_axis(chosen, first, True, axis=1)
        return chosen

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts, for JSON; a label that is never tagged has None."""
        cuts = None
        if self.thresholds is not None:
            cuts = [None if cut == NEVER else cut for cut in self.thresholds.tolist()]
        return {
            "goal": self.goal,
            "thresholds": cuts,
            "top_k": self.top_k,
            "about": dict(self.about),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Return the rule of which `to_dict` told.

        Raises:
            KeyError: If something is left out.
            TypeError: If something is of the wrong type.
            ConfigError: If the numbers are no rule.
        """
        cuts = told["thresholds"]
        if cuts is not None:
            cuts = np.array([NEVER if cut is None else float(cut) for cut in cuts])
        top_k = told["top_k"]
        return cls(
            str(told["goal"]), cuts, None if top_k is None else int(top_k), dict(told["about"])
        )


def cost_thresholds(false_positive: ArrayLike, false_negative: ArrayLike) -> NDArray[np.float64]:
    r"""Return the thresholds with the least posterior expected cost, `labels`.

    A tag that is wrong costs :math:`c_\text{FP}`, a label that is missed :math:`c_\text{FN}`, and
    what is right nothing. Tagging is expected to cost :math:`(1 - \hat p) \, c_\text{FP}` and
    leaving it :math:`\hat p \, c_\text{FN}`; the cost is linear in the probability, so that the
    mean over posterior draws is all that counts:

    .. math:: t_c = \frac{c_{\text{FP}, c}}{c_{\text{FP}, c} + c_{\text{FN}, c}}

    Args:
        false_positive: Cost of a wrong tag, `labels` or one number, >= 0.
        false_negative: Cost of a missed label, >= 0; not 0 together with the other.

    Raises:
        ConfigError: If a cost is out of range.

    Example:
        >>> cost_thresholds([1.0, 1.0], [1.0, 4.0])
        array([0.5, 0.2])

    Reference: Elkan 2001, The Foundations of Cost-Sensitive Learning, eq. 2.
    """
    costs = np.broadcast_arrays(
        np.asarray(false_positive, np.float64), np.asarray(false_negative, np.float64)
    )
    wrong, missed = (np.atleast_1d(cost) for cost in costs)
    if not (np.isfinite(wrong + missed) & (wrong >= 0) & (missed >= 0)).all():
        raise ConfigError(
            "Got a cost that is negative or not finite; expected numbers of 0 or more."
        )
    if (wrong + missed == 0).any():
        raise ConfigError(
            "A wrong tag and a missed label of one label both cost 0, so that nothing is to be "
            "decided about it; give at least one of them a cost."
        )
    return np.asarray(wrong / (wrong + missed))
