"""Fusion rules, one a file: any number of modalities in, one hidden vector an item out."""

from __future__ import annotations

from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.fusion.bitransformer import BitransformerFusion
from bayesfuse.models.fusion.concat import ConcatFusion
from bayesfuse.models.fusion.gmu import GatedFusion
from bayesfuse.models.fusion.mixing import MixingFusion

FUSIONS: dict[str, type[Fusion]] = {
    "bitransformer": BitransformerFusion,
    "concat": ConcatFusion,
    "gmu": GatedFusion,
    "mixing": MixingFusion,
}
"""The rules by the names that `--fusion` takes."""

__all__ = [
    "FUSIONS",
    "BitransformerFusion",
    "ConcatFusion",
    "Fusion",
    "GatedFusion",
    "MixingFusion",
]
