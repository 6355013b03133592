from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models.auxiliary.decoder import Decoder


@pytest.mark.parametrize("hidden", [(), (4,), (4, 6)])
def test_equals_the_perceptron_in_numpy(hidden: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    decoder = Decoder(5, hidden, 3).double()
    h = np.random.default_rng(0).normal(size=(6, 5))
    layers = [m for m in decoder if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in layers] == [*hidden, 3]
    expected = h
    for depth, layer in enumerate(layers):
        expected = expected @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        if depth < len(layers) - 1:
            expected = np.maximum(expected, 0)
    np.testing.assert_allclose(decoder(torch.tensor(h)).detach().numpy(), expected, atol=1e-12)
