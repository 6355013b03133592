"""What a network starts from: graph attention that knows labels, a fusion that knows features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.stepwise import by_step, read_by_step
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.estimator.model import (
    build_model,
    graph_settings,
    set_data_statistics,
    svi_settings,
)
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.seeding import seeded
from bayesfuse.inference.self_supervision import train_without_labels
from bayesfuse.inference.svi import SVI
from bayesfuse.models.network import FusionNetwork


def pretrained(
    features: FeatureTable,
    data: TrainingData,
    config: ModelConfig,
    weights: ClassWeights | None = None,
    relations: Mapping[str, int] | None = None,
    frozen: bool = True,
) -> dict[str, Tensor]:
    """Return what the parameters of a network start from that are to be pretrained.

    Args:
        features: Features of the labelled training items, as training sees them.
        data: The training items.
        config: The settings.
        weights: What the labels count for; 1 each if None.
        relations: See `graph_settings`.
        frozen: Whether the features stay what they are while the network is trained.

    Returns:
        Parameter name (`gat.0.weight`) to value, on the CPU.

    Raises:
        ConfigError: If what is to be pretrained is not there.
        TrainingError: If a loss is not finite.
    """
    gat = pretrained_gat(features, data.train_labels, config, weights, relations)
    start = {f"gat.{name}": value for name, value in (gat or {}).items()}
    if config.pretrain_fusion == 0:
        return start
    config.check_pretraining()
    if not frozen:
        raise ConfigError(
            "--pretrain-fusion: the encoders are trained too, so there are no features yet to "
            "pretrain on. Leave --finetune or --pretrain-fusion out."
        )
    return start | _pretrained_fusion(data, config, start, weights, relations)


def _pretrained_fusion(
    data: TrainingData,
    config: ModelConfig,
    start: Mapping[str, Tensor],
    weights: ClassWeights | None,
    relations: Mapping[str, int] | None,
) -> dict[str, Tensor]:
    """Return parameters of fusion, auxiliary losses and graph that learned without labels."""
    device = choose_device(config.device)
    num_items, num_labels = data.train_labels.shape
    plain = config.model_copy(update={"elbo": "none"})
    widths = data.train.widths
    steps = read_by_step(data.train)
    network = build_model(
        widths, num_labels, num_items, plain, relations, start, sequences=steps
    ).network
    positives = torch.from_numpy(data.train_labels.sum(axis=0))
    set_data_statistics(network, data.train, positives, config.feature_norm, weights)
    items = data.train if data.every is None else data.every
    if isinstance(items, LinkedFeatures):
        items = items.thinned(config.neighbour_thinning, config.seed)
    settings = dataclasses.replace(svi_settings(config, device), epochs=config.pretrain_fusion)
    train_without_labels(network, Batches(items, None, device), settings)
    parts = ("fusion.", "auxiliary.", "gat.")
    return {n: p.detach().cpu() for n, p in network.named_parameters() if n.startswith(parts)}


def pretrained_gat(
    features: FeatureTable,
    labels: NDArray[np.float32],
    config: ModelConfig,
    weights: ClassWeights | None = None,
    relations: Mapping[str, int] | None = None,
) -> dict[str, Tensor] | None:
    """Return layers of graph attention from which labels can be read off by one linear layer.

    A network of the model `gat` with that classifier is trained for `pretrain_graph` epochs on
    the (weighted) cross-entropy, without posterior. It sees labels of train and no others: nothing
    chooses its epoch.

    Args:
        features: Features of the labelled training items, linked.
        labels: Their labels, `items x labels`.
        config: The settings.
        weights: What the labels count for; 1 each if None.
        relations: See `graph_settings`.

    Returns:
        Parameter name (`0.weight`) to value, on the CPU; None if nothing is to be pretrained.

    Raises:
        ConfigError: If there is no graph.
        TrainingError: If the loss is not finite.

    Reference: Seo et al. 2022 (MM-GATBT), sec. 4, "We pre-trained GAT before employing"; their code
    has one more layer of attention in place of the linear one, and drops it, too.
    """
    if config.pretrain_graph == 0:
        return None
    graph = graph_settings(features.widths, config, relations)
    if graph is None or not isinstance(features, LinkedFeatures):
        raise ConfigError("--pretrain-graph: there is no graph; expected --graph people.")
    device = choose_device(config.device)
    asking = graph.query if graph.each else ()
    heard = by_step(features.select(dict.fromkeys([*graph.features, *asking])), ())
    with seeded(config.seed):
        network = FusionNetwork(
            heard.widths,
            labels.shape[1],
            model="gat",
            classifier="linear",
            dropout=config.dropout,
            graph=graph,
        ).to(device)
    positives = torch.from_numpy(labels.sum(axis=0))
    set_data_statistics(network, heard, positives, config.feature_norm, weights)
    settings = dataclasses.replace(
        svi_settings(config, device), elbo="none", epochs=config.pretrain_graph
    )
    SVI(network, None, None, settings, weights=weights).fit(Batches(heard, labels, device))
    assert network.gat is not None
    return {name: value.cpu() for name, value in network.gat.state_dict().items()}
