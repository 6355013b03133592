"""Class weights: what the labels' terms of the log likelihood count for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from bayesfuse.errors import ConfigError, unknown_option

CLASS_WEIGHTS = ("frequency", "inverse", "none", "positive")


@dataclass(frozen=True, eq=False)
class ClassWeights:
    r"""Weights :math:`\omega` of a label's terms, for items that have it and for those that do not.

    .. math:: \log \tilde p(y_i \mid \theta) = \sum_c \left[ \omega^+_c\, y_{ic} \log \hat y_{ic}
        + \omega^-_c\, (1 - y_{ic}) \log(1 - \hat y_{ic}) \right]

    Where :math:`\omega^+_c = \omega^-_c` the best probability of a label is still its probability,
    and labels differ in how much is done for them. Where they differ, the best probability is that
    of a catalogue in which the label's odds are :math:`\omega^+_c / \omega^-_c` times what they
    are. In either case a posterior is that of this objective, and no longer of the labels' model.

    Args:
        tagged: :math:`\omega^+`, `labels`, > 0.
        untagged: :math:`\omega^-`, `labels`, > 0.

    Reference: Seo et al. 2022 (MM-GATBT), eq. 8.
    """

    tagged: Tensor
    untagged: Tensor

    @classmethod
    def of_counts(cls, kind: str, positives: Tensor, num_items: int) -> Self | None:
        r"""Return the weights of a kind; None for `none`.

        With the share :math:`f_c = (k_c + \tfrac12) / (N + 1)` of items that have the label:
        `frequency` is :math:`\omega^\pm_c \propto f_c` and `inverse` :math:`\omega^\pm_c \propto
        1 / f_c`, both with mean 1 over labels, so that the prior counts for what it did;
        `positive` is :math:`\omega^+_c = 1 / f_c`, :math:`\omega^-_c = 1`. A label that no item
        has, or all have, is not learned: its weights are 1.

        Args:
            kind: A name in `CLASS_WEIGHTS`.
            positives: Number k of training items with each label, `labels`.
            num_items: Number N of labelled training items.

        Raises:
            ConfigError: If the kind is unknown.

        Example:
            >>> weights = ClassWeights.of_counts("positive", torch.tensor([1, 7]), 9)
            >>> [round(w, 2) for w in weights.tagged.tolist()], weights.untagged.tolist()
            ([6.67, 1.33], [1.0, 1.0])

        Reference: Seo et al. 2022, eq. 8, prints `frequency`; the code that they published, and
        that of MMBT which it builds on, has `positive`. The mean of 1 is ours.
        """
        if kind not in CLASS_WEIGHTS:
            raise ConfigError(unknown_option("class weights", kind, CLASS_WEIGHTS))
        if kind == "none":
            return None
        share = ((positives.double() + 0.5) / (num_items + 1)).float()
        learned = (positives > 0) & (positives < num_items)
        weights = torch.where(learned, share if kind == "frequency" else 1 / share, 1.0)
        if kind == "positive":
            return cls(weights, torch.ones_like(weights))
        mean = weights[learned].mean() if bool(learned.any()) else 1.0
        weights = torch.where(learned, weights / mean, 1.0)
        return cls(weights, weights)

    def of(self, labels: Tensor) -> Tensor:
        """Return what each term counts for, `items x labels`, of labels 0 or 1 of that shape."""
        device = labels.device
        return torch.where(labels > 0, self.tagged.to(device), self.untagged.to(device))

    def rates(self, rates: Tensor) -> Tensor:
        r"""Return the constant probabilities that are best under these weights, `labels`.

        .. math:: r'_c = \omega^+_c r_c / (\omega^+_c r_c + \omega^-_c (1 - r_c))

        Args:
            rates: Share r of items with each label, `labels`.
        """
        tagged = self.tagged * rates
        return tagged / (tagged + self.untagged * (1 - rates))
