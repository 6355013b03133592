"""MulT-GMU against a few lines of numpy, one item after the other."""

from __future__ import annotations

import numpy as np
import torch

from bayesfuse.models import FUSIONS
from tests.models.fusion.conftest import sigmoid
from tests.models.fusion.mult_numpy import last_elements, linear
from tests.models.fusion.test_cross_modal import LENGTHS, WIDTHS, build, items

LAYERS = 2


def parts():
    """Return the rule, its weights, and of each item the vectors that enter the unit."""
    fusion = build("mult-gmu", layers=LAYERS)
    w = {name: value.detach().numpy() for name, value in fusion.named_parameters()}
    inputs, observed = items()
    vectors = []
    for item in range(5):
        steps = {n: inputs[n][item, : lengths[item]].numpy() for n, lengths in LENGTHS.items()}
        vectors.append({**last_elements(w, steps, LAYERS), "year": inputs["year"][item].numpy()})
    return fusion, w, vectors, inputs, observed


def test_equals_the_paper_in_numpy():
    fusion, w, vectors, inputs, observed = parts()
    rows, gates = [], []
    for own in vectors:
        x = np.concatenate(list(own.values()))[None]
        z = {name: sigmoid(linear(w, f"gate.{name}", x)) for name in own}
        h = {
            name: np.tanh(linear(w, name if name == "year" else f"fused.late.{name}", v[None]))
            for name, v in own.items()
        }
        rows.append(sum(z[name] * h[name] for name in own)[0])
        gates.append(np.concatenate(list(z.values())))
    found = fusion(inputs, observed).detach().numpy()
    np.testing.assert_allclose(found, np.stack(rows), rtol=1e-9, atol=1e-9)
    seen = fusion.gates(inputs, observed).detach().numpy()
    np.testing.assert_allclose(seen, np.stack(gates), rtol=1e-9, atol=1e-9)
    assert np.ptp(seen[:, :, 0], axis=0).min() > 1e-3


def test_two_modalities_share_a_gate():
    fusion = FUSIONS["mult-gmu"]({"text": 3, "image": 2}, 4, sequences=["text", "image"], layers=1)
    assert list(fusion.gate) == ["text"]
    inputs, observed = items()
    del inputs["year"]
    seen = fusion.gates({n: v.float() for n, v in inputs.items()}, observed[:, :2])
    torch.testing.assert_close(seen.sum(dim=1), torch.ones(5, 4))


def test_without_sequences_it_is_the_gated_unit():
    torch.manual_seed(0)
    ours, plain = FUSIONS["mult-gmu"](WIDTHS, 4), FUSIONS["gmu"](WIDTHS, 4)
    plain.load_state_dict(ours.state_dict())
    inputs = {name: torch.randn(5, width) for name, width in WIDTHS.items()}
    observed = torch.rand(5, 3) < 0.7
    torch.testing.assert_close(ours(inputs, observed), plain(inputs, observed))
    torch.testing.assert_close(ours.gates(inputs, observed), plain.gates(inputs, observed))
