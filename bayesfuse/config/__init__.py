"""Settings: a command's flags, a TOML file and a run folder's `config.json` are the same thing.

One frozen model a concern; `FitConfig` is all that `bayesfuse fit` can be told. Loads nothing
heavy, so that `bayesfuse --help` is quick.
"""

from bayesfuse.config.base import Config
from bayesfuse.config.catalog import MODALITY_SETTINGS, CatalogConfig, TableConfig
from bayesfuse.config.class_weights import CLASS_WEIGHTS
from bayesfuse.config.commands import (
    GRAPH_MODELS,
    PRESETS,
    RUN_DECISIONS,
    EncodeConfig,
    FitConfig,
    GraphCommandConfig,
    PredictConfig,
)
from bayesfuse.config.deciding import GOALS, SCOPES, DecideConfig
from bayesfuse.config.distilling import DISTILL_METHODS, VIEW_WEIGHTS, DistillConfig
from bayesfuse.config.encoding import (
    ENCODER_PRECISIONS,
    LONG_TEXTS,
    POOLINGS,
    EncoderConfig,
    RunningConfig,
)
from bayesfuse.config.finetuning import FinetuneConfig
from bayesfuse.config.graph import (
    EDGE_BIASES,
    GRAPH_BACKENDS,
    GRAPH_RELATIONS,
    GRAPH_VERSIONS,
    GRAPHS,
    SELF_LOOPS,
    GraphConfig,
)
from bayesfuse.config.listing import ModelsConfig
from bayesfuse.config.model import (
    CLASSIFIERS,
    COMPILE,
    DECAYS,
    DECISIONS,
    DEEP_RULES,
    ELBOS,
    FUSIONS,
    GUIDES,
    LABEL_VECTORS,
    LOSSES,
    MODELS,
    MONITORS,
    NOISES,
    PRECISIONS,
    PRIORS,
    RECALIBRATIONS,
    SCHEDULES,
    SPLITS,
    STEP_RULES,
    ModelConfig,
)
from bayesfuse.config.ranking import RANKINGS, RankConfig

__all__ = [
    "CLASSIFIERS",
    "CLASS_WEIGHTS",
    "COMPILE",
    "DECAYS",
    "DECISIONS",
    "DEEP_RULES",
    "DISTILL_METHODS",
    "EDGE_BIASES",
    "ELBOS",
    "ENCODER_PRECISIONS",
    "FUSIONS",
    "GOALS",
    "GRAPHS",
    "GRAPH_BACKENDS",
    "GRAPH_MODELS",
    "GRAPH_RELATIONS",
    "GRAPH_VERSIONS",
    "GUIDES",
    "LABEL_VECTORS",
    "LONG_TEXTS",
    "LOSSES",
    "MODALITY_SETTINGS",
    "MODELS",
    "MONITORS",
    "NOISES",
    "POOLINGS",
    "PRECISIONS",
    "PRESETS",
    "PRIORS",
    "RANKINGS",
    "RECALIBRATIONS",
    "RUN_DECISIONS",
    "SCHEDULES",
    "SCOPES",
    "SELF_LOOPS",
    "SPLITS",
    "STEP_RULES",
    "VIEW_WEIGHTS",
    "CatalogConfig",
    "Config",
    "DecideConfig",
    "DistillConfig",
    "EncodeConfig",
    "EncoderConfig",
    "FinetuneConfig",
    "FitConfig",
    "GraphCommandConfig",
    "GraphConfig",
    "ModelConfig",
    "ModelsConfig",
    "PredictConfig",
    "RankConfig",
    "RunningConfig",
    "TableConfig",
]
