from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.one_head import HeadInputs, attend, attend_back, attention_of, logits

GRAPH = AttentionGraph([0, 3, 3, 5], [0, 1, 3, 1, 2], 4)
ROW_OF = [0, 0, 0, 2, 2]


def draw(names: str = "vstbk") -> HeadInputs:
    """Draw inputs; a letter that is left out is None."""
    made = {
        "v": torch.randn(4, 2, dtype=torch.float64),
        "s": torch.randn(4, dtype=torch.float64),
        "t": torch.randn(3, dtype=torch.float64),
        "b": torch.randn(5, dtype=torch.float64),
        "k": torch.tensor([True, False, True, True, True]),
    }
    return HeadInputs(*(value if name in names else None for name, value in made.items()))  # type: ignore[arg-type]


def plain(inputs: HeadInputs, slope: float, keep_scale: float) -> Tensor:
    """Attend row by row, in the letters of the paper."""
    logit = plain_logits(inputs, slope)
    out = []
    for row in range(3):
        edges = [e for e in range(5) if ROW_OF[e] == row]
        weights = logit[edges].softmax(0)
        if inputs.keep is not None:
            weights = weights * inputs.keep[edges] * keep_scale
        out.append(weights @ inputs.values[GRAPH.indices[edges]])
    return torch.stack(out)


def plain_logits(inputs: HeadInputs, slope: float) -> Tensor:
    total = torch.zeros(5, dtype=torch.float64)
    if inputs.source is not None and inputs.target is not None:
        total = inputs.target[ROW_OF] + inputs.source[GRAPH.indices]
    if inputs.bias is not None:
        total = total + inputs.bias
    return torch.where(total > 0, total, slope * total)


@pytest.mark.parametrize("names", ["vst", "vstb", "vb", "vstk", "vstbk"])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_forwards_and_backwards_against_plain_rows(names: str, slope: float) -> None:
    inputs = draw(names)
    out, log_sum = attend(GRAPH, inputs, slope, 1.5)
    torch.testing.assert_close(logits(GRAPH, inputs, slope), plain_logits(inputs, slope))
    torch.testing.assert_close(out, plain(inputs, slope, 1.5))

    leaves = HeadInputs(*(None if t is None else t.clone() for t in inputs))  # type: ignore[arg-type]
    for leaf in leaves[:4]:
        if leaf is not None:
            leaf.requires_grad_()
    grad = torch.randn_like(out)
    plain(leaves, slope, 1.5).backward(grad)
    wanted = tuple(t is not None for t in inputs[:4])
    found = attend_back(GRAPH, inputs, slope, 1.5, log_sum, grad, wanted)
    for leaf, gradient in zip(leaves[:4], found, strict=True):
        if leaf is None:
            assert gradient is None
        else:
            assert gradient is not None
            torch.testing.assert_close(gradient, leaf.grad)


def test_only_the_wanted_gradients_are_worked_out() -> None:
    inputs = draw()
    out, log_sum = attend(GRAPH, inputs, 0.2, 1.0)
    for number in range(4):
        wanted = tuple(k == number for k in range(4))
        found = attend_back(GRAPH, inputs, 0.2, 1.0, log_sum, out, wanted)
        assert [gradient is not None for gradient in found] == list(wanted)


def test_the_attention_is_had_again_from_the_denominator() -> None:
    inputs = draw("vstb")
    out, log_sum = attend(GRAPH, inputs, 0.2, 1.0)
    attention, logit = attention_of(GRAPH, inputs, 0.2, log_sum)
    torch.testing.assert_close(logit, plain_logits(inputs, 0.2))
    torch.testing.assert_close(attention[:3].sum(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(GRAPH.matrix(attention).to_dense() @ inputs.values, out)


def test_inputs_are_left_as_they_were() -> None:
    inputs = draw()
    before = [None if t is None else t.clone() for t in inputs]
    out, log_sum = attend(GRAPH, inputs, 1.0, 1.0)
    attend_back(GRAPH, inputs, 1.0, 1.0, log_sum, out, (True,) * 4)
    for now, then in zip(inputs, before, strict=True):
        assert now is not None
        assert then is not None
        assert torch.equal(now, then)
