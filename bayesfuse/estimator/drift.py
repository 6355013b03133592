r"""How far the items that are predicted are from those that a run was fitted on.

Three things are compared a modality, with z the features standardised as in training (each of mean
0 and variance 1 there), and one a relation of people:

- the share of items without the modality;
- the norm of an item, :math:`\lVert z_i \rVert / \sqrt{d}` of d features;
- the means of the features, :math:`\bar z_j`: by how many standard deviations they have moved,
  :math:`\sqrt{\max(0, \tfrac1{vd} \sum_j \bar z_j^2 - \tfrac1n - \tfrac1{n_0})}` with the variance
  v of the fit's items, which is 0 on average where nothing has;
- the share of names of nobody in the fit, against the Good-Turing estimate of what further items
  of the same source would have: the share of mentions that are their name's only one.

Shares and norms are held against those of the val items: to training items encoders and
standardisation are fitted, so that all others are farther out where there are few.

A difference is told if it is more than chance (`BEYOND_CHANCE`) and at least what Cohen calls a
medium effect (`MEDIUM`): large numbers of items make any difference significant, and small numbers
any difference large.

Reference: Cohen 1988, Statistical Power Analysis, sections 2.2 (d) and 6.2 (h); Good 1953, eq. (9).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from math import asin, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.features import FeatureTable
from bayesfuse.graph.names import fold_name
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier
    from bayesfuse.estimator.workflow import Run
    from bayesfuse.models.network import FusionNetwork

MEDIUM = 0.5
"""Effects below it, in standard deviations (or as Cohen's h of two shares), are not told."""

BEYOND_CHANCE = 3.29
"""Standard errors: what chance exceeds once in a thousand times, were the values normal."""

SMALLEST = 1e-4
"""Features that vary less in training, as a share of the one that varies most, are left out.

They are rounding errors as a rule, which differ a millionfold from items to items."""

FEWEST = 30
"""Of fewer items nothing is told."""

_LOOKED_AT = 10_000  # items, evenly spaced, of a catalogue that has more
_AT_ONCE = 2_048


@dataclass(frozen=True)
class Look:
    """What the items of a modality look like.

    Attributes:
        items: How many there are.
        missing: Share of them without the modality.
        norm: Mean norm of the others, 1 where they are as in training.
        norm_sd: Its standard deviation.
        shift: Mean square of the features' means; 0 of the training items.
    """

    items: int
    missing: float
    norm: float
    norm_sd: float
    shift: float = 0.0

    @property
    def square(self) -> float:
        """Mean square of the features."""
        return self.norm**2 + self.norm_sd**2

    @property
    def observed(self) -> float:
        """How many items have the modality."""
        return max(self.items * (1 - self.missing), 1e-9)


@dataclass(frozen=True)
class Drift:
    """How far items are from the items of the fit.

    Attributes:
        items: How many were compared.
        modalities: Modality to numbers; see the module. `None` where a run does not tell.
        people: Relation to numbers.
        told: A sentence for each difference that counts.
    """

    items: int
    modalities: Mapping[str, Mapping[str, float | None]]
    people: Mapping[str, Mapping[str, float]]
    told: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "told": list(self.told)}

    def __str__(self) -> str:
        """Return one line; nothing where there is nothing to tell."""
        return f"Drift from the data of the fit: {'; '.join(self.told)}." if self.told else ""


def looks_of(
    table: FeatureTable, network: FusionNetwork, without: Collection[str] = ()
) -> dict[str, Look]:
    """Return what items look like in each modality of a network.

    Args:
        table: Their features; a modality that it does not have is missing.
        network: The network, which knows how to standardise.
        without: Modalities that are passed over.
    """
    tokens = None if network.transformer is None else network.transformer.modality
    names = [n for n in network.names if n not in {*without, tokens, NEIGHBOUR_LABELS}]
    count = min(table.num_items, _LOOKED_AT)
    rows = np.linspace(0, max(table.num_items - 1, 0), count).astype(np.int64)
    norms: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    sums: dict[str, NDArray[np.float64] | float] = dict.fromkeys(names, 0.0)
    for start in range(0, count, _AT_ONCE):
        values, observed = table.batch(rows[start : start + _AT_ONCE])
        for name in set(names) & set(values):
            seen = values[name][observed[:, table.names.index(name)]].astype(np.float64)
            if seen.ndim == 3:
                seen = np.nanmean(seen, axis=1)
            loc = network.standardise.loc.get_buffer(name).cpu().numpy()
            scale = network.standardise.scale.get_buffer(name).cpu().numpy()
            varies = scale > SMALLEST * scale.max()
            standard = ((seen - loc) / scale)[:, varies]
            norms[name].append(np.sqrt(np.square(standard).mean(axis=1)))
            sums[name] = sums[name] + standard.sum(axis=0)
    found = {}
    for name in names:
        norm = np.concatenate([np.zeros(0), *norms[name]])
        mean = np.square(np.asarray(sums[name]) / max(len(norm), 1)).mean()
        if len(norm):
            told = (float(norm.mean()), float(norm.std()), float(mean))
            found[name] = Look(count, 1 - len(norm) / count, *told)
        else:
            found[name] = Look(count, 1.0, 0.0, 0.0)
    return found


