"""The models with a graph: MM-GATBT, and graph attention alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bayesfuse.config import MODELS as NAMES
from bayesfuse.data.batches import Batch, Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.models.graph_branch import GraphSettings
from bayesfuse.models.network import MODELS, FusionNetwork

WIDTHS = {"text": 3, "image": 2}
# 0 hears 1 and 2, 1 hears 0, 2 hears 0, 3 is isolated
GRAPH = Adjacency(np.array([0, 2, 3, 4, 5]), np.array([1, 2, 0, 0, 3]))


def build(model: str = "mm-gatbt", widths: dict[str, int] | None = None, **options):
    torch.manual_seed(0)
    settings = GraphSettings(("image",), heads=2, width=3)
    options = {"fusion": "bitransformer", "hidden": 8, "classifier": "linear"} | options
    network = FusionNetwork(widths or WIDTHS, 5, model=model, graph=settings, **options)
    return network.eval()


def read(names=("text", "image"), **changes) -> Batch:
    rng = np.random.default_rng(0)
    drawn = {"text": rng.normal(size=(4, 3)), "image": rng.normal(size=(4, 2))} | changes
    items = FeatureTable.from_arrays({name: drawn[name] for name in names})
    return Batches(LinkedFeatures(items, items.select(["image"]), GRAPH)).read(np.arange(4))


def logits(network: FusionNetwork, batch: Batch) -> torch.Tensor:
    found: torch.Tensor = network(batch.inputs, batch.observed, batch.blocks)
    return found.detach()


def test_the_models_are_those_of_the_configuration():
    assert MODELS == NAMES


def test_the_joint_part_reads_the_text_and_the_node_and_not_the_image():
    network, batch = build(), read()
    assert network.entering == ("text", "graph")
    names = {name for name, _ in network.named_parameters()}
    assert {"fusion.text.weight", "fusion.graph.weight", "gat.0.attn_src"} <= names
    assert "fusion.image.weight" not in names
    heard = network.gat(batch.inputs["image"], AttentionGraph.of(GRAPH))
    inputs = {"text": batch.inputs["text"], "graph": F.leaky_relu(heard)}
    fused = network.fusion(inputs, torch.ones(4, 2, dtype=torch.bool))
    torch.testing.assert_close(logits(network, batch), network.classifier(fused))


def test_an_item_is_told_by_its_neighbours_images_and_its_own_text():
    network, batch = build(), read()
    own = batch.inputs["image"].numpy().copy()
    own[0] += 3
    moved = (logits(network, read(image=own)) - logits(network, batch)).abs().amax(dim=1) > 1e-5
    assert moved.tolist() == [False, True, True, False]
    said = batch.inputs["text"].numpy().copy()
    said[0] += np.arange(3)
    moved = (logits(network, read(text=said)) - logits(network, batch)).abs().amax(dim=1) > 1e-5
    assert moved.tolist() == [True, False, False, False]


def test_graph_attention_alone_is_a_classifier_on_what_is_heard():
    network, batch = build("gat", {"image": 2}), read(("image",))
    assert network.fusion is None
    assert {name.partition(".")[0] for name, _ in network.named_parameters()} == {
        "gat",
        "classifier",
    }
    heard = network.gat(batch.inputs["image"], AttentionGraph.of(GRAPH))
    torch.testing.assert_close(logits(network, batch), network.classifier(F.leaky_relu(heard)))


@pytest.mark.parametrize("model", ["gat", "mm-gatbt"])
def test_what_is_heard_under_draws_is_what_the_draws_hear(model):
    widths = {"image": 2} if model == "gat" else WIDTHS
    network, batch = build(model, widths), read(tuple(widths))
    draws = [
        {n: torch.randn_like(p) for n, p in network.named_parameters() if n.startswith("gat")}
        for _ in range(3)
    ]
    heard = network.hear_draws(draws, batch.inputs, batch.observed, batch.blocks)
    for draw, found in zip(draws, heard, strict=True):
        told = (batch.inputs, batch.observed, batch.blocks, found)
        one = torch.func.functional_call(network, draw, told)
        other = torch.func.functional_call(network, draw, told[:3])
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_models_that_do_not_fit():
    with pytest.raises(ConfigError, match=r'Unknown model "mm-gat".*"mm-gatbt"'):
        FusionNetwork(WIDTHS, 5, model="mm-gat")
    for model in ("gat", "mm-gatbt"):
        with pytest.raises(ConfigError, match=rf'"{model}" is about what.*--graph people'):
            FusionNetwork(WIDTHS, 5, model=model)
    with pytest.raises(ConfigError, match=r"leave text unread.*--modalities image"):
        build("gat")
