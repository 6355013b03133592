"""A small network, lifted, with its guide and its training items; and float64 for exact checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.guides import Guide, make_guide
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.priors import Prior
from bayesfuse.models import FusionNetwork

WIDTHS = {"text": 3, "image": 2}
NUM_LABELS = 4


class Fused(NamedTuple):
    network: FusionNetwork
    lifted: LiftedModule
    guide: Guide


@pytest.fixture
def double() -> Iterator[None]:
    """Make float64 the default while the test runs."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def make_fused() -> Callable[..., Fused]:
    """Return a function that builds a network, lifts its fusion and makes a guide, from a seed."""

    def build(
        seed: int = 0,
        prior: str = "laplace",
        scale: Any = 0.1,
        guide: str = "laplace",
        init_scale: float = 0.05,
        parts: tuple[str, ...] = ("fusion",),
        **network: Any,
    ) -> Fused:
        torch.manual_seed(seed)
        options = {"hidden": 5, "classifier": "linear", "dropout": 0.0, "fusion": "gmu"} | network
        made = FusionNetwork(WIDTHS, NUM_LABELS, **options)
        lifted = lift(made, Prior(prior, scale), parts)
        return Fused(made, lifted, make_guide(lifted, guide, init_scale=init_scale, rank=2))

    return build


@pytest.fixture
def make_batches() -> Callable[..., Batches]:
    """Return a function that draws items whose first features decide on their labels."""

    def build(num_items: int = 40, seed: int = 0, labelled: bool = True) -> Batches:
        rng = np.random.default_rng(seed)
        arrays = {
            name: rng.normal(size=(num_items, width)).astype(np.float32)
            for name, width in WIDTHS.items()
        }
        observed = {"image": rng.random(num_items) < 0.8}
        signal = 2 * arrays["text"][:, :1] + rng.normal(size=(num_items, NUM_LABELS))
        labels = (signal > 0).astype(np.float32)
        return Batches(FeatureTable.from_arrays(arrays, observed), labels if labelled else None)

    return build
