from __future__ import annotations

import pytest
import torch

from bayesfuse.models.activations import blend, tanh

POINTS = torch.cat([torch.linspace(-12, 12, 20_001), torch.tensor([0.0, -90.0, 90.0, 1e-8])])


def test_tanh_without_gradients_is_tanh() -> None:
    with torch.no_grad():
        found = tanh(POINTS)
    assert (found.double() - torch.tanh(POINTS.double())).abs().max() < 2e-7
    assert found.abs().max() <= 1


def test_tanh_leaves_its_argument_alone_and_works_under_vmap() -> None:
    x = torch.randn(3, 5)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(tanh)(x), torch.tanh(x), rtol=0, atol=2e-7)
    assert torch.equal(x, before)


def test_with_gradients_it_is_torchs_own() -> None:
    x = POINTS.clone().requires_grad_()
    assert torch.equal(tanh(x), torch.tanh(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_in_other_precisions_it_is_torchs_own(dtype: torch.dtype) -> None:
    with torch.no_grad():
        assert torch.equal(tanh(POINTS.to(dtype)), torch.tanh(POINTS.to(dtype)))


def test_a_blend_is_the_formula_with_gradients_and_without() -> None:
    weight, first, second = (torch.randn(200) for _ in range(3))  # beyond 0..1, too
    expected = weight * first + (1 - weight) * second
    assert torch.equal(blend(weight, first, second), expected)
    with torch.no_grad():
        torch.testing.assert_close(blend(weight, first, second), expected, rtol=1e-5, atol=1e-5)
        mixed = blend(weight.bfloat16(), first, second)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=0.1)
    assert mixed.dtype is torch.float32
