r"""Several columns of labels: sources that agree on an item, or do not.

Source k says of item i a set of labels :math:`y_{ki} \in \{0, 1\}^C`. How like the others' it is,
over the :math:`K_i` sources that say anything of the item, makes its validity; the validities make
the item's soft labels.

.. math:: s_{ki} = \frac{1}{K_i - 1} \sum_{j \ne k} f(y_{ki}, y_{ji}), \qquad
    p_{ki} = \frac{\exp s_{ki}}{\sum_j \exp s_{ji}}, \qquad
    \hat y_i = \sum_k p_{ki}\, y_{ki}

Of f the paper asks that it tells how like two captions are; of sets of labels it is F1,
:math:`2 |a \cap b| / (|a| + |b|)`, and 1 of two empty ones.

The paper draws one source an item and epoch with probability p (validity-based sampling), and
mixes it with the soft label (smoothing): :math:`(1 - \alpha) y_{ki} + \alpha \hat y_i`. Every loss
here is linear in its target, so the mean of that loss over the draw is the loss of
:math:`\hat y_i`, whatever :math:`\alpha` is. That mean is what is trained on, without the noise of
the draw.

Reference: validity-based caption sampling and weighted caption smoothing, eq. 1-4, of the workshop
on multimodal artificial intelligence (MAI) 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.roles import Labels

LABEL_SOURCES = ("agreement", "equal")


@dataclass(frozen=True)
class SourceAgreement:
    """How much the sources of labels say, and how like one another.

    Attributes:
        names: The columns.
        items: Number of items of which each says anything.
        agreement: Mean F1 of each with the others, over the items of which both say something; NaN
            where there is none.
    """

    names: tuple[str, ...]
    items: tuple[int, ...]
    agreement: tuple[float, ...]


@dataclass(frozen=True)
class JoinedLabels:
    """What several sources say together.

    Attributes:
        labels: The labels that hold by the larger share of the sources' validity; where both are
            equal, by the first source that says anything of the item.
        shares: The share of validity that says so of each, in [0, 1], `items x labels`, float32.
        agreement: How much the sources say, and how like one another.
    """

    labels: Labels
    shares: NDArray[np.float32]
    agreement: SourceAgreement


def join_sources(
    columns: Sequence[str], sources: Sequence[Labels], weigh: str = "agreement"
) -> JoinedLabels:
    """Join what several columns say of the same items.

    Args:
        columns: Their names.
        sources: The labels of each, with the same `names`.
        weigh: `"agreement"` for validities as above; `"equal"` for the same of each source.

    Example:
        >>> import numpy as np
        >>> def source(*rows):
        ...     return Labels(("Drama", "War"), np.array(rows, np.float32), np.array([True]))
        >>> joined = join_sources("abc", [source([1, 0]), source([1, 0]), source([0, 1])])
        >>> bool(joined.shares[0, 0] > 0.7), joined.labels.values.tolist()
        (True, [[1.0, 0.0]])
    """
    values = np.stack([source.values for source in sources]).astype(np.float64)
    known = np.stack([source.labelled for source in sources])
    alike = _agreements(values)
    both = known[:, None] & known[None, :] & ~np.eye(len(sources), dtype=np.bool_)[:, :, None]
    similarity = (alike * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    score = np.exp(similarity) if weigh == "agreement" else np.ones_like(similarity)
    score = score * known
    validity = score / np.maximum(score.sum(axis=0), np.finfo(np.float64).tiny)
    shares = np.einsum("ki,kic->ic", validity, values)
    first = values[known.argmax(axis=0), np.arange(values.shape[1])]
    tied = np.isclose(shares, 0.5, rtol=0, atol=1e-9)
    hard = np.where(tied, first, shares > 0.5).astype(np.float32)
    pairs = both.sum(axis=(1, 2))
    mean = np.full(len(sources), np.nan)
    np.divide((alike * both).sum(axis=(1, 2)), pairs, out=mean, where=pairs > 0)
    agreement = SourceAgreement(
        tuple(columns), tuple(known.sum(axis=1).tolist()), tuple(mean.tolist())
    )
    labels = Labels(sources[0].names, hard, np.asarray(known.any(axis=0)))
    return JoinedLabels(labels, shares.clip(0, 1).astype(np.float32), agreement)


def _agreements(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F1 of each two sources' labels of each item, `sources x sources x items`."""
    sizes = values.sum(axis=2)
    common = np.einsum("kic,jic->kji", values, values)
    together = sizes[:, None] + sizes[None, :]
    return np.where(together > 0, 2 * common / np.maximum(together, 1), 1.0)
