"""Standardising inputs inside the model, so that a saved model takes features as they come."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from bayesfuse.errors import FeatureError, unknown_option
from bayesfuse.models.inputs import check_inputs, check_widths
from bayesfuse.models.steps import used_steps


class Standardise(nn.Module):
    r"""Shifts and scales each modality's features by constants that are saved with the model.

    .. math:: x'_m = g_m \cdot (x_m - \text{loc}_m) / \text{scale}_m

    with a location and a scale a feature and one gain a modality. All are buffers, not parameters:
    `loc.<modality>`, `scale.<modality>` (each `features`) and `gain.<modality>` (a scalar). They
    are the identity until set. Where a modality was not observed the result is 0; of a sequence
    every step is treated so, and what is no step of the item stays NaN.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        sequences: Modalities that come as `items x steps x features`.

    Raises:
        ConfigError: If `widths` is not usable (see `check_widths`).

    Example:
        >>> standardise = Standardise({"text": 2})
        >>> standardise.set_statistics("text", torch.tensor([1., 1.]), torch.tensor([2., 4.]))
        >>> standardise({"text": torch.tensor([[3., 3.]])}, torch.tensor([[True]]))["text"]
        tensor([[1.0000, 0.5000]])
    """

    def __init__(self, widths: Mapping[str, int], sequences: Collection[str] = ()) -> None:
        super().__init__()
        self.widths, self.sequences = check_widths(widths), tuple(sequences)
        self.loc, self.scale, self.gain = nn.Module(), nn.Module(), nn.Module()
        for name, width in self.widths.items():
            self.loc.register_buffer(name, torch.zeros(width))
            self.scale.register_buffer(name, torch.ones(width))
            self.gain.register_buffer(name, torch.ones(()))

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        shift: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        r"""Standardise every modality.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`.
            shift: How far items are moved from where they are, modality to :math:`s_{im}`,
                `items x features`: what is returned is :math:`x_{im} + r_i s_{im}` with the length
                :math:`r_i^2 = \sum_m d_m g_m^2` that an item of these modalities typically has, of
                :math:`d_m` features (in all steps) with the gain :math:`g_m`. None for not at all.

        Returns:
            Modality to its standardised features, each `items x features`, 0 where not observed.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        check_inputs(inputs, observed, self.widths, self.sequences)
        found = {
            name: self.one(name, inputs[name], observed[:, column])
            for column, name in enumerate(self.widths)
        }
        if shift is None:
            return found
        gains = torch.stack([self.gain.get_buffer(name) for name in self.widths]).flatten()
        squares = gains.square() * gains.new_tensor(list(self.widths.values()))
        counts = [
            used_steps(value).sum(1) if value.ndim == 3 else observed[:, column]
            for column, value in enumerate(found.values())
        ]
        length = (torch.stack(counts, dim=1) * observed * squares).sum(1, keepdim=True).sqrt()
        moved = {n: found[n] + (length[:, None] if by.ndim == 3 else length) * by
                 for n, by in shift.items()}  # fmt: skip
        seen = {name: observed[:, column, None] for column, name in enumerate(self.widths)}
        return found | {
            n: value if value.ndim == 3 else torch.where(seen[n], value, 0.0)
            for n, value in moved.items()
        }

    def one(self, name: str, values: Tensor, observed: Tensor) -> Tensor:
        """Standardise one modality of any items.

        Args:
            name: The modality.
            values: Its features, `items x features`; or steps, `items x steps x features`.
            observed: Boolean, `items`.

        Returns:
            As `values`, 0 where not observed; NaN where there is no step.
        """
        moved = (values - self.loc.get_buffer(name)) / self.scale.get_buffer(name)
        seen, nothing = observed[:, None], 0.0
        if values.ndim == 3:
            seen, nothing = seen[:, None], torch.nan
        return torch.where(seen, moved * self.gain.get_buffer(name), nothing)

    def set_statistics(self, name: str, loc: Tensor, scale: Tensor) -> None:
        """Set the location and scale of a modality's features, as measured on training items.

        A feature that never varied has scale 0 and carries no information: it gets scale 1, so
        that it becomes 0 on training items and stays finite elsewhere.

        Args:
            name: The modality.
            loc: Mean of each feature, `features`, finite.
            scale: Standard deviation of each feature, `features`, finite and >= 0.

        Raises:
            FeatureError: If the name is unknown, a shape differs or a value is not allowed.
        """
        self._check_name(name)
        for what, value in (("loc", loc), ("scale", scale)):
            if value.shape != (self.widths[name],):
                raise FeatureError(
                    f'The {what} of modality "{name}" has shape {tuple(value.shape)}; expected '
                    f"({self.widths[name]},), one number a feature."
                )
            if not bool(torch.isfinite(value).all()):
                raise FeatureError(
                    f'The {what} of modality "{name}" has NaN or infinity at features '
                    f"{(~torch.isfinite(value)).nonzero().flatten().tolist()[:5]}; expected finite "
                    "numbers. Are the features of the training items finite?"
                )
        if bool((scale < 0).any()):
            raise FeatureError(
                f'The scale of modality "{name}" is negative at features '
                f"{(scale < 0).nonzero().flatten().tolist()[:5]}; expected standard deviations."
            )
        with torch.no_grad():
            self.loc.get_buffer(name).copy_(loc)
            self.scale.get_buffer(name).copy_(torch.where(scale > 0, scale, 1.0))

    def set_gain(self, name: str, gain: float) -> None:
        """Set the constant that a modality is multiplied with after standardising.

        A typical standardised row of d features has norm sqrt(d); a gain of r / sqrt(d) makes it
        r, so that modalities of different widths enter on the same footing.

        Args:
            name: The modality.
            gain: A finite number > 0.

        Raises:
            FeatureError: If the name is unknown or the gain is not a finite number > 0.
        """
        self._check_name(name)
        if not 0 < gain < float("inf"):
            raise FeatureError(
                f'The gain of modality "{name}" is {gain}; expected a finite number > 0.'
            )
        with torch.no_grad():
            self.gain.get_buffer(name).fill_(gain)

    def _check_name(self, name: str) -> None:
        """Raise if there is no such modality."""
        if name not in self.widths:
            raise FeatureError(unknown_option("modality", name, self.widths))
