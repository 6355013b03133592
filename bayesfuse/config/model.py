"""The hyper-parameters of a model and of its training."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from bayesfuse.config.auxiliary import AuxiliaryConfig
from bayesfuse.config.base import Config, Device, Names, Positive, one_of, scale_of
from bayesfuse.config.class_weights import ClassWeighting
from bayesfuse.config.graph import GraphConfig
from bayesfuse.errors import ConfigError

MODELS = ("fusion", "gat", "mm-gatbt")
FUSIONS = (
    *("attention", "autoencoder", "bitransformer", "centralnet", "concat", "concat-mlp"),
    *("fast-ma", "gating", "gmu", "linear-sum", "mixing", "mlp-concat", "mmbt", "moe"),
    *("mult-concat", "mult-gmu", "swiglu", "weighted-sum"),
)
STEP_RULES = ("mmbt", "mult-concat", "mult-gmu")
"""Fusion rules that read sequences step by step; all others read the mean."""
BERT_RULES = ("bitransformer", "mmbt")
"""Fusion rules that are a transformer of BERT's kind."""
DEEP_RULES = ("bitransformer", *STEP_RULES)
"""Fusion rules that have so many layers."""
OWN_LOSSES = {"autoencoder": "reconstruction", "centralnet": "modality losses"}
"""Fusion rules that have a loss of their own, and what it is called."""
CLASSIFIERS = ("linear", "maxout")
LABEL_VECTORS = ("hadamard", "learned", "random")
PRIORS = ("horseshoe", "laplace", "normal")
NOISES = ("flipout", "local", "weights")
COMPILE = ("auto", "off", "on")
GUIDES = ("laplace", "laplace-tied", "lowrank", "normal")
ELBOS = ("annealed", "meanfield", "none", "rao-blackwell", "trace")
LOSSES = ("asymmetric", "bce", "focal")
SCHEDULES = ("cosine", "cyclical", "linear", "sigmoid")
DECAYS = ("constant", "cosine", "plateau")
MONITORS = ("macro-ap", "macro-f1", "nll")
PRECISIONS = ("auto", "bfloat16", "float32")
DECISIONS = ("f1", "half")
RECALIBRATIONS = ("isotonic", "none", "temperature")
SPLITS = ("all", "test", "train", "val")

FeatureNorm = Annotated[
    Positive | dict[str, Positive] | None, scale_of("feature norm", {"none": None})
]
PriorScale = Annotated[
    float | str | dict[str, float | str],
    scale_of("prior scale", {"fan-in": "fan-in", "learned": "learned"}),
]
InitScale = Annotated[
    float | str | dict[str, float | str], scale_of("initial scale", {"prior": "prior"})
]

# what stands for a modality that was not observed is unknown until training has seen it missing
_INIT_SCALE: dict[str, float | str] = {"fusion.absent.*": "prior", "*": 0.003}


