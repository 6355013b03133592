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
    AttentionFusion,
    AutoencoderFusion,
    BitransformerFusion,
    CentralNetFusion,
    ConcatFusion,
    ConcatMLPFusion,
    Fusion,
    GatedFusion,
    GatingFusion,
    LinearSumFusion,
    MixingFusion,
    MixtureOfExpertsFusion,
    MLPConcatFusion,
    MulTConcatFusion,
    MulTGatedFusion,
    SwiGLUFusion,
    WeightedRegressionFusion,
    WeightedSumFusion,
)
from bayesfuse.models.network import FusionNetwork
from bayesfuse.models.standardise import Standardise

__all__ = [
    "CLASSIFIERS",
    "FUSIONS",
    "AttentionFusion",
    "AutoencoderFusion",
    "BitransformerFusion",
    "CentralNetFusion",
    "Classifier",
    "ConcatFusion",
    "ConcatMLPFusion",
    "Fusion",
    "FusionNetwork",
    "GatedFusion",
    "GatingFusion",
    "LinearClassifier",
    "LinearSumFusion",
    "MLPConcatFusion",
    "Maxout",
    "MaxoutClassifier",
    "MixingFusion",
    "MixtureOfExpertsFusion",
    "MulTConcatFusion",
    "MulTGatedFusion",
    "Standardise",
    "SwiGLUFusion",
    "WeightedRegressionFusion",
    "WeightedSumFusion",
    "apply_max_norm_",
]
