"""Fusion rules, one a file: any number of modalities in, one hidden vector an item out."""

from __future__ import annotations

from bayesfuse.models.fusion.attention import AttentionFusion
from bayesfuse.models.fusion.autoencoder import AutoencoderFusion
from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.fusion.bitransformer import BitransformerFusion
from bayesfuse.models.fusion.centralnet import CentralNetFusion
from bayesfuse.models.fusion.concat import ConcatFusion
from bayesfuse.models.fusion.concat_mlp import ConcatMLPFusion
from bayesfuse.models.fusion.gating import GatingFusion
from bayesfuse.models.fusion.gmu import GatedFusion
from bayesfuse.models.fusion.linear_sum import LinearSumFusion
from bayesfuse.models.fusion.mixing import MixingFusion
from bayesfuse.models.fusion.mixture_of_experts import MixtureOfExpertsFusion
from bayesfuse.models.fusion.mlp_concat import MLPConcatFusion
from bayesfuse.models.fusion.mult_concat import MulTConcatFusion
from bayesfuse.models.fusion.mult_gmu import MulTGatedFusion
from bayesfuse.models.fusion.swiglu import SwiGLUFusion
from bayesfuse.models.fusion.weighted_regression import WeightedRegressionFusion
from bayesfuse.models.fusion.weighted_sum import WeightedSumFusion

FUSIONS: dict[str, type[Fusion]] = {
    "attention": AttentionFusion,
    "autoencoder": AutoencoderFusion,
    "bitransformer": BitransformerFusion,
    "centralnet": CentralNetFusion,
    "concat": ConcatFusion,
    "concat-mlp": ConcatMLPFusion,
    "fast-ma": WeightedRegressionFusion,
    "gating": GatingFusion,
    "gmu": GatedFusion,
    "linear-sum": LinearSumFusion,
    "mixing": MixingFusion,
    "mlp-concat": MLPConcatFusion,
    "mmbt": BitransformerFusion,
    "moe": MixtureOfExpertsFusion,
    "mult-concat": MulTConcatFusion,
    "mult-gmu": MulTGatedFusion,
    "swiglu": SwiGLUFusion,
    "weighted-sum": WeightedSumFusion,
}
"""The rules by the names that `--fusion` takes."""

DEEP = ("bitransformer", "mmbt", "mult-concat", "mult-gmu")
"""The rules that are told how many layers they have."""

__all__ = [
    "DEEP",
    "FUSIONS",
    "AttentionFusion",
    "AutoencoderFusion",
    "BitransformerFusion",
    "CentralNetFusion",
    "ConcatFusion",
    "ConcatMLPFusion",
    "Fusion",
    "GatedFusion",
    "GatingFusion",
    "LinearSumFusion",
    "MLPConcatFusion",
    "MixingFusion",
    "MixtureOfExpertsFusion",
    "MulTConcatFusion",
    "MulTGatedFusion",
    "SwiGLUFusion",
    "WeightedRegressionFusion",
    "WeightedSumFusion",
]
