"""What the benchmarks measure: the movies' widths, the default settings, random features."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batch, Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import BayesianModel, build_model, set_data_statistics, svi_settings
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.svi import SVI, TrainingRun

WIDTHS = {"text": 384, "image": 1280}
NUM_LABELS = 21
NUM_ITEMS = 2048
DEGREE = 14


def make_batches(num_items: int = NUM_ITEMS) -> Batches:
    """Return random items of the movies' widths, in float16 as on disk."""
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=(num_items, width)).astype(np.float16)
        for name, width in WIDTHS.items()
    }
    labels = (rng.random((num_items, NUM_LABELS)) < 0.1).astype(np.float32)
    return Batches(FeatureTable.from_arrays(arrays), labels)


def linked(features: FeatureTable) -> LinkedFeatures:
    """Return items that hear each other, with as many neighbours as the movies have."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, len(features), (2, len(features) * DEGREE // 2))
    rows, heard = np.concatenate([first, second]), np.concatenate([second, first])
    graph = EntityGraph.from_pairs(len(features), rows, heard, self_loops="none")
    return LinkedFeatures(features, features, graph)


def make_model(
    elbo: str, hidden: int, compile_draws: str = "off", graph: str = "none", **settings: str
) -> tuple[BayesianModel, ModelConfig]:
    """Return a model with default settings but these; `elbo="none"` is the deterministic twin."""
    config = ModelConfig(
        elbo=elbo,
        hidden=hidden,
        device="cpu",
        compile=compile_draws,
        graph=graph,
        graph_features=("text", "image"),
        **settings,
    )
    model = build_model(WIDTHS, NUM_LABELS, NUM_ITEMS, config)
    batches = make_batches(256)
    positives = torch.full((NUM_LABELS,), 100)
    features = batches.features.take(np.arange(NUM_ITEMS) % 256)
    set_data_statistics(model.network, features, positives, config.feature_norm)
    return model, config


class StepBench:
    """Takes one training step after the other on one batch."""

    def __init__(
        self,
        elbo: str,
        hidden: int,
        batch_size: int,
        compile_draws: str = "off",
        graph: str = "none",
        **settings: str,
    ) -> None:
        model, config = make_model(elbo, hidden, compile_draws, graph, **settings)
        settings = dataclasses.replace(
            svi_settings(config, torch.device("cpu")), batch_size=batch_size
        )
        svi = SVI(model.network, model.lifted, model.guide, settings)
        batches = make_batches()
        if graph != "none":
            batches = Batches(linked(batches.features), batches.labels)
        self._run = TrainingRun(svi, batches)
        self._batch: Batch = batches.read(np.arange(batch_size))
        model.network.train()

    def step(self) -> None:
        """Take one step."""
        self._run.take_step(self._batch, beta=1.0, epoch=0)
