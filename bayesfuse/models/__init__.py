"""Networks in plain PyTorch: features, fusion rule, classifier; not a word of Bayes."""

from __future__ import annotations

from bayesfuse.models.classifier import (
    CLASSIFIERS,
    Classifier,
    LinearClassifier,
    Maxout,
    MaxoutClassifier,
    apply_max_norm_,
)
from bayesfuse.models.fusion import (
    FUSIONS,
    BitransformerFusion,
    ConcatFusion,
    Fusion,
    GatedFusion,
    MixingFusion,
)
from bayesfuse.models.network import FusionNetwork
from bayesfuse.models.standardise import Standardise

__all__ = [
    "CLASSIFIERS",
    "FUSIONS",
    "BitransformerFusion",
    "Classifier",
    "ConcatFusion",
    "Fusion",
    "FusionNetwork",
    "GatedFusion",
    "LinearClassifier",
    "Maxout",
    "MaxoutClassifier",
    "MixingFusion",
    "Standardise",
    "apply_max_norm_",
]
