"""What a model takes in: named modalities over the same items, and which of them were observed.

Every module of `bayesfuse.models` that reads features takes the same pair: `inputs`, a mapping
from a modality's name to a tensor `items x features` (of a sequence `items x steps x features`, NaN
in the steps that an item does not have), and `observed`, a boolean tensor `items x modalities`
whose columns are in the order of the model's `widths`. The two checks here look at names and shapes
only, never at values, so they cost microseconds and add no graph break under `torch.compile`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError, FeatureError

_OWN_NAMES = (
    *("absent", "activate", "fuse", "fused", "gate", "gates", "names", "out_features", "own_loss"),
    *("late", "late_widths", "reads_steps", "seen", "sequences", "widths"),
)
_ADDED_LATER = ("smart_apply",)  # by transformers, to every module, once it is imported

# A modality names a child module, a parameter and a buffer, so it must be free in all of these.
RESERVED_NAMES = frozenset(
    {*dir(nn.ModuleDict()), *dir(nn.ParameterDict()), *_OWN_NAMES, *_ADDED_LATER}
)


def check_widths(widths: Mapping[str, int]) -> dict[str, int]:
    """Return the widths as a plain dict, once their names and values can name a model's parts.

    Args:
        widths: Modality to its number of features (>= 1), in the order of `observed`'s columns.

    Returns:
        The same, as a dict of ints.

    Raises:
        ConfigError: If there is no modality, a name is empty, has a dot or is taken by PyTorch's
            modules (`type`, `items`, ...), or a width is below 1.

    Example:
        >>> check_widths({"text": 384, "image": 512})
        {'text': 384, 'image': 512}
        >>> check_widths({"type": 3})
        Traceback (most recent call last):
            ...
        bayesfuse.errors.ConfigError: The modality name "type" is taken by the model's own parts; \
rename that modality, for example to "type_".
    """
    if not widths:
        raise ConfigError("Got no modality; expected at least one name with its width.")
    for name, width in widths.items():
        if not name or "." in name:
            raise ConfigError(
                f'Got the modality name "{name}"; expected a name that is not empty and has no '
                "dot, because it becomes part of parameter names. Rename that modality."
            )
        if name in RESERVED_NAMES:
            raise ConfigError(
                f'The modality name "{name}" is taken by the model\'s own parts; rename that '
                f'modality, for example to "{name}_".'
            )
        if width < 1:
            raise ConfigError(
                f'Modality "{name}" has width {width}; expected at least 1 feature. '
                "Leave the modality out if it has none."
            )
    return {name: int(width) for name, width in widths.items()}


def check_inputs(
    inputs: Mapping[str, Tensor],
    observed: Tensor,
    widths: Mapping[str, int],
    sequences: Collection[str] = (),
) -> None:
    """Raise unless `inputs` and `observed` have the names and shapes that `widths` promises.

    Args:
        inputs: Modality to its features, each `items x features`.
        observed: Boolean, `items x modalities`, columns in the order of `widths`.
        widths: Modality to its number of features.
        sequences: Modalities of `items x steps x features`, of one step at least.

    Raises:
        FeatureError: If a modality is missing or unknown, a width or the number of items differs,
            or `observed` is not a boolean tensor of the right shape.

    Example:
        >>> check_inputs({"text": torch.zeros(5, 2)}, torch.ones(5, 1).bool(), {"text": 3})
        Traceback (most recent call last):
            ...
        bayesfuse.errors.FeatureError: Modality "text" has shape 5 x 2; expected 5 x 3 \
(items x features). Were these features made by the encoder that the model was fitted with?
    """
    missing = [name for name in widths if name not in inputs]
    unknown = [name for name in inputs if name not in widths]
    if missing or unknown:
        raise FeatureError(
            f"Got the modalities {_listed(inputs)}; expected {_listed(widths)}"
            f" (missing: {_listed(missing)}; unknown: {_listed(unknown)}). For a modality that "
            "was not seen, pass zeros and False in `observed`; drop those the model does not know."
        )
    if observed.dtype is not torch.bool or observed.ndim != 2 or observed.shape[1] != len(widths):
        raise FeatureError(
            f"`observed` is {observed.dtype} of shape {_shape(observed)}; expected torch.bool of "
            f"shape items x {len(widths)}, one column a modality in the order {_listed(widths)}."
        )
    for name, width in widths.items():
        shape = inputs[name].shape
        fits = tuple(shape) == (observed.shape[0], width)
        if name in sequences:
            several = len(shape) == 3 and shape[1] > 0
            fits = several and (shape[0], shape[2]) == (observed.shape[0], width)
        if not fits:
            steps = ("steps x ", "x steps ") if name in sequences else ("", "")
            raise FeatureError(
                f'Modality "{name}" has shape {_shape(inputs[name])}; expected '
                f"{observed.shape[0]} x {steps[0]}{width} (items {steps[1]}x features). Were these "
                "features made by the encoder that the model was fitted with?"
            )


def _shape(tensor: Tensor) -> str:
    """Spell a shape as `5 x 3`."""
    return " x ".join(str(size) for size in tensor.shape) or "()"


def _listed(names: Mapping[str, object] | list[str]) -> str:
    """Spell names as `text, image`."""
    return ", ".join(names) or "none"
