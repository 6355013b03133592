"""Precisions by device, and what they do to a product."""

from __future__ import annotations

import pytest
import torch

from bayesfuse.encoders.precision import PRECISIONS, autocast, resolve_precision
from bayesfuse.errors import ConfigError


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_what_each_device_gets(monkeypatch, precision, device, capability):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    if precision == "float16" and device == "cpu":
        with pytest.raises(ConfigError, match="float32 or bfloat16"):
            resolve_precision(precision, device)
        return
    by_device = {"cpu": "float32", "mps": "float32"}
    on_gpu = "bfloat16" if capability >= (8, 0) else "float16"
    expected = by_device.get(device, on_gpu) if precision == "auto" else precision
    assert resolve_precision(precision, device) == expected


def test_an_unknown_precision():
    with pytest.raises(ConfigError, match='Unknown precision "bf16"; expected one of auto'):
        resolve_precision("bf16", "cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_reckoned_in_it(precision):
    left, right = torch.randn(8, 8), torch.randn(8, 8)
    with autocast(precision, "cpu"):
        product = left @ right
    assert product.dtype == getattr(torch, precision)
    assert torch.equal(product.float(), left @ right) == (precision == "float32")
    torch.testing.assert_close(product.float(), left @ right, atol=0.1, rtol=0.05)
