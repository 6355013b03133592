"""Which auxiliary losses a network has, and what each counts for."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from bayesfuse.errors import ConfigError
from bayesfuse.models.auxiliary.contrastive import Contrastive
from bayesfuse.models.auxiliary.multi_similarity import MultiSimilarity
from bayesfuse.models.auxiliary.refiner import Refiner
from bayesfuse.models.fusion.base import Fusion


@dataclass(frozen=True)
class AuxiliarySettings:
    """What the auxiliary losses of a network count for; 0 or None for none.

    Attributes:
        own: That of the fusion rule itself, where it has one.
        refiner: Of every modality, or of those that a pattern matches (the first match counts).
        multi_similarity: Of the Multi-Similarity loss.
        alpha: See `MultiSimilarity`.
        beta: See `MultiSimilarity`.
        threshold: See `MultiSimilarity`.
        margin: See `MultiSimilarity`.
        contrastive: Of the contrastive alignment.
        contrastive_temperature: See `Contrastive`.
    """

    own: float = 1.0
    refiner: float | Mapping[str, float] | None = None
    multi_similarity: float = 0.0
    alpha: float = 50.0
    beta: float = 2.0
    threshold: float = 0.5
    margin: float = 0.1
    contrastive: float = 0.0
    contrastive_temperature: float = 0.1

    @property
    def asked(self) -> tuple[str, ...]:
        """The losses that were asked for, beside the rule's own, as their flags are called."""
        given = {
            "refiner": self.refiner,
            "multi-similarity": self.multi_similarity,
            "contrastive": self.contrastive,
        }
        return tuple(name for name, weight in given.items() if weight)


def build_auxiliary(
    settings: AuxiliarySettings | None,
    fusion: Fusion | None,
    num_labels: int,
    tokens: str | None = None,
) -> nn.ModuleDict:
    """Return the auxiliary losses of a network, by name; empty if it has none.

    Args:
        settings: What they count for; that of `AuxiliarySettings()` if None.
        fusion: The fusion rule, or None of a network that fuses nothing.
        num_labels: Number of labels.
        tokens: The modality that enters the fusion as tokens, if there is one.

    Raises:
        ConfigError: If a loss was asked for that the network can have nothing of.

    Example:
        >>> from bayesfuse.models import FUSIONS
        >>> fusion = FUSIONS["centralnet"]({"text": 3, "image": 2}, 4)
        >>> list(build_auxiliary(AuxiliarySettings(refiner=0.1), fusion, num_labels=5))
        ['own', 'refiner']
    """
    settings, losses = settings or AuxiliarySettings(), nn.ModuleDict()
    if fusion is None or tokens is not None:
        if settings.asked:
            why = "has no fusion" if fusion is None else f"reads {tokens} word by word"
            raise ConfigError(
                f"--{settings.asked[0]}: the network {why}, so there are no features of modalities "
                "to learn it by. Leave it out, or take --model fusion on encoded features."
            )
        return losses
    own = fusion.own_loss(num_labels, settings.own) if settings.own > 0 else None
    if own is not None:
        losses["own"] = own
    if settings.refiner is not None:
        losses["refiner"] = _refiner(settings.refiner, fusion)
    if settings.multi_similarity > 0:
        losses["multi_similarity"] = MultiSimilarity(
            settings.multi_similarity,
            settings.alpha,
            settings.beta,
            settings.threshold,
            settings.margin,
        )
    if settings.contrastive > 0:
        if len(fusion.names) < 2:
            raise ConfigError(
                f"--contrastive: there is nothing to align {fusion.names[0]} with; expected two "
                "modalities or more."
            )
        losses["contrastive"] = Contrastive(settings.contrastive, settings.contrastive_temperature)
    return losses


def _refiner(weights: float | Mapping[str, float], fusion: Fusion) -> Refiner:
    """Return the refiner of a fusion, with each modality's weight by the first pattern it fits."""
    patterns = weights if isinstance(weights, Mapping) else {"*": weights}
    found: dict[str, float] = {}
    for pattern, weight in patterns.items():
        fits = [name for name in fusion.names if fnmatch.fnmatchcase(name, pattern)]
        if not fits:
            raise ConfigError(
                f"--refiner: {pattern} matches none of {', '.join(fusion.names)}; give a number "
                "for all of them, or PATTERN=WEIGHT,... such as text=0.1."
            )
        found = {**dict.fromkeys(fits, weight), **found}
    return Refiner(fusion.widths, fusion.out_features, found)
