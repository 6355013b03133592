"""Are two models that are fitted in threads of one process what each is alone?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pyro
import pytest
import torch
from torch import Tensor

from bayesfuse.data.batches import Batches
from bayesfuse.inference import local_params, seeding
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.svi import SVI

MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]


def fit(made: Any, items: Batches, seed: int) -> list[Tensor]:
    settings = SVISettings(epochs=4, batch_size=10, learning_rate=0.01, seed=seed)
    SVI(made.network, made.lifted, made.guide, settings).fit(items)
    return [value.clone() for value in made.guide.tensors().values()]


def in_threads(make_fused: MakeFused, items: Batches) -> list[list[Tensor]]:
    models = [make_fused(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(fit, models, [items] * 2, (5, 6)))


def equal(first: list[list[Tensor]], second: list[list[Tensor]]) -> bool:
    return all(map(torch.equal, chain(*first), chain(*second)))


@pytest.mark.slow
def test_two_fits_in_threads_are_what_each_is_alone(
    make_fused: MakeFused, make_batches: MakeBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = make_batches()
    alone = [fit(make_fused(seed), items, seed + 5) for seed in (0, 1)]
    assert equal(in_threads(make_fused, items), alone)
    # without turns they draw from each other's generator, or end in an error
    monkeypatch.setattr(seeding, "TURNS", contextlib.nullcontext())
    monkeypatch.setattr(local_params, "TURNS", contextlib.nullcontext())
    try:
        mixed = [in_threads(make_fused, items) for _ in range(3)]
    except Exception:
        return
    finally:  # what they have left in Pyro
        pyro.settings.set(module_local_params=False)
        pyro.poutine.runtime._PYRO_STACK.clear()
        pyro.clear_param_store()
    assert not all(equal(found, alone) for found in mixed)