class NetworkConfig(Config):
    """The network, its posterior and their training."""

    model: Annotated[str, one_of("model", MODELS)] = Field(
        "fusion",
        description="fusion: a fusion rule over all modalities; mm-gatbt: a transformer over the "
        "text and what items hear of each other's images; gat: that alone.",
    )
    fusion: Annotated[str, one_of("fusion rule", FUSIONS)] = Field(
        "gmu", description=f"Fusion rule: {', '.join(FUSIONS[:-1])} or {FUSIONS[-1]}."
    )
    transformer_layers: int = Field(
        2, ge=1, description=f"Layers of each transformer of {', '.join(DEEP_RULES)}."
    )
    hidden: int = Field(256, ge=1, description="Width of the fused representation.")
    classifier: Annotated[str, one_of("classifier", CLASSIFIERS)] = Field(
        "maxout", description="Classifier on the fused representation: maxout or linear."
    )
    classifier_hidden: int = Field(256, ge=1, description="Units of the maxout layer.")
    pieces: int = Field(2, ge=1, description="Linear pieces of a maxout unit.")
    dropout: float = Field(0.4, ge=0, lt=1, description="Dropout of the classifier's inputs.")
    label_vectors: Annotated[str, one_of("kind of label vectors", LABEL_VECTORS)] = Field(
        "learned",
        description="The classifier's last layer, a vector a label: learned, or fixed: random or "
        "hadamard.",
    )
    max_norm: float | None = Field(
        None, gt=0, description="Bound on the norm of the weights into a classifier unit."
    )
    feature_norm: FeatureNorm = Field(
        {"image": 3.0, "*": 6.0},
        description="Norm of an item's standardised features: a number, PATTERN=NORM,... by "
        "modality, or none for one standard deviation a feature.",
    )
    parts: Names | None = Field(
        None,
        description="Parts of the network with random weights; fusion (and gat, with a graph) if "
        "left out; gat (and the stand-ins for what is missing) of --model gat and mm-gatbt.",
    )
    prior: Annotated[str, one_of("prior", PRIORS)] = Field(
        "laplace", description="Prior of the random weights: laplace, normal or horseshoe."
    )
    prior_scale: PriorScale = Field(
        0.1,
        description="Scale of the prior: a number, fan-in, learned, or PATTERN=SCALE,... by site.",
    )
    guide: Annotated[str, one_of("guide", GUIDES)] = Field(
        "laplace", description="Variational family: laplace, laplace-tied, normal or lowrank."
    )
    rank: int | None = Field(
        None,
        ge=1,
        description="Rank of the guide: 8 of lowrank, 1 (of its scales) of laplace-tied if none.",
    )
    init_loc: float | None = Field(
        None, description="Where every location of the guide starts; the module's own init if none."
    )
    init_scale: InitScale = Field(
        _INIT_SCALE,
        description="Where scales of the guide start: a number, prior, or PATTERN=SCALE,... by "
        "site. What stands for a missing modality starts as wide as its prior.",
    )
    elbo: Annotated[str, one_of("ELBO", ELBOS)] = Field(
        "annealed",
        description="Objective: trace, rao-blackwell, meanfield, annealed, or none for the "
        "deterministic twin.",
    )
    class_weights: ClassWeighting = Field(
        "none",
        description="Weights of labels in the loss: none; frequency, inverse or effective, by how "
        "many items have the label; positive or balanced, by whether it is there; or a CSV of "
        "label,weight. Then probabilities or their spread are those of a reweighted problem.",
    )
    class_weight_beta: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Of the effective number of items: nearer to 1, rare labels weigh more.",
    )
    loss: Annotated[str, one_of("loss", LOSSES)] = Field(
        "bce",
        description="What the deterministic twin learns by: bce, focal or asymmetric. Only bce is "
        "a likelihood, so the others are for --elbo none.",
    )
    focal_alpha: float = Field(
        0.25, gt=0, lt=1, description="Weight of a label that is there, in the focal loss."
    )
    focal_gamma: float = Field(
        2.0, ge=0, description="How far the focal loss turns away from what is sure already."
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Targets so far from 0 and 1, with any loss; for --elbo none.",
    )
    annealing: Annotated[str, one_of("annealing schedule", SCHEDULES)] = Field(
        "linear", description="How the weight of the KL rises: linear, cosine, sigmoid, cyclical."
    )
    beta_start: float = Field(0.2, ge=0, description="Weight of the KL at the start.")
    temperature: float = Field(
        1.0, gt=0, description="Weight of the KL in the end; 1 is Bayes' rule, less is colder."
    )
    annealing_epochs: float = Field(10.0, ge=0, description="Epochs until the weight is there.")
    annealing_cycles: int = Field(4, ge=1, description="Rises of the cyclical schedule.")
    num_particles: int = Field(1, ge=1, description="Draws of the weights a training step.")
    noise: Annotated[str, one_of("noise", NOISES)] = Field(
        "weights",
        description="Where the noise of a training step enters: weights, one draw for all items; "
        "local (what layers say) or flipout (signs of that draw), for each item its own.",
    )
    l1: float = Field(0.0, ge=0, description="L1 penalty on the guide's locations.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the guide's locations.")
    epochs: int = Field(40, ge=1, description="Most epochs of training.")
    batch_size: int = Field(128, ge=2, description="Items of a minibatch.")
    learning_rate: float = Field(
        0.002, gt=0, description="Of the random weights' guide (clipped Adam)."
    )
    scale_learning_rate: float | None = Field(
        None, gt=0, description="Of the guide's scales; the learning rate if none."
    )
    classifier_learning_rate: float = Field(0.002, gt=0, description="Of the classifier (AdamW).")
    learning_rate_decay: Annotated[str, one_of("learning-rate decay", DECAYS)] = Field(
        "cosine",
        description="Learning rates after the warm-up: constant, cosine, or plateau: smaller when "
        "what --monitor names has stopped getting better.",
    )
    plateau_factor: float = Field(
        0.2, gt=0, lt=1, description="What the plateau multiplies learning rates with."
    )
    plateau_patience: int = Field(
        2, ge=0, description="Epochs without a better score before the plateau does."
    )
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs over which learning rates rise.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's, of the classifier.")
    clip: float = Field(10.0, gt=0, description="Bound on each gradient of the guide.")
    modality_dropout: float = Field(
        0.0, ge=0, lt=1, description="Chance that an item's modality is hidden in training."
    )
    adversarial: float = Field(
        0.0,
        ge=0,
        description="Learn of each item moved to where the loss rises most, too: how far, in "
        "typical lengths of such features, such as 0.1. 0: not at all.",
    )
    patience: int = Field(
        15, ge=1, description="Epochs without a better score on val before stopping."
    )
    monitor: Annotated[str, one_of("score to monitor", MONITORS)] = Field(
        "nll",
        description="The score on val that chooses the epoch and ends training: nll (the loss, "
        "with another than bce), macro-ap, or macro-f1 of tags at 0.5.",
    )
    min_delta: float = Field(
        0.0, ge=0, description="Least improvement of that score that counts as one."
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the items held out where the data name no val split."
    )
    members: int = Field(
        1,
        ge=1,
        description="Posteriors, each from a start of its own; draws are of all alike (a mixture).",
    )
    val_draws: int = Field(16, ge=1, description="Posterior draws of the val NLL in training.")
    draws: int = Field(64, ge=1, description="Posterior draws of a prediction.")
    decision: Annotated[str, one_of("decision rule", DECISIONS)] = Field(
        "half", description="Tag where the probability exceeds one half, or the val F1 threshold."
    )
    recalibrate: Annotated[str, one_of("recalibration", RECALIBRATIONS)] = Field(
        "none",
        description="Change the probabilities of every draw after training, as val has it: by one "
        "temperature, by an isotonic map a label, or none.",
    )
    seed: int = Field(0, ge=0, description="Seed of everything.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    compile: Annotated[str, one_of("choice", COMPILE)] = Field(
        "auto",
        description="Compile draws, KL and local noise of a Laplace guide for training: on, off, "
        "or auto, where that saves more time than it takes.",
    )
    precision: Annotated[str, one_of("precision", PRECISIONS)] = Field(
        "auto", description="Of the network's products: float32, bfloat16, or auto by device."
    )


