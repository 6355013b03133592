from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models import FUSIONS
from bayesfuse.models.auxiliary import Seen
from bayesfuse.models.auxiliary.refiner import Refiner
from tests.models.auxiliary.conftest import ITEMS, WIDTHS, seen_of


@pytest.mark.parametrize("weights", [dict.fromkeys(WIDTHS, 0.1), {"image": 2.0, "text": 0.5}])
def test_equals_equation_3_in_numpy(weights: dict[str, float]) -> None:
    seen = seen_of()
    refiner = Refiner(WIDTHS, 5, weights).double()
    expected = 0.0
    w = {name: value.detach().numpy() for name, value in refiner.named_parameters()}
    h, observed = seen.fused.detach().numpy(), seen.observed.numpy()
    for column, name in enumerate(WIDTHS):
        if name not in weights:
            continue
        between = h @ w[f"decoder.{name}.0.weight"].T + w[f"decoder.{name}.0.bias"]
        assert between.shape == h.shape
        between = np.maximum(between, 0)
        r = between @ w[f"decoder.{name}.2.weight"].T + w[f"decoder.{name}.2.bias"]
        f = seen.values[column].numpy()
        for i in range(ITEMS):
            if observed[i, column]:
                cosine = r[i] @ f[i] / np.linalg.norm(r[i]) / np.linalg.norm(f[i])
                expected += weights[name] * (1 - cosine) / ITEMS
    assert refiner(seen).item() == pytest.approx(expected, abs=1e-9)


def test_what_was_not_observed_is_not_decoded() -> None:
    seen = seen_of()
    refiner = Refiner(WIDTHS, 5, {"image": 1.0}).double()
    nothing = seen._replace(observed=torch.zeros_like(seen.observed))
    assert refiner(nothing).item() == 0
    (gradient,) = torch.autograd.grad(refiner(nothing), [refiner.decoder["image"][0].weight])
    assert torch.isfinite(gradient).all()
    assert not gradient.any()


def adjacency() -> torch.Tensor:
    """The graph of three modalities: the second is joined with both others."""
    return torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]]).double()


def refined(units: int, noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Learn linear decoders of E = W A F, and return them and W A, `modalities x units` each.

    A modality has d features, and E has d of each unit: so W A is one number a unit and modality.
    """
    d, items = 2, 100
    torch.manual_seed(units)
    w, _ = torch.linalg.qr(torch.randn(units, 3).double())
    wa = w @ adjacency()
    names = ("text", "image", "year")
    fusion = FUSIONS["linear-sum"](dict.fromkeys(names, d), units * d).double()
    eye = torch.eye(d).double()
    with torch.no_grad():
        for m, name in enumerate(names):
            fusion.get_parameter(f"{name}.weight").copy_(torch.kron(wa[:, m : m + 1], eye))
            fusion.get_parameter(f"{name}.bias").zero_()
    inputs = {name: torch.randn(items, d).double() for name in names}
    observed = torch.ones(items, 3, dtype=torch.bool)
    read = fusion.activate(inputs, observed)
    fused = fusion.fuse(*read).detach()
    fused = fused + noise * torch.randn_like(fused)
    seen = Seen(fusion, observed, *read, fused, None, lambda logits: logits.sum())
    refiner = Refiner(dict.fromkeys(names, d), units * d, dict.fromkeys(names, 1.0), ()).double()
    exact = {"tolerance_grad": 0.0, "tolerance_change": 0.0, "line_search_fn": "strong_wolfe"}
    steps = torch.optim.LBFGS(refiner.parameters(), max_iter=200, **exact)

    def closure() -> float:
        steps.zero_grad()
        loss = refiner(seen)
        loss.backward()
        return loss.item()

    steps.step(closure)
    found = torch.cat([refiner.decoder[name][0].weight for name in names]).detach()
    return found, torch.kron(wa, eye)


@pytest.mark.parametrize("units", [3, 5])
def test_linear_decoders_undo_the_fusion_and_the_graph(units: int) -> None:
    gamma, wa = refined(units)
    product = gamma @ wa
    # a cosine leaves the length of what is decoded open: one number a modality
    product = product / product.diagonal()[:, None]
    torch.testing.assert_close(product, torch.eye(6).double(), atol=1e-3, rtol=0)
    if units == 3:  # corollary 4.1
        scaled = gamma / (gamma @ wa).diagonal()[:, None]
        torch.testing.assert_close(torch.linalg.inv(scaled), wa, atol=1e-2, rtol=1e-2)


def test_they_do_not_where_the_fusion_has_lost_a_modality() -> None:
    gamma, wa = refined(3, noise=3.0)
    product = gamma @ wa
    product = product / product.diagonal()[:, None]
    assert float((product - torch.eye(6)).abs().max()) > 0.1
