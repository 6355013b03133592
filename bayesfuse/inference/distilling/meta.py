r"""Learning the weights of views by what they do to the student on other items.

One step of the student as its loss with the weights of Θ would have it, and the gradient of what
that student then says of the meta items, through the step, back to Θ:

.. math:: \hat w(\Theta) = w - \alpha \nabla_w L_{\text{student}}(w, \Theta), \qquad
    \Theta \leftarrow \Theta - \beta \nabla_\Theta L_{\text{meta}}(\hat w(\Theta))

The step is one of plain gradient descent, whatever takes the student's own steps.

Reference: Jin et al. 2021, *Modality-specific distillation*, algorithm 1, after Shu et al. 2019
(arXiv:1902.07379).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Parameters = Mapping[str, Tensor]


def meta_gradient(
    parameters: Parameters,
    weigher: nn.Module,
    student_loss: Callable[[Parameters], Tensor],
    meta_loss: Callable[[Parameters], Tensor],
    step: float,
) -> list[Tensor]:
    """Return the gradient of the meta loss in the weigher's parameters.

    Args:
        parameters: The student's, by name, each with `requires_grad`.
        weigher: What the student's loss has its weights from.
        student_loss: The loss of a student with these parameters, a scalar.
        meta_loss: The same of the meta items, which does not read the weigher.
        step: α, > 0.
    """
    names = list(parameters)
    loss = student_loss(parameters)
    slopes = torch.autograd.grad(
        loss, [parameters[name] for name in names], create_graph=True, materialize_grads=True
    )
    moved = {
        name: parameters[name] - step * slope for name, slope in zip(names, slopes, strict=True)
    }
    found = torch.autograd.grad(meta_loss(moved), list(weigher.parameters()))
    return list(found)