class ModelConfig(GraphConfig, AuxiliaryConfig, NetworkConfig):
    """What is fitted and how: the hyper-parameters of `FusionClassifier`."""

    @property
    def is_likelihood(self) -> bool:
        """Whether what is learned by is the labels' own likelihood."""
        return self.loss == "bce" and self.label_smoothing == 0

    @property
    def weighting(self) -> str:
        """How labels weigh, in a word or three."""
        return self.class_weights if isinstance(self.class_weights, str) else "given by label"

    @property
    def beside_likelihood(self) -> tuple[str, ...]:
        """What is learned by beside the labels' likelihood, a word or two each; usually nothing."""
        own = self.fusion_rule in OWN_LOSSES and self.model != "gat" and self.fusion_loss > 0
        moved = ("adversarial items",) if self.adversarial > 0 else ()
        return (*((OWN_LOSSES[self.fusion_rule],) if own else ()), *self.auxiliary_losses, *moved)

    def told(self) -> dict[str, Any]:
        """Return what every output tells of a fit: what of, and what by.

        Example:
            >>> ModelConfig(elbo="none", loss="focal", refiner=0.1).told()["beside_likelihood"]
            ['refiner']
        """
        names = ("elbo", "temperature", "class_weights", "loss", "label_smoothing", "recalibrate")
        beside = {"beside_likelihood": list(self.beside_likelihood)}
        return {name: getattr(self, name) for name in names} | beside

    def check_loss(self) -> None:
        """Refuse a posterior of what is no likelihood.

        Raises:
            ConfigError: If there is such a loss, or smoothing, and an ELBO.
        """
        if self.elbo != "none" and not self.is_likelihood:
            smoothing = f" with label smoothing {self.label_smoothing:g}"
            raise ConfigError(
                f"The loss {self.loss}{smoothing if self.label_smoothing else ''} is no "
                f"likelihood of the labels, so there is no posterior by it; got the ELBO "
                f'"{self.elbo}". Take --elbo none, or --loss bce without --label-smoothing.'
            )

    def check_pretraining(self) -> None:
        """Refuse a pretraining that has nothing to learn.

        Raises:
            ConfigError: If there is one, and no loss that reads no labels.
        """
        learns = {"refiner", "contrastive", "reconstruction"} & {*self.beside_likelihood}
        if self.pretrain_fusion > 0 and not learns:
            raise ConfigError(
                "--pretrain-fusion: there is nothing to learn without labels. Add --refiner, "
                "--contrastive or --fusion autoencoder, or leave it out."
            )

    def check_members(self) -> None:
        """Refuse several members where there can be one alone.

        Raises:
            ConfigError: If there is no posterior, or fewer draws than members.
        """
        if self.members > 1 and self.elbo == "none":
            raise ConfigError(
                f"members is {self.members}, but --elbo none has no posterior to be one of several."
                " Leave it at 1; `bayesfuse compare` has an ensemble of such networks."
            )
        if self.draws < self.members:
            raise ConfigError(
                f"members is {self.members} and draws {self.draws}; expected at least one draw of "
                f"each. Have --draws {self.members} or more."
            )

    @property
    def random_parts(self) -> tuple[str, ...]:
        """The parts of the network with random weights."""
        if self.parts is not None:
            return self.parts
        gat = () if self.graph == "none" else ("gat",)
        if self.model == "gat":
            return gat
        # layer norms and embeddings of a transformer have no place under a prior around 0
        bert = self.fusion_rule in BERT_RULES
        return ("fusion.absent" if bert else "fusion", *gat)

    @property
    def fusion_rule(self) -> str:
        """The fusion rule that counts: MM-GATBT has its own."""
        return "bitransformer" if self.model == "mm-gatbt" else self.fusion

    @property
    def reads_steps(self) -> bool:
        """Whether the fusion reads sequences step by step."""
        return self.model != "gat" and self.fusion_rule in STEP_RULES

    @property
    def loops(self) -> str:
        """Which items hear themselves: as the paper has it where the graph is all there is."""
        return self.self_loops or ("none" if self.model == "fusion" else "isolated")
