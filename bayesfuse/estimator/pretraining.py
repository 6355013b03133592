"""Graph attention that has learned the labels alone, to start from: pretraining as in MM-GATBT."""

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
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.model import (
    choose_device,
    graph_settings,
    set_data_statistics,
    svi_settings,
)
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.seeding import seeded
from bayesfuse.inference.svi import SVI
from bayesfuse.models.network import FusionNetwork


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
    heard = features.select(dict.fromkeys([*graph.features, *asking]))
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
