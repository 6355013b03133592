from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.auxiliary.conftest import ITEMS, LABELS, WIDTHS, seen_of


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_equals_the_relative_square_error_in_numpy(weight: float) -> None:
    seen = seen_of("autoencoder", hidden=16)
    own = seen.fusion.own_loss(LABELS, weight)
    assert own is not None
    own = own.double()
    w = {n: p.detach().numpy() for n, p in own.named_parameters()}
    u = {n: p.detach().numpy() for n, p in seen.fusion.named_parameters()}

    def layer(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
        found: np.ndarray = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        return found

    codes = []
    for name, value in zip(WIDTHS, seen.values, strict=True):
        part = f"fused.encoder.{name}"
        between = np.maximum(layer(u, f"{part}.0", value.numpy()), 0)
        codes.append(np.maximum(layer(u, f"{part}.2", between), 0))
    code, expected = np.concatenate(codes, axis=1), 0.0
    assert code.shape == (ITEMS, 6)
    for column, name in enumerate(WIDTHS):
        decoded = code
        for number in (0, 2):
            decoded = np.maximum(layer(w, f"decoder.{name}.{number}", decoded), 0)
        decoded = layer(w, f"decoder.{name}.4", decoded)
        x, here = seen.values[column].numpy(), seen.observed[:, column].numpy()
        expected += weight * ((decoded - x)[here] ** 2).sum() / (x[here] ** 2).sum()
    assert own(seen).item() == pytest.approx(expected, rel=1e-9)


def test_decoders_that_say_nothing_have_one_a_modality() -> None:
    seen = seen_of("autoencoder", hidden=16)
    own = seen.fusion.own_loss(LABELS, 1.0)
    assert own is not None
    for decoder in own.decoder.values():
        torch.nn.init.zeros_(decoder[4].weight)
        torch.nn.init.zeros_(decoder[4].bias)
    assert own.double()(seen).item() == pytest.approx(3)


def test_a_modality_that_no_item_has_counts_for_nothing() -> None:
    seen = seen_of("autoencoder", hidden=16)
    own = seen.fusion.own_loss(LABELS, 1.0)
    assert own is not None
    nothing = seen._replace(observed=torch.zeros_like(seen.observed))
    loss = own.double()(nothing)
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad.any() for p in own.parameters())
