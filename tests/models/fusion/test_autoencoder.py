from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden, softmax


@pytest.mark.parametrize("hidden", [4, 16])
@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_equations_5_to_10_in_numpy(num_modalities, hidden):
    rule = golden("autoencoder", num_modalities, hidden)
    vectors = [np.maximum(a, 0) for a in rule.a.values()]
    scores = np.stack([np.tanh(v @ rule.w["gate.query"]) for v in vectors])
    attended = softmax(scores, axis=0)[:, :, None] * np.stack(vectors)
    codes = []
    for name, x in rule.x.items():
        between = np.maximum(rule.linear(f"fused.encoder.{name}.0", x), 0)
        codes.append(np.maximum(rule.linear(f"fused.encoder.{name}.2", between), 0))
        assert codes[-1].shape[1] == max(1, hidden // 8)
    joined = np.concatenate([*attended, *codes], axis=1)
    np.testing.assert_allclose(rule.fused, rule.linear("fused.output", joined), atol=1e-12)


def test_layers_are_the_papers_at_its_width():
    fusion = golden("autoencoder", 2, 512).fusion
    own = fusion.own_loss(5, 1.0)
    assert [tuple(fusion.fused["encoder"]["image"][i].weight.shape) for i in (0, 2)] == [
        (512, 2),
        (64, 512),
    ]
    assert [tuple(own.decoder["image"][i].weight.shape) for i in (0, 2, 4)] == [
        (64, 128),
        (512, 64),
        (2, 512),
    ]