def looks_of_fit(val: FeatureTable | None, network: FusionNetwork) -> dict[str, Look]:
    """Return what a run keeps of its items: looks of those of val; none if they are too few."""
    return {} if val is None or val.num_items < FEWEST else looks_of(val, network)


def drift_of(run: Run) -> Drift:
    """Compare the items of a `Run` with the training items of its classifier."""
    classifier = run.classifier
    passed = tuple(run.config.finetune or ())
    network = classifier.model_.network
    looks = looks_of(run.catalog.features.take(run.rows), network, {*passed, *run.without})
    modalities, told = {}, []
    for name, look in looks.items():
        modalities[name], sentences = _modality(name, look, classifier)
        told += sentences
    people, sentences = _people(run)
    enough = len(run.rows) >= FEWEST
    return Drift(len(run.rows), modalities, people, (*told, *sentences) if enough else ())


def _modality(
    name: str, look: Look, classifier: FusionClassifier
) -> tuple[dict[str, float | None], list[str]]:
    """Return the numbers of a modality, and what is to be told of them."""
    fitted = classifier.looks_.get(name)
    others = classifier.model_.num_items
    chance = 1 / look.observed + 1 / others
    shift = look.shift / (1.0 if fitted is None else max(fitted.square, 1.0))
    moved = sqrt(max(shift - chance, 0.0))
    numbers: dict[str, float | None] = {
        "missing": look.missing,
        "norm": look.norm,
        "moved": moved,
        "fitted_missing": None,
        "fitted_norm": None,
    }
    told = []
    if fitted is not None:
        numbers |= {"fitted_missing": fitted.missing, "fitted_norm": fitted.norm}
        if _shares_differ(look.missing, look.items, fitted.missing, fitted.items):
            told.append(
                f"{name}: {look.missing:.1%} of the items have none, {fitted.missing:.1%} in "
                "the fit"
            )
        apart, spread = abs(look.norm - fitted.norm), max(fitted.norm_sd, 1e-6 * fitted.norm)
        either = sqrt(1 / look.observed + 1 / fitted.observed)
        chanced = apart <= BEYOND_CHANCE * spread * either
        if look.missing < 1 and not chanced and apart >= MEDIUM * spread:
            told.append(
                f"{name}: features of norm {look.norm:.2f} in the mean, {fitted.norm:.2f} ± "
                f"{fitted.norm_sd:.2f} in the fit"
            )
    # however much features hang together, the mean of their squares has no heavier tail than one
    if look.missing < 1 and moved >= MEDIUM and shift > BEYOND_CHANCE**2 * chance:
        told.append(f"{name}: the features' means moved by {moved:.2f} standard deviations")
    return numbers, told


def _people(run: Run) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return shares of names of nobody in the fit, and what is to be told of them."""
    links = run.classifier.links_
    if links is None or links.graph.people is None:
        return {}, []
    found, told = {}, []
    for relation, entities in links.graph.people.relations.items():
        lists = run.catalog.people.get(relation)
        counts = np.bincount(entities.entity_of_name[entities.mentions])
        if lists is None or not counts.sum():
            continue
        known = set(entities.keys)
        keys = [key for row in run.rows for name in lists[row] if (key := fold_name(name))]
        if not keys:
            continue
        unknown = sum(key not in known for key in keys) / len(keys)
        expected = float((counts == 1).sum() / counts.sum())
        found[relation] = {"names": len(keys), "unknown": unknown, "expected": expected}
        more = unknown > expected
        if more and _shares_differ(unknown, len(keys), expected, int(counts.sum())):
            told.append(
                f"{relation}: {unknown:.1%} of the names are of nobody in the fit, "
                f"{expected:.1%} expected of new items"
            )
    return found, told


def _shares_differ(share: float, count: float, other: float, other_count: float) -> bool:
    """Return whether two shares differ by more than chance, and by what counts; by Cohen's h."""
    effect = abs(2 * asin(sqrt(min(max(share, 0), 1))) - 2 * asin(sqrt(min(max(other, 0), 1))))
    return effect >= MEDIUM and effect > BEYOND_CHANCE * sqrt(1 / count + 1 / other_count)


def looks_to_dict(looks: Mapping[str, Look]) -> dict[str, Any]:
    """Return looks as a run folder keeps them."""
    return {name: asdict(look) for name, look in looks.items()}


def looks_from_dict(told: Mapping[str, Any] | None) -> dict[str, Look]:
    """Return the looks of a run folder; none of a run that was made before there were any.

    Raises:
        TypeError: If they are something else.
    """
    return {name: Look(**look) for name, look in (told or {}).items()}
