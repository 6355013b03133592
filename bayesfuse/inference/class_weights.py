"""Class weights: what the labels' terms of the log likelihood count for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from bayesfuse.errors import ConfigError, unknown_option

CLASS_WEIGHTS = ("balanced", "effective", "frequency", "inverse", "none", "positive")
BETA = 0.999


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
    def of_counts(
        cls, kind: str, positives: Tensor, num_items: int, beta: float = BETA
    ) -> Self | None:
        r"""Return the weights of a kind; None for `none`.

        With the number :math:`k_c` of items that have the label and the share
        :math:`f_c = (k_c + \tfrac12) / (N + 1)`:

        .. math:: \text{frequency:}\; \omega^\pm_c \propto f_c, \qquad
            \text{inverse:}\; \omega^\pm_c \propto 1 / f_c, \qquad
            \text{effective:}\; \omega^\pm_c \propto \frac{1 - \beta}{1 - \beta^{k_c}}

        .. math:: \text{positive:}\; \omega^+_c = 1 / f_c,\; \omega^-_c = 1, \qquad
            \text{balanced:}\; \omega^+_c = 1 / (2 f_c),\; \omega^-_c = 1 / (2 (1 - f_c))

        The first three have mean 1 over labels, so that the prior counts for what it did. A label
        that no item has, or all have, is not learned: its weights are 1.

        Args:
            kind: A name in `CLASS_WEIGHTS`.
            positives: Number k of training items with each label, `labels`.
            num_items: Number N of labelled training items.
            beta: :math:`\beta` of `effective`, in [0, 1): 0 weighs all alike, 1 were `inverse`.

        Raises:
            ConfigError: If the kind is unknown.

        Example:
            >>> weights = ClassWeights.of_counts("positive", torch.tensor([1, 7]), 9)
            >>> [round(w, 2) for w in weights.tagged.tolist()], weights.untagged.tolist()
            ([6.67, 1.33], [1.0, 1.0])

        Reference: Seo et al. 2022, eq. 8, prints `frequency`; the code that they published, and
        that of MMBT which it builds on, has `positive`. `effective`: Cui et al. 2019
        (arXiv:1901.05555), sec. 3 and 4, there for one class an item; here a label's two terms
        have its weight. `balanced` is scikit-learn's, a label at a time. The mean of 1 is ours, and
        Cui et al.'s.
        """
        if kind not in CLASS_WEIGHTS:
            raise ConfigError(unknown_option("class weights", kind, CLASS_WEIGHTS))
        if kind == "none":
            return None
        share = ((positives.double() + 0.5) / (num_items + 1)).float()
        learned = (positives > 0) & (positives < num_items)
        one = torch.ones_like(share)
        if kind in {"positive", "balanced"}:
            half = 1.0 if kind == "positive" else 0.5
            untagged = one if kind == "positive" else torch.where(learned, half / (1 - share), 1.0)
            return cls(torch.where(learned, half / share, 1.0), untagged)
        if kind == "effective":
            effective = (1 - beta ** positives.clamp(min=1).double()) / (1 - beta)
            weights = (1 / effective).float()
        else:
            weights = share if kind == "frequency" else 1 / share
        mean = weights[learned].mean() if bool(learned.any()) else 1.0
        weights = torch.where(learned, weights / mean, 1.0)
        return cls(weights, weights)

    @classmethod
    def of_labels(cls, given: Mapping[str, float], names: Sequence[str]) -> Self:
        """Return weights that were given by label, for both terms; 1 where nothing was.

        Args:
            given: Label to weight.
            names: The labels.

        Raises:
            ConfigError: If a label is unknown.

        Example:
            >>> ClassWeights.of_labels({"War": 2.0}, ["Drama", "War"]).tagged.tolist()
            [1.0, 2.0]
        """
        unknown = [
            f"In the class weights: {unknown_option('label', label, names)}"
            for label in given
            if label not in names
        ]
        if unknown:
            raise ConfigError("\n".join(unknown))
        weights = torch.tensor([float(given.get(name, 1.0)) for name in names])
        return cls(weights, weights)

    def of(self, labels: Tensor) -> Tensor:
        r"""Return what each term counts for, :math:`\omega^+ y + \omega^- (1 - y)`.

        Args:
            labels: 0 or 1, or shares y in [0, 1], `items x labels`.

        Returns:
            `items x labels`.
        """
        device = labels.device
        return self.tagged.to(device) * labels + self.untagged.to(device) * (1 - labels)

    def targets(self, labels: Tensor) -> Tensor:
        r"""Return the targets of the weighted terms, `items x labels`; labels 0 or 1 stay.

        With :math:`\omega = \omega^+ y + \omega^- (1 - y)` and :math:`y' = \omega^+ y / \omega`,

        .. math:: \omega^+ y \log p + \omega^- (1 - y) \log(1 - p)
            = \omega\, [y' \log p + (1 - y') \log(1 - p)]

        Args:
            labels: 0 or 1, or shares y in [0, 1], `items x labels`.
        """
        return self.tagged.to(labels.device) * labels / self.of(labels)

    def rates(self, rates: Tensor) -> Tensor:
        r"""Return the constant probabilities that are best under these weights, `labels`.

        .. math:: r'_c = \omega^+_c r_c / (\omega^+_c r_c + \omega^-_c (1 - r_c))

        Args:
            rates: Share r of items with each label, `labels`.
        """
        tagged = self.tagged * rates
        return tagged / (tagged + self.untagged * (1 - rates))
