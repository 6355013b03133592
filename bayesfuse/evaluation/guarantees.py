"""Thresholds with a guarantee: precision or recall of at least so much, with so much confidence.

Learn then test (Angelopoulos et al. 2021), by the p-values and the multiple testing of MAPIE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from bayesfuse.errors import ConfigError, MissingExtraError, UserError, unknown_option
from bayesfuse.evaluation.arrays import as_pair
from bayesfuse.evaluation.decisions import NEVER

Losses = NDArray[np.float64]

MEASURES = ("precision", "recall")

STEP = 0.05
"""Log odds from one threshold that is tried to the next."""

PRECISION_THRESHOLDS = np.round(expit(np.arange(4, -4 - STEP / 2, -STEP)), 6)
"""Thresholds that are tried for precision, from the one with the fewest tags on."""

RECALL_THRESHOLDS = np.round(expit(np.arange(-8, 8 + STEP / 2, STEP)), 6)
"""Thresholds that are tried for recall, from the one with the most tags on."""

PRECISION_STARTS = 8
"""Places from which testing for precision sets out, each with its share of what may go wrong: at
the highest thresholds hardly an item is tagged, and nothing could be shown there."""


@dataclass(frozen=True)
class Guarantee:
    """A threshold, and whether it comes with the guarantee that was asked for.

    Attributes:
        threshold: In [0, 1]; `NEVER` where no threshold keeps the precision, 0 (tag everything)
            where none keeps the recall.
        kept: Whether the threshold was tested and passed.
        observed: Precision or recall on the items at hand, at the threshold; NaN if no item counts.
        counted: Items that counted there: those with a tag (precision) or a label (recall).
        needed: Where none passed: about how many items like these would do; None if no number
            would, since the best threshold falls short on the items at hand.
    """

    threshold: float
    kept: bool
    observed: float
    counted: int
    needed: int | None = None


def item_losses(
    probability: ArrayLike, labels: ArrayLike, thresholds: ArrayLike, measure: str
) -> Losses:
    r"""Return what each item loses at each threshold, `items x thresholds`, in [0, 1].

    .. math:: \ell_i^\text{precision}(t) = \frac{|T_i(t) \setminus Y_i|}{|T_i(t)|}, \qquad
        \ell_i^\text{recall}(t) = \frac{|Y_i \setminus T_i(t)|}{|Y_i|}, \qquad
        T_i(t) = \{c : \hat p_{ic} \ge t\}

    An item counts for precision where it has a tag, and for recall if it has a label; where it does
    not count, it is NaN. One column of labels gives losses of 0 and 1.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        thresholds: `thresholds`, in [0, 1].
        measure: One of `MEASURES`.

    Raises:
        UserError: If shapes or values do not fit, or the measure is unknown.

    Example:
        >>> item_losses([[0.9, 0.6], [0.2, 0.7]], [[1, 0], [0, 1]], [0.5, 0.8], "precision")
        array([[0.5, 0. ],
               [0. , nan]])
    """
    if measure not in MEASURES:
        raise UserError(unknown_option("measure", measure, MEASURES))
    p, y = as_pair(probability, labels)
    cuts = np.asarray(thresholds, np.float64)
    found = np.empty((len(p), len(cuts)))
    with np.errstate(invalid="ignore"):  # 0 / 0 is what does not count
        for place, cut in enumerate(cuts):
            tags = p.astype(np.float64) >= cut
            lost, of = (tags & ~y, tags) if measure == "precision" else (y & ~tags, y)
            found[:, place] = lost.sum(axis=1) / of.sum(axis=1)
    return found


def guarantee(
    probability: ArrayLike, labels: ArrayLike, measure: str, level: float, confidence: float = 0.9
) -> Guarantee:
    r"""Return the threshold with the most (precision) or the fewest tags (recall) that passes.

    With probability `confidence` over the items given, drawn independently from where new items
    come from, the threshold :math:`\hat t` has

    .. math:: E[\ell_i(\hat t) \mid i \text{ counts at } \hat t] \le 1 - \text{level}

    for new items: the expected share of wrong tags of an item that has tags, or of missed labels of
    one that has labels. Nothing is assumed of the model. Each threshold of a list that does not
    depend on the items is tested by the p-value of Hoeffding and Bentkus (for one label: of the
    binomial distribution), in fixed sequence; recall in one, precision in `PRECISION_STARTS`.

    Args:
        probability: `items x labels`; one column for one label.
        labels: `items x labels`, 0 or 1; of items that chose nothing else.
        measure: `"precision"` or `"recall"`.
        level: What it is to be at least, in (0, 1).
        confidence: In (0, 1).

    Raises:
        UserError: If shapes or values do not fit, or the measure is unknown.
        ConfigError: If `level` or `confidence` is out of range.
        MissingExtraError: If MAPIE is not installed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.random((2000, 1))
        >>> found = guarantee(p, rng.random((2000, 1)) < p, "precision", 0.8)
        >>> found.kept, 0.6 < found.threshold < 0.7, round(found.observed, 2)
        (True, True, 0.84)

    Reference: Angelopoulos et al. 2021, Learn then Test (arXiv:2110.01052), sections 2.1, 2.2 and
    3.2; for recall it is the set of Bates et al. 2021 (arXiv:2101.02703) with the Hoeffding-Bentkus
    bound. MAPIE's own controller of many labels counts an item without a tag as all wrong.
    """
    order = PRECISION_THRESHOLDS if measure == "precision" else RECALL_THRESHOLDS
    losses = item_losses(probability, labels, order, measure)
    return passing(losses, measure, level, confidence, binary=np.shape(probability)[1] == 1)


def passing(
    losses: Losses, measure: str, level: float, confidence: float, *, binary: bool
) -> Guarantee:
    """Return what passes of the thresholds of a measure, given the losses at each.

    Args:
        losses: `items x thresholds`, of `PRECISION_THRESHOLDS` or `RECALL_THRESHOLDS`.
        measure: Which of them.
        level: See `guarantee`.
        confidence: See `guarantee`.
        binary: Whether losses are 0 or 1, for which there is a sharper p-value.
    """
    for name, value in (("level", level), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"The {name} is {value}; expected a number between 0 and 1.")
    mapie, p_value = _mapie()
    precision = measure == "precision"
    order = PRECISION_THRESHOLDS if precision else RECALL_THRESHOLDS
    starts = PRECISION_STARTS if precision else 1
    counted = (~np.isnan(losses)).sum(axis=0)
    risk = np.where(counted > 0, np.nansum(losses, axis=0) / np.maximum(counted, 1), 1.0)
    p = p_value(risk, counted.astype(np.float64), 1 - level, binary=binary)[:, 0]
    sequence = mapie.FWERFixedSequenceTesting(n_starts=starts)
    valid = mapie.control_fwer(p, 1 - confidence, fwer_method=sequence)
    if len(valid):
        at = int(valid.max())  # the lowest for precision, the highest for recall
        return Guarantee(float(order[at]), True, 1 - float(risk[at]), int(counted[at]))
    needed = _needed(risk, counted, len(losses), 1 - level, (1 - confidence) / starts, binary)
    if not precision:
        return Guarantee(0.0, False, 1.0, int(counted.max()), needed)
    return Guarantee(NEVER, False, math.nan, 0, needed)


def _needed(
    risk: Losses,
    counted: NDArray[np.int_],
    num_items: int,
    limit: float,
    delta: float,
    binary: bool,
) -> int | None:
    """Return how many items like these would make some threshold pass, were its loss the same."""
    found = []
    for r, n in zip(risk.tolist(), counted.tolist(), strict=True):
        if n == 0 or r >= limit:
            continue
        # nats that an item tells against a loss as high as the limit (Hoeffding, eq. 2.1)
        nats = (r * math.log(r / limit) if r > 0 else 0.0) + (1 - r) * math.log(
            (1 - r) / (1 - limit)
        )
        found.append(math.ceil(-math.log(delta) / nats) * num_items / n)
    return math.ceil(min(found)) if found else None


def _mapie() -> tuple[Any, Any]:
    try:
        from mapie import risk_control
        from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
    except ImportError:
        raise MissingExtraError(
            "A guaranteed precision or recall needs MAPIE, which is not installed: "
            "pip install 'bayesfuse[decisions]'"
        ) from None
    return risk_control, compute_hoeffding_bentkus_p_value
