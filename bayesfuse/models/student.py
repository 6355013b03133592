"""A small deterministic network that says two things of a label: how likely, and how sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from bayesfuse.models.network import FusionNetwork


class Said(NamedTuple):
    """What a student says of a batch.

    Attributes:
        logits: Of each label, `items x labels`.
        share_logits: Of the share of the uncertainty that is epistemic, `items x labels`.
        fused: The fused vectors, `items x hidden`.
    """

    logits: Tensor
    share_logits: Tensor
    fused: Tensor


class StudentNetwork(nn.Module):
    r"""A fusion network with two heads, for the mean of a posterior and for its spread.

    The second head is for the share of a label's uncertainty that more data could remove,

    .. math:: u = \frac{H(\bar p) - \frac1S \sum_s H(p^{(s)})}{H(\bar p)} \in [0, 1]

    which one draw of a posterior cannot tell, and a student of many draws can.

    Args:
        widths: Modality to its number of features.
        num_labels: Number of labels.
        fusion: See `FusionNetwork`.
        hidden: Width of the fused vector.
        classifier_hidden: See `FusionNetwork`.
        pieces: See `FusionNetwork`.
        dropout: See `FusionNetwork`.

    Raises:
        ConfigError: See `FusionNetwork`.

    Example:
        >>> import torch
        >>> student = StudentNetwork({"text": 3, "image": 2}, num_labels=4, hidden=8)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> said = student(inputs, torch.ones(5, 2, dtype=torch.bool))
        >>> said.logits.shape, said.share_logits.shape, said.fused.shape
        (torch.Size([5, 4]), torch.Size([5, 4]), torch.Size([5, 8]))
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        num_labels: int,
        *,
        fusion: str = "gmu",
        hidden: int = 128,
        classifier_hidden: int = 128,
        pieces: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.num_labels = num_labels
        self.network = FusionNetwork(
            widths,
            2 * num_labels,
            fusion=fusion,
            hidden=hidden,
            classifier_hidden=classifier_hidden,
            pieces=pieces,
            dropout=dropout,
        )

    @property
    def fused_features(self) -> int:
        """Width of the fused vector."""
        assert self.network.fusion is not None  # the student has no graph
        return self.network.fusion.out_features

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor) -> Said:
        """Return what the student says of these items.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        assert self.network.fusion is not None  # the student has no graph
        standardised = self.network.standardise(inputs, observed)
        fused = self.network.fusion(standardised, observed, {})
        logits = self.network.classifier(fused)
        return Said(logits[:, : self.num_labels], logits[:, self.num_labels :], fused)
