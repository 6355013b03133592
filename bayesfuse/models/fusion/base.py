"""The contract of a fusion rule: modalities in, one hidden vector an item out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError
from bayesfuse.models.auxiliary.base import AuxiliaryLoss
from bayesfuse.models.inputs import check_inputs, check_widths
from bayesfuse.models.steps import steps_or_absent, used_steps


class Fusion(nn.Module, ABC):
    r"""Joins any number of modalities into one hidden vector; each rule is a final subclass.

    .. math:: a_m = \begin{cases} W_m x_m + b_m & \text{if modality } m \text{ was observed} \\
        \text{absent}_m & \text{otherwise} \end{cases}

    The rule turns the pre-activations :math:`a_m` into the output. `absent` is a parameter like any
    other: given a prior and a guide that starts as wide as it, a modality that training never left
    out shows, when it is missing, as a wider predictive, not as a silent zero. What stands in
    `inputs` where a modality was not observed, NaN and infinity included, changes neither the
    output nor any gradient.

    A rule that reads steps (`reads_steps`) may be told that some modalities are sequences. Their
    features are `items x steps x features`, with NaN in the steps that an item does not have, and
    so are their pre-activations; an item of no step has one, which is `absent`. Every other rule
    takes one vector a modality.

    Parameter names are part of the contract (they become the names of Pyro sites): the layer of
    modality `text` is `text.weight` and `text.bias`, its stand-in `absent.text`. Gates live under
    `gate.<modality>`, a layer over all modalities is `fused`.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        hidden: Number of units of the output.
        sequences: Modalities that are sequences; of a rule that reads steps only.

    Attributes:
        reads_steps: Whether the rule reads sequences step by step.
        names: The modalities, in order.
        widths: Modality to its number of features.
        out_features: Width of the output, equal to `hidden`.
        absent: Modality to its learned pre-activation where it was not observed, each `hidden`,
            0 at the start.

    Raises:
        ConfigError: If `hidden` is below 1, `widths` is not usable (see `check_widths`), or there
            are sequences that the rule does not read.
    """

    reads_steps: ClassVar[bool] = False

    def __init__(
        self, widths: Mapping[str, int], hidden: int, sequences: Collection[str] = ()
    ) -> None:
        super().__init__()
        if hidden < 1:
            raise ConfigError(f"Got hidden={hidden}; expected at least 1 unit.")
        self.widths = check_widths(widths)
        strange = [name for name in sequences if not self.reads_steps or name not in self.widths]
        if strange:
            raise ConfigError(
                f"{type(self).__name__} got {', '.join(strange)} as sequences; it "
                f"{'has no such modality' if self.reads_steps else 'reads one vector a modality'}."
            )
        self.sequences = tuple(name for name in self.widths if name in sequences)
        self.names = tuple(self.widths)
        self.out_features = hidden
        for name, width in self.widths.items():
            self.add_module(name, nn.Linear(width, hidden))
        self.absent = nn.ParameterDict(
            [(name, nn.Parameter(torch.zeros(hidden))) for name in self.names]
        )

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        presence: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        r"""Fuse the modalities of each item; subclasses define `fuse` and leave this as it is.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`, columns in the order of `names`.
            presence: Modality to how far it counts as observed where it is, `items`, in (0, 1]:
                with w, :math:`a_m = w (W_m x_m + b_m) + (1 - w)\, \text{absent}_m`. 1 for those
                left out.

        Returns:
            The fused vector, `items x hidden`.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        return self.fuse(*self.activate(inputs, observed, presence))

    @final
    def activate(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        presence: Mapping[str, Tensor] | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return what `fuse` takes: each modality's features, and its pre-activations.

        Args:
            inputs: See `forward`.
            observed: See `forward`.
            presence: See `forward`.

        Raises:
            FeatureError: See `forward`.
        """
        values = self.seen(inputs, observed)
        activations = []
        for column, name in enumerate(self.names):
            layer: nn.Module = getattr(self, name)
            value, used = values[column], None
            if name in self.sequences:
                used = used_steps(value)
                value = torch.where(used[:, :, None], value, 0.0)
            said, absent = layer(value), self.absent[name]
            if presence is not None and name in presence:
                weight = presence[name].view(-1, *[1] * (said.ndim - 1)).to(said.dtype)
                said = absent + weight * (said - absent)
                values[column] = weight * values[column]
            if used is not None:
                activations.append(steps_or_absent(used, said, absent))
            else:
                activations.append(_where_observed(observed[:, column], said, absent))
        return values, activations

    @final
    def seen(self, inputs: Mapping[str, Tensor], observed: Tensor) -> list[Tensor]:
        """Return each modality's features, in the order of `names`, with 0 where not observed.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`.

        Returns:
            One tensor `items x features` a modality; of a sequence NaN where there is no step.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        check_inputs(inputs, observed, self.widths, self.sequences)
        return [
            torch.where(observed[:, column, None, None], inputs[name], torch.nan)
            if name in self.sequences
            else _where_observed(observed[:, column], inputs[name], 0.0)
            for column, name in enumerate(self.names)
        ]

    def own_loss(self, num_labels: int, weight: float) -> AuxiliaryLoss | None:
        """Return what the rule is trained by beside the labels' likelihood; None for most rules.

        Args:
            num_labels: Number of labels.
            weight: What it counts for, > 0.
        """
        return None

    @abstractmethod
    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Turn pre-activations into the fused vector: the rule itself.

        Args:
            values: Features with 0 where not observed, one `items x features` a modality.
            activations: Pre-activations, one `items x hidden` a modality. Of a sequence both are
                `items x steps x ...`, NaN where there is no step.

        Returns:
            The fused vector, `items x hidden`.
        """


def _where_observed(observed: Tensor, values: Tensor, instead: Tensor | float) -> Tensor:
    """Return `values`, `items x units`, and `instead` for items that were not observed."""
    looks = observed.device.type == "cpu" and not torch.compiler.is_compiling()
    # a pass over memory, spared where there is nothing to choose and no gradient to send
    if looks and not torch.is_grad_enabled() and bool(observed.all()):
        return values.to(torch.result_type(values, instead))
    return torch.where(observed[:, None], values, instead)
