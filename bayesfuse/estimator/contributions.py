"""What each modality adds to an item's tags, and what parts of its text and picture do.

A contribution is a difference of log-odds under one draw of the weights, so that it has a spread
over draws as a probability has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.features import FeatureTable
from bayesfuse.data.sequences import Sequences
from bayesfuse.encoders.base import Cell, Encoder
from bayesfuse.errors import ConfigError
from bayesfuse.evaluation.shapley import MAX_PLAYERS, coalitions, shapley_values
from bayesfuse.graph.hiding import hide, hideable

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """What parts of the evidence add to the log-odds of each label of an item.

    Attributes:
        parts: What the parts are: modalities, words or regions.
        label_names: The labels.
        mean: Mean over draws, `parts x labels`.
        low: 5 % quantile over draws, `parts x labels`.
        high: 95 % quantile over draws, `parts x labels`.
    """

    parts: tuple[str, ...]
    label_names: tuple[str, ...]
    mean: Array
    low: Array
    high: Array

    @classmethod
    def of_draws(
        cls, parts: Sequence[str], label_names: Sequence[str], draws: Array
    ) -> Contributions:
        """Summarise draws, `parts x draws x labels`."""
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        return cls(tuple(parts), tuple(label_names), draws.mean(axis=1), low, high)

    def to_dict(self) -> dict[str, object]:
        """Return label -> part -> `mean`, `q05`, `q95`, for JSON."""
        arrays = {"mean": self.mean, "q05": self.low, "q95": self.high}
        return {
            label: [
                {"part": part, **{n: round(float(a[row, column]), 6) for n, a in arrays.items()}}
                for row, part in enumerate(self.parts)
            ]
            for column, label in enumerate(self.label_names)
        }


def modality_contributions(
    classifier: FusionClassifier,
    features: FeatureTable,
    draws: int | None = None,
    seed: int | None = None,
) -> list[Contributions]:
    r"""Return what each modality adds to each item, as Shapley values.

    .. math:: v(S) = \operatorname{logit} p(y_c = 1 \mid x_S, \theta^{(s)})

    with the modalities outside S unobserved, as they are for items that lack them; what an item
    hears of its neighbours is the modality `graph`. For each draw, the values of an item and label
    add up to the log-odds with all that is observed less those with nothing.

    Args:
        classifier: A fitted classifier.
        features: The items, linked if the classifier has a graph.
        draws: Posterior draws; the classifier's if None.
        seed: Their seed; the classifier's if None.

    Returns:
        Contributions an item, whose parts are the modalities that the model reads.

    Raises:
        ConfigError: If there are too many modalities for all coalitions to be looked at.

    Reference: Shapley 1953; Lundberg and Lee 2017 (SHAP) for features as players. Here a missing
    player is not averaged over but unobserved, which the model knows how to take.
    """
    names, added = modality_draws(classifier, features, draws, seed)
    return [
        Contributions.of_draws(names, classifier.label_names_, added[:, :, item])
        for item in range(len(features))
    ]


def modality_draws(
    classifier: FusionClassifier,
    features: FeatureTable,
    draws: int | None = None,
    seed: int | None = None,
) -> tuple[tuple[str, ...], Array]:
    """Return the modalities, and what each adds under each draw (see `modality_contributions`).

    Args:
        classifier: A fitted classifier.
        features: The items, linked if the classifier has a graph.
        draws: Posterior draws; the classifier's if None.
        seed: Their seed; the classifier's if None.

    Returns:
        Names, and Shapley values of the log-odds, `modalities x draws x items x labels`.

    Raises:
        ConfigError: If there are too many modalities for all coalitions to be looked at.
    """
    known = set(classifier.model_.network.standardise.widths) | {"graph"}
    names = [name for name in hideable(features) if name in known]
    if len(names) > MAX_PLAYERS:
        raise ConfigError(
            f"The items have {len(names)} modalities; contributions look at every coalition of at "
            f"most {MAX_PLAYERS}."
        )
    values = []
    for members in coalitions(len(names)):
        hidden = [name for name, there in zip(names, members, strict=True) if not there]
        values.append(log_odds(classifier, hide(features, hidden), draws, seed))
    return tuple(names), shapley_values(np.stack(values))


def part_contributions(
    classifier: FusionClassifier,
    features: FeatureTable,
    modality: str,
    encoder: Encoder,
    whole: Cell,
    parts: Sequence[tuple[str, Callable[[], Cell]]],
    draws: int | None = None,
    seed: int | None = None,
) -> Contributions:
    r"""Return what the parts of an item's text or picture add, one left out at a time (occlusion).

    .. math:: \Delta_k = \operatorname{logit} p(y_c = 1 \mid x) -
        \operatorname{logit} p(y_c = 1 \mid x \text{ without part } k)

    Args:
        classifier: A fitted classifier.
        features: The item, a table of one row.
        modality: Which of its modalities.
        encoder: The run's encoder of this modality.
        whole: The raw cell.
        parts: The name of each part, and a function that returns the cell without it.
        draws: Posterior draws; the classifier's if None.
        seed: Their seed; the classifier's if None.

    Returns:
        The contributions. They need not add up: what two words say alike, neither adds.

    Reference: Zeiler and Fergus 2014, section 4.2, of regions of a picture.
    """
    cells = [whole, *(without() for _, without in parts)]
    values: NDArray[np.float32] | Sequences
    if encoder.steps is None:
        values, observed = encoder.encode(cells)
    else:
        steps, observed = encoder.encode_steps(cells)
        values = Sequences(steps, steps.lengths)
    rows = features.take(np.zeros(len(values), dtype=np.int64))
    others = rows.select(name for name in rows.names if name != modality)
    changed = others.with_modality(modality, values, observed).select(rows.names)
    logits = log_odds(classifier, changed, draws, seed)  # draws x cells x labels
    added = np.moveaxis(logits[:, :1] - logits[:, 1:], 1, 0)
    return Contributions.of_draws([name for name, _ in parts], classifier.label_names_, added)


def log_odds(
    classifier: FusionClassifier,
    features: FeatureTable,
    draws: int | None = None,
    seed: int | None = None,
) -> Array:
    """Return draws of the log-odds of every label, `draws x items x labels`."""
    chance = classifier.sample_proba(features, draws, seed).astype(np.float64)
    chance = chance.clip(1e-7, 1 - 1e-7)  # float32 rounds probabilities as near to 1 as that
    found: Array = np.log(chance) - np.log1p(-chance)
    return found
