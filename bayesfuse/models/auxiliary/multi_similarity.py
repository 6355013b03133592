"""The Multi-Similarity loss: fused vectors of alike items together, of others apart."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.models.auxiliary.base import AuxiliaryLoss, Seen, precise


@final
class MultiSimilarity(AuxiliaryLoss):
    r"""Pulls together items that share a label and pushes apart those that share none.

    .. math:: L = \frac{\zeta}{B} \sum_i \Bigl[ \frac1\alpha
        \log\Bigl(1 + \sum_{k \in P_i} e^{-\alpha (S_{ik} - \lambda)}\Bigr) + \frac1\beta
        \log\Bigl(1 + \sum_{k \in N_i} e^{\beta (S_{ik} - \lambda)}\Bigr) \Bigr]

    with the cosine S of two fused vectors, and of each item's pairs those alone that are hard:

    .. math:: P_i = \{k \text{ alike}: S_{ik} < \max_{j \text{ unlike}} S_{ij} + \epsilon\}, \qquad
        N_i = \{k \text{ unlike}: S_{ik} > \min_{j \text{ alike}} S_{ij} - \epsilon\}

    An item that is alike none of its batch, or all, has no such pair.

    Args:
        weight: :math:`\zeta`.
        alpha: How sharply pairs that are alike count.
        beta: How sharply pairs that are not count.
        threshold: :math:`\lambda`.
        margin: :math:`\epsilon`.

    Reference: Sankaran et al. 2021 (ReFNet), eq. 5 and sec. 5.1, :math:`\alpha = 50` and
    :math:`\beta = 2` as they print it; Wang et al. 2019 (arXiv:1904.06627), eq. 7, 8 and 10, where
    they are 2 and 50; :math:`\lambda` and :math:`\epsilon` are those of the latter's code. Neither
    tells when items of several labels are alike: here, when they share one
    (which most sources of labels give).
    """

    needs_labels: ClassVar[bool] = True

    def __init__(
        self,
        weight: float,
        alpha: float = 50.0,
        beta: float = 2.0,
        threshold: float = 0.5,
        margin: float = 0.1,
    ) -> None:
        super().__init__()
        self.weight, self.alpha, self.beta = weight, alpha, beta
        self.threshold, self.margin = threshold, margin

    def forward(self, seen: Seen) -> Tensor:
        """Return the loss of a batch whose labels are known (see `AuxiliaryLoss`)."""
        assert seen.labels is not None
        # in bfloat16 a cosine has two digits, of which alpha makes an error
        with torch.autocast(seen.fused.device.type, enabled=False):
            vectors, labels = F.normalize(precise(seen.fused), dim=1), seen.labels.round()
            similarity, shared = vectors @ vectors.T, labels @ labels.T > 0
        others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        alike, unlike = shared & others, ~shared & others
        with torch.no_grad():
            nearest = similarity.masked_fill(~unlike, -torch.inf).amax(dim=1, keepdim=True)
            farthest = similarity.masked_fill(~alike, torch.inf).amin(dim=1, keepdim=True)
            alike = alike & (similarity < nearest + self.margin)
            unlike = unlike & (similarity > farthest - self.margin)
        far = similarity - self.threshold
        pull = _log_one_plus_sum(-self.alpha * far, alike) / self.alpha
        push = _log_one_plus_sum(self.beta * far, unlike) / self.beta
        return self.weight * (pull + push).mean()


def _log_one_plus_sum(exponents: Tensor, chosen: Tensor) -> Tensor:
    """Return log(1 + Σ exp) over the chosen ones of each row, `items`."""
    kept = exponents.masked_fill(~chosen, -torch.inf)
    return torch.cat([torch.zeros_like(kept[:, :1]), kept], dim=1).logsumexp(dim=1)
