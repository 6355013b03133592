"""How common labels are: where a classifier starts, and all that is known of some labels."""

from __future__ import annotations

from torch import Tensor

from bayesfuse.errors import ConfigError


def base_rates(positives: Tensor, num_items: int, num_labels: int) -> tuple[Tensor, Tensor]:
    r"""Return the base rate of every label, and which labels training can say nothing about.

    .. math:: r_c = (k_c + \tfrac12) / (N + 1)

    The half counts keep the rate off 0 and 1, where one exception would cost infinitely many nats.

    Args:
        positives: Number k of training items with each label, `labels`.
        num_items: Number N of labelled training items (>= 1).
        num_labels: Number of labels.

    Returns:
        Rates in (0, 1), float64, `labels`; and which labels no item has, or all have, `labels`.

    Raises:
        ConfigError: If the shape differs or a count is not in 0..N.

    Example:
        >>> import torch
        >>> [part.tolist() for part in base_rates(torch.tensor([0, 1]), 3, 2)]
        [[0.125, 0.375], [True, False]]

    Reference: the posterior mean under Jeffreys' prior Beta(1/2, 1/2).
    """
    if positives.shape != (num_labels,):
        raise ConfigError(
            f"Got label counts of shape {tuple(positives.shape)}; expected "
            f"({num_labels},), one a label."
        )
    if num_items < 1 or not bool(((positives >= 0) & (positives <= num_items)).all()):
        raise ConfigError(
            f"Got label counts between {positives.min():g} and {positives.max():g} of "
            f"{num_items} items; expected 0..N of N >= 1 items."
        )
    rates = (positives.double() + 0.5) / (num_items + 1)
    return rates, (positives == 0) | (positives == num_items)
