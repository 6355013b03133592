"""A network with the posterior of its random parts: from settings, and to and from tensors."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bayesfuse.config import ModelConfig
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.auxiliary import auxiliary_settings
from bayesfuse.estimator.devices import choose_device, choose_precision
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.guides import Guide, make_guide
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.mixture import Member
from bayesfuse.inference.patterns import check_patterns
from bayesfuse.inference.predictive import PosteriorPredictive
from bayesfuse.inference.priors import Prior
from bayesfuse.inference.seeding import seeded
from bayesfuse.models.fusion.text_bitransformer import TextTransformer
from bayesfuse.models.graph_branch import GraphSettings
from bayesfuse.models.network import FusionNetwork

FeatureNorm = float | Mapping[str, float] | None


@dataclass(frozen=True)
class BayesianModel:
    """A fusion network, its lifted form and its guide; both None for the deterministic twin.

    Attributes:
        network: The network, on a device.
        lifted: With priors on its random parts.
        guide: Their posterior.
        num_items: N, the number of training items.
        others: Further members of a mixture of posteriors, each as this one is.
    """

    network: FusionNetwork
    lifted: LiftedModule | None
    guide: Guide | None
    num_items: int
    others: tuple[BayesianModel, ...] = ()

    @property
    def members(self) -> tuple[BayesianModel, ...]:
        """All members, this one the first."""
        return (self, *self.others)

    @property
    def num_parameters(self) -> dict[str, int]:
        """Number of trained numbers of all members: `variational`, `deterministic`."""
        if self.others:
            each = [dataclasses.replace(m, others=()).num_parameters for m in self.members]
            return {kind: sum(one[kind] for one in each) for kind in each[0]}
        guide = self.guide.parameters() if self.guide is not None else []
        free = self.network.parameters() if self.lifted is None else self.lifted.free_parameters()
        return {
            "variational": sum(p.numel() for p in guide),
            "deterministic": sum(p.numel() for p in free if p.requires_grad),
        }

    def predictive(
        self, seed: int, precision: torch.dtype, prior: bool = False, kind: str = "joint"
    ) -> PosteriorPredictive:
        """Return the posterior (or the prior) predictive with the given seed of its draws."""
        return PosteriorPredictive(
            self.network,
            self.lifted,
            self.guide,
            num_items=self.num_items,
            seed=seed,
            precision=precision,
            prior=prior,
            kind=kind,
            others=[
                Member(other.lifted, other.guide)
                for other in self.others
                if other.lifted is not None and other.guide is not None
            ],
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the model by name: `network.`, `guide.` and `prior.` ones.

        Those of further members are `members.1.network.` and so on.
        """
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.guide is not None and self.lifted is not None:
            # the network's own copy of a random weight is its location, which the guide holds
            for site in self.lifted.sites:
                del found[f"network.{site.name}"]
            found |= {f"guide.{name}": value for name, value in self.guide.tensors().items()}
            for site, prior in zip(self.lifted.sites, self.lifted.priors, strict=True):
                for name, value in prior.state_dict().items():
                    found[f"prior.{site.name}.{name}"] = value
        for number, other in enumerate(self.others, start=1):
            found |= {f"members.{number}.{name}": v for name, v in other.tensors().items()}
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor], source: object) -> None:
        """Take over saved tensors.

        Raises:
            RunFolderError: If a name is missing or unknown, a shape or a dtype is another one, or
                a number is not finite.
        """
        own = self.tensors()
        problems = [f"{name} is missing" for name in own if name not in tensors]
        problems += [f"{name} is unknown" for name in tensors if name not in own]
        problems += [
            f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
            for name, value in own.items()
            if name in tensors and tensors[name].shape != value.shape
        ]
        problems += [
            f"{name} holds {str(tensors[name].dtype).removeprefix('torch.')}, expected "
            f"{str(value.dtype).removeprefix('torch.')}"
            for name, value in own.items()
            if name in tensors and tensors[name].dtype != value.dtype
        ]
        problems = problems or [
            f"{name} holds numbers that are not finite"
            for name, value in tensors.items()
            if value.is_floating_point()
            and not name.endswith(".fixed_logit")  # of labels that are learned, NaN
            and not value.isfinite().all()
        ]
        if problems:
            raise RunFolderError(
                f"{source} does not hold the model that its config describes: "
                f"{'; '.join(problems[:5])}. Was one of the files edited or exchanged?"
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(tensors[name])
        for member in self.members:
            if member.guide is not None and member.lifted is not None:
                locations = member.guide.locations().items()
                member.lifted.set_point_({name: value.detach() for name, value in locations})


def build_model(
    widths: Mapping[str, int],
    num_labels: int,
    num_items: int,
    config: ModelConfig,
    relations: Mapping[str, int] | None = None,
    start: Mapping[str, Tensor] | None = None,
    transformer: TextTransformer | None = None,
    sequences: Sequence[str] = (),
) -> BayesianModel:
    """Return a new model on the config's device, initialised with its seed; all its members.

    Args:
        widths: Modality to number of features.
        num_labels: Number of labels.
        num_items: N, the number of training items.
        config: The settings.
        relations: See `graph_settings`.
        start: What some parameters start from, name to value.
        transformer: What joins a text of tokens with the rest, if there is one.
        sequences: Modalities that are read step by step.

    Raises:
        ConfigError: If a name or a number does not fit.
    """
    if config.members > 1:
        rest = (relations, start, transformer, sequences)
        first, *others = (
            build_model(widths, num_labels, num_items, of_member(config, number), *rest)
            for number in range(config.members)
        )
        return dataclasses.replace(first, others=tuple(others))
    device = choose_device(config.device)
    norms = _default_patterns("feature_norm")
    check_patterns(config.feature_norm, list(widths), "feature norm", norms)
    with seeded(config.seed):
        network = FusionNetwork(
            widths,
            num_labels,
            model=config.model,
            fusion=config.fusion_rule,
            sequences=sequences,
            transformer_layers=config.transformer_layers,
            transformer=transformer,
            hidden=config.hidden,
            classifier=config.classifier,
            classifier_hidden=config.classifier_hidden,
            pieces=config.pieces,
            dropout=config.dropout,
            label_vectors=config.label_vectors,
            graph=graph_settings(widths, config, relations),
            auxiliary=auxiliary_settings(config),
        )
        for name, value in (start or {}).items():
            network.get_parameter(name).data.copy_(value)
        if transformer is not None and config.adversarial > 0:
            raise ConfigError(
                f"--adversarial: the network reads {transformer.modality} word by word, and a word "
                "cannot be moved a little. Leave it out, or encode the text beforehand."
            )
        if config.elbo == "none":
            return BayesianModel(network.to(device), None, None, num_items)
        lifted = lift(network, Prior(config.prior, config.prior_scale), config.random_parts)
        names = [site.name for site in lifted.sites]
        _check_checkpointing(transformer, names)
        check_patterns(config.init_scale, names, "init scale", _default_patterns("init_scale"))
        guide = make_guide(
            lifted,
            config.guide,
            init_loc=config.init_loc,
            init_scale=config.init_scale,
            rank=config.rank,
        )
    return BayesianModel(network.to(device), lifted.to(device), guide.to(device), num_items)


def of_member(config: ModelConfig, number: int) -> ModelConfig:
    """Return the settings of one member of a mixture: the seed of the first is the fit's own."""
    other = np.random.SeedSequence([config.seed, number]).generate_state(1)
    seed = int(other[0]) if number else config.seed
    return config.model_copy(update={"members": 1, "seed": seed})


def _check_checkpointing(transformer: TextTransformer | None, sites: Sequence[str]) -> None:
    """Raise if weights of a transformer are random that would be computed with anew."""
    inside = [name for name in sites if name.startswith("fusion.fused.")]
    layers = [] if transformer is None else transformer.network.modules()
    if inside and any(getattr(layer, "gradient_checkpointing", False) for layer in layers):
        # the second time the draw is gone, and the module's own weights are in its place
        raise ConfigError(
            f"--gradient-checkpointing computes parts of the transformer anew, which are random "
            f"here ({inside[0]}, ...). Leave it out, or choose other --parts."
        )


def graph_settings(
    widths: Mapping[str, int], config: ModelConfig, relations: Mapping[str, int] | None = None
) -> GraphSettings | None:
    """Return how the items of a network hear each other; None if they do not.

    Args:
        widths: Modality to number of features.
        config: The settings.
        relations: Those that count by themselves, to their bits in the graph's relation mask (see
            `bayesfuse.estimator.relations`).
    """
    if config.graph == "none":
        return None
    # labels that nodes passed on would come back to the items whose they are
    told = tuple(name for name in widths if name != NEIGHBOUR_LABELS)
    chosen, query = config.graph_features, config.graph_query
    if query is None:
        query = ("text",) if "text" in widths else ("all",)
    return GraphSettings(
        features=told if chosen == ("all",) else chosen,
        layers=config.graph_layers,
        heads=config.graph_heads,
        width=config.graph_width,
        feature_dropout=config.graph_dropout,
        attention_dropout=config.attention_dropout,
        version=config.graph_version,
        backend=config.graph_backend,
        shrinkage=config.neighbour_shrinkage,
        relations=dict(relations or {}),
        each=config.graph_relations == "each",
        query=told if query == ("all",) else query,
        loop_isolated=config.loops != "none",
        edge_bias=config.graph_edge_bias == "relation",
    )


def set_data_statistics(
    network: FusionNetwork,
    features: FeatureTable,
    positives: Tensor,
    feature_norm: FeatureNorm,
    weights: ClassWeights | None = None,
) -> None:
    """Tell a network what its training items look like: feature statistics and label counts.

    Args:
        network: The network.
        features: The features of the training items.
        positives: Training items with each label, `labels`.
        feature_norm: Norm of a typical standardised row, in every modality or by pattern of its
            name (the first match counts); None, or no match, leaves it at √features.
        weights: What the labels count for in training; 1 each if None.
    """
    norms = feature_norm if isinstance(feature_norm, Mapping) else {"*": feature_norm}
    tokens = None if network.transformer is None else network.transformer.modality
    for name, (loc, scale) in features.statistics().items():
        if name == tokens:
            continue
        network.standardise.set_statistics(name, torch.from_numpy(loc), torch.from_numpy(scale))
        norm = next((norms[p] for p in norms if fnmatch.fnmatchcase(name, p)), None)
        if norm is not None:
            network.standardise.set_gain(name, norm / len(loc) ** 0.5)
    network.set_label_counts(positives, features.num_items)
    if weights is not None:
        rates = (positives.double() + 0.5) / (features.num_items + 1)
        network.classifier.set_base_rates(weights.rates(rates))


def svi_settings(config: ModelConfig, device: torch.device) -> SVISettings:
    """Return the part of the settings that training needs.

    Raises:
        ConfigError: If a posterior is asked for of a loss that is no likelihood.
    """
    config.check_loss()
    loss = Loss(config.loss, config.focal_alpha, config.focal_gamma, config.label_smoothing)
    same = {name: getattr(config, name) for name in _SAME}
    annealing = AnnealingSchedule(
        config.annealing,
        config.beta_start,
        config.temperature,
        config.annealing_epochs,
        config.annealing_cycles,
    )
    precision = choose_precision(config, device)
    return SVISettings(**same, annealing=annealing, precision=precision, loss=loss)


def _default_patterns(field: str) -> tuple[str, ...]:
    """Return the patterns of a setting's default, which need not match anything."""
    return tuple(ModelConfig.model_fields[field].default)


_SAME = tuple(
    field.name
    for field in dataclasses.fields(SVISettings)
    if field.name not in {"annealing", "precision", "loss"}
)
