"""The network: features in, standardised, fused and classified, one logit a label out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.models.classifier import CLASSIFIERS
from bayesfuse.models.fusion import FUSIONS
from bayesfuse.models.standardise import Standardise


@final
class FusionNetwork(nn.Module):
    r"""Puts standardising, a fusion rule and a classifier together.

    .. math:: \text{logit}_{ic} = f_{\text{classifier}}(
        f_{\text{fusion}}(f_{\text{standardise}}(x_i), \text{observed}_i))_c

    It is a plain module: it draws nothing at random but dropout in training mode, works under
    `torch.func.functional_call` and, in evaluation mode, under `torch.func.vmap` over stacked
    parameters. Its children `standardise`, `fusion` and `classifier` give the parameters their
    names, such as `fusion.text.weight`.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        num_labels: Number of labels.
        fusion: A name in `FUSIONS`.
        hidden: Width of the fused vector.
        classifier: A name in `CLASSIFIERS`.
        classifier_hidden: Units of the maxout layer (`maxout` only).
        pieces: Linear pieces of a maxout unit (`maxout` only).
        dropout: Probability in [0, 1) of dropping an input of a classifier's layer in training.

    Attributes:
        names: The modalities, in order.
        num_labels: Number of labels.
        fixed_logit: Buffer, `labels`: a constant logit, or NaN where the logit is learned.

    Raises:
        ConfigError: If a name is unknown (with the nearest one that is known) or a number is out
            of range.

    Example:
        >>> network = FusionNetwork({"text": 3, "image": 2}, num_labels=4, fusion="gmu", hidden=8)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> network(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])
    """

    fixed_logit: Tensor

    def __init__(
        self,
        widths: Mapping[str, int],
        num_labels: int,
        *,
        fusion: str = "gmu",
        hidden: int = 256,
        classifier: str = "maxout",
        classifier_hidden: int = 256,
        pieces: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ConfigError(unknown_option("fusion rule", fusion, FUSIONS))
        if classifier not in CLASSIFIERS:
            raise ConfigError(unknown_option("classifier", classifier, CLASSIFIERS))
        self.names = tuple(widths)
        self.num_labels = num_labels
        self.standardise = Standardise(widths)
        self.fusion = FUSIONS[fusion](widths, hidden)
        self.classifier = CLASSIFIERS[classifier].from_options(
            self.fusion.out_features,
            num_labels,
            hidden=classifier_hidden,
            pieces=pieces,
            dropout=dropout,
        )
        self.register_buffer("fixed_logit", torch.full((num_labels,), torch.nan))

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor) -> Tensor:
        """Return the logit of every label for every item.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`, columns in the order of `names`; where it is
                False the features change nothing, whatever they hold.

        Returns:
            Logits, `items x labels`.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        fused = self.fusion(self.standardise(inputs, observed), observed)
        logits: Tensor = self.classifier(fused)
        return torch.where(self.fixed_logit.isnan(), logits, self.fixed_logit)

    def set_label_counts(self, positives: Tensor, num_items: int) -> None:
        r"""Start every label at its base rate, and fix those that training can say nothing about.

        .. math:: r_c = (k_c + \tfrac12) / (N + 1)

        The output's bias starts at the logit of r. A label that no training item has, or that all
        have, keeps this logit for every item: the base rate is all that is known about it. The half
        counts keep that rate off 0 and 1, where one exception would cost infinitely many nats.

        Args:
            positives: Number k of training items with each label, `labels`.
            num_items: Number N of labelled training items (>= 1).

        Raises:
            ConfigError: If the shape differs or a count is not in 0..N.

        Reference: the posterior mean under Jeffreys' prior Beta(1/2, 1/2).
        """
        if positives.shape != (self.num_labels,):
            raise ConfigError(
                f"Got label counts of shape {tuple(positives.shape)}; expected "
                f"({self.num_labels},), one a label."
            )
        if num_items < 1 or not bool(((positives >= 0) & (positives <= num_items)).all()):
            raise ConfigError(
                f"Got label counts between {positives.min():g} and {positives.max():g} of "
                f"{num_items} items; expected 0..N of N >= 1 items."
            )
        rates = (positives.double() + 0.5) / (num_items + 1)
        self.classifier.set_base_rates(rates)
        constant = (positives == 0) | (positives == num_items)
        with torch.no_grad():
            self.fixed_logit.copy_(torch.where(constant, torch.logit(rates), torch.nan))
