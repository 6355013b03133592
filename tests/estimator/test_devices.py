from __future__ import annotations

import pytest
import torch

from bayesfuse.config import ModelConfig
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.devices import choose_device, choose_precision


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type in {expected, "mps"}


@pytest.mark.parametrize("name", ["cuda:99", "cuda", "mps", "tpu", "gpu", "cpu:x", "meta", ""])
def test_devices_that_are_not_there(name):
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(name, False):
        pytest.skip(f"this machine has {name}")
    with pytest.raises(ConfigError, match=r"no device.*Use --device auto"):
        choose_device(name)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_precision_on_the_cpu(precision, dtype):
    config = ModelConfig.parse({"precision": precision})
    assert choose_precision(config, torch.device("cpu")) is dtype
