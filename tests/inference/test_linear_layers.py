"""Which layers can stand for their weights: those that read the features, those that read items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bayesfuse.data.batches import Batch, Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.linear_layers import first_layers, items_layers, replaced_forwards
from bayesfuse.inference.priors import Prior
from bayesfuse.models import FusionNetwork
from bayesfuse.models.graph_branch import GraphSettings

WIDTHS = {"text": 4, "image": 3}
NUM_ITEMS = 6


def make(guide: str = "laplace", parts: tuple[str, ...] = ("fusion",), **options: Any) -> Any:
    torch.manual_seed(3)
    network = FusionNetwork(WIDTHS, 3, **{"hidden": 4, "classifier_hidden": 4} | options)
    lifted = lift(network, Prior("laplace", 0.5), parts)
    return network, lifted, make_guide(lifted, guide)


def batch(linked: bool = False) -> Batch:
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=(NUM_ITEMS, width)) for n, width in WIDTHS.items()}
    features: Any = FeatureTable.from_arrays(arrays)
    if linked:
        first = np.arange(NUM_ITEMS)
        ring = (np.r_[first, first[::-1]], np.r_[np.roll(first, 1), np.roll(first[::-1], 1)])
        graph = EntityGraph.from_pairs(NUM_ITEMS, *ring, self_loops="all")
        features = LinkedFeatures(features, features, graph)
    return Batches(features).read(slice(None))


def layers_of(find: Any, made: Any, linked: bool = False) -> set[str]:
    items = batch(linked)
    blocks = (items.blocks,) if linked else ()
    return set(find(made[1], made[2], items.inputs, items.observed, *blocks))


READING = {"fusion.text", "fusion.image"}
CASES = [
    ("gmu", READING | {"fusion.gate.text"}, set()),
    ("mixing", READING, {"fusion.fused"}),  # which reads what is random
    ("concat", READING, set()),
]


@pytest.mark.parametrize("classifier", ["linear", "maxout"])
@pytest.mark.parametrize(("fusion", "first", "later"), CASES)
def test_layers_that_read_the_features_and_layers_that_read_items(
    fusion: str, first: set[str], later: set[str], classifier: str
) -> None:
    made = make(fusion=fusion, classifier=classifier)
    made[0].eval()
    assert layers_of(first_layers, made) == first
    assert layers_of(items_layers, made) >= first | later
    only = make(fusion=fusion, classifier=classifier, parts=("fusion.text",))
    assert layers_of(items_layers, only) == {"fusion.text"}


def test_a_layer_that_cannot_be_replaced_is_not_found() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice, self.peeked, self.fine, self.steps = (nn.Linear(3, 3) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = self.twice(x) + self.twice(2 * x) + self.peeked(x) + self.fine(x)
            steps = self.steps(torch.stack([x, 2 * x], dim=1)).sum(dim=1)
            found: torch.Tensor = (seen + steps) * self.peeked.weight.sum()
            return found

    lifted = lift(Odd(), Prior(), ["twice", "peeked", "fine", "steps"])
    x = torch.randn(2, 3)
    # the noise of a unit's output is not the same in all steps of an item
    assert first_layers(lifted, make_guide(lifted), x) == ["fine"]
    assert items_layers(lifted, make_guide(lifted), x) == ["fine"]
    for find in (first_layers, items_layers):
        assert find(lifted, make_guide(lifted, "lowrank"), x) == []


def test_rows_that_other_items_hear_are_no_items() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heard, self.after = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            said = self.heard(x)
            found: torch.Tensor = self.after(said + said.roll(1, dims=0))
            return found

    lifted = lift(Mixing(), Prior(), ["heard", "after"])
    assert items_layers(lifted, make_guide(lifted), torch.randn(4, 3)) == ["after"]


def test_with_a_graph_the_layers_of_the_fusion_are_found() -> None:
    settings = GraphSettings(features=("text", "image"), heads=2, width=3)
    made = make(parts=("fusion", "gat"), fusion="mixing", graph=settings)
    found = layers_of(items_layers, made, linked=True)
    assert found == {"fusion.text", "fusion.image", "fusion.graph", "fusion.fused"}


def test_modes_and_hooks_are_as_before() -> None:
    network, lifted, guide = make(classifier="maxout")
    network.classifier.eval()
    before = [module.training for module in network.modules()]
    assert True in before
    assert False in before
    items = batch()
    for find in (first_layers, items_layers):
        find(lifted, guide, items.inputs, items.observed)
    assert [module.training for module in network.modules()] == before
    assert not any(module._forward_hooks for module in network.modules())


def test_forwards_are_replaced_inside_the_block_alone() -> None:
    layer = nn.Linear(2, 2)
    x = torch.ones(1, 2)
    own = layer(x)
    with replaced_forwards({layer: lambda _: "other"}):
        assert layer(x) == "other"
    with pytest.raises(TypeError), replaced_forwards({layer: lambda: None}):
        layer(x)
    torch.testing.assert_close(layer(x), own)
