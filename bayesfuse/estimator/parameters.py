"""The estimator's parameters: the fields of `ModelConfig`, as scikit-learn wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sklearn.base import BaseEstimator

from bayesfuse.config import ModelConfig
from bayesfuse.estimator.inputs import Columns


class ModelParameters(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Stores the parameters of `FusionClassifier`, and nothing else; `config` checks them.

    scikit-learn clones and searches an estimator by the signature of its `__init__`, so the fields
    of `ModelConfig` stand here once more; a test keeps names and defaults equal.
    """

    def __init__(
        self,
        *,
        modalities: Mapping[str, Columns] | None = None,
        model: str = "fusion",
        fusion: str = "gmu",
        transformer_layers: int = 2,
        hidden: int = 256,
        classifier: str = "maxout",
        classifier_hidden: int = 256,
        pieces: int = 2,
        dropout: float = 0.4,
        label_vectors: str = "learned",
        max_norm: float | None = None,
        feature_norm: float | str | Mapping[str, float] | None = "image=3,*=6",
        parts: Sequence[str] | None = None,
        prior: str = "laplace",
        prior_scale: float | str | Mapping[str, float | str] = 0.1,
        guide: str = "laplace",
        rank: int | None = None,
        init_loc: float | None = None,
        init_scale: float | str | Mapping[str, float | str] = "fusion.absent.*=prior,*=0.003",
        elbo: str = "annealed",
        class_weights: str | Mapping[str, float] = "none",
        class_weight_beta: float = 0.999,
        loss: str = "bce",
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        label_smoothing: float = 0.0,
        annealing: str = "linear",
        beta_start: float = 0.2,
        temperature: float = 1.0,
        annealing_epochs: float = 10.0,
        annealing_cycles: int = 4,
        num_particles: int = 1,
        noise: str = "weights",
        l1: float = 0.0,
        l2: float = 0.0,
        epochs: int = 40,
        batch_size: int = 128,
        learning_rate: float = 0.002,
        scale_learning_rate: float | None = None,
        classifier_learning_rate: float = 0.002,
        learning_rate_decay: str = "cosine",
        plateau_factor: float = 0.2,
        plateau_patience: int = 2,
        warmup_epochs: float = 0.0,
        weight_decay: float = 0.01,
        clip: float = 10.0,
        modality_dropout: float = 0.0,
        adversarial: float = 0.0,
        patience: int = 15,
        monitor: str = "nll",
        min_delta: float = 0.0,
        validation_fraction: float = 0.1,
        members: int = 1,
        val_draws: int = 16,
        draws: int = 64,
        decision: str = "half",
        recalibrate: str = "none",
        seed: int = 0,
        device: str = "auto",
        compile: str = "auto",
        precision: str = "auto",
        fusion_loss: float = 1.0,
        refiner: float | str | Mapping[str, float] | None = None,
        multi_similarity: float = 0.0,
        similarity_alpha: float = 50.0,
        similarity_beta: float = 2.0,
        similarity_threshold: float = 0.5,
        similarity_margin: float = 0.1,
        contrastive: float = 0.0,
        contrastive_temperature: float = 0.1,
        pretrain_fusion: int = 0,
        graph: str = "none",
        graph_features: Sequence[str] = ("image",),
        graph_relations: str = "union",
        graph_query: Sequence[str] | None = None,
        graph_edge_bias: str = "none",
        graph_layers: int = 1,
        graph_heads: int = 4,
        graph_width: int = 32,
        graph_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        neighbour_thinning: float = 0.0,
        max_group: int | None = None,
        pretrain_graph: int = 0,
        self_loops: str | None = None,
        fan_out: Sequence[int | str] | None = None,
        neighbour_shrinkage: float = 1.0,
        neighbour_labels: bool = False,
        graph_version: str = "v1",
        graph_backend: str = "torch",
    ) -> None:
        self.modalities = modalities
        self.model = model
        self.fusion = fusion
        self.transformer_layers = transformer_layers
        self.hidden = hidden
        self.classifier = classifier
        self.classifier_hidden = classifier_hidden
        self.pieces = pieces
        self.dropout = dropout
        self.label_vectors = label_vectors
        self.max_norm = max_norm
        self.feature_norm = feature_norm
        self.parts = parts
        self.prior = prior
        self.prior_scale = prior_scale
        self.guide = guide
        self.rank = rank
        self.init_loc = init_loc
        self.init_scale = init_scale
        self.elbo = elbo
        self.class_weights = class_weights
        self.class_weight_beta = class_weight_beta
        self.loss = loss
        self.focal_alpha = focal_alpha
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing
        self.annealing = annealing
        self.beta_start = beta_start
        self.temperature = temperature
        self.annealing_epochs = annealing_epochs
        self.annealing_cycles = annealing_cycles
        self.num_particles = num_particles
        self.noise = noise
        self.l1 = l1
        self.l2 = l2
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.scale_learning_rate = scale_learning_rate
        self.classifier_learning_rate = classifier_learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.warmup_epochs = warmup_epochs
        self.weight_decay = weight_decay
        self.clip = clip
        self.modality_dropout = modality_dropout
        self.adversarial = adversarial
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.validation_fraction = validation_fraction
        self.members = members
        self.val_draws = val_draws
        self.draws = draws
        self.decision = decision
        self.recalibrate = recalibrate
        self.seed = seed
        self.device = device
        self.compile = compile
        self.precision = precision
        self.fusion_loss = fusion_loss
        self.refiner = refiner
        self.multi_similarity = multi_similarity
        self.similarity_alpha = similarity_alpha
        self.similarity_beta = similarity_beta
        self.similarity_threshold = similarity_threshold
        self.similarity_margin = similarity_margin
        self.contrastive = contrastive
        self.contrastive_temperature = contrastive_temperature
        self.pretrain_fusion = pretrain_fusion
        self.graph = graph
        self.graph_features = graph_features
        self.graph_relations = graph_relations
        self.graph_query = graph_query
        self.graph_edge_bias = graph_edge_bias
        self.graph_layers = graph_layers
        self.graph_heads = graph_heads
        self.graph_width = graph_width
        self.graph_dropout = graph_dropout
        self.attention_dropout = attention_dropout
        self.neighbour_thinning = neighbour_thinning
        self.max_group = max_group
        self.pretrain_graph = pretrain_graph
        self.self_loops = self_loops
        self.fan_out = fan_out
        self.neighbour_shrinkage = neighbour_shrinkage
        self.neighbour_labels = neighbour_labels
        self.graph_version = graph_version
        self.graph_backend = graph_backend

    def config(self) -> ModelConfig:
        """Return the settings, checked.

        Raises:
            ConfigError: With every setting that is not valid.
        """
        params = self.get_params(deep=False)
        del params["modalities"]
        return ModelConfig.parse(params, "parameters of FusionClassifier")
