from __future__ import annotations

import torch

from bayesfuse.models.steps import mean_over_steps, steps_or_absent, used_steps

NAN = float("nan")
VALUES = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [NAN, NAN]], [[NAN, NAN]] * 2])


def test_steps_that_are_there_are_told_by_nan() -> None:
    assert used_steps(VALUES).tolist() == [[True, True], [True, False], [False, False]]


def test_the_mean_is_over_own_steps_and_vectors_stay() -> None:
    assert mean_over_steps(VALUES).tolist() == [[2.0, 3.0], [5.0, 6.0], [0.0, 0.0]]
    vectors = torch.ones(3, 2)
    assert mean_over_steps(vectors) is vectors


def test_no_gradient_is_lost_in_what_is_not_there() -> None:
    leaf = VALUES.clone().requires_grad_()
    mean_over_steps(leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[[0.5, 0.5]] * 2, [[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0]] * 2]


def test_an_item_of_no_step_has_the_stand_in_for_its_only_one() -> None:
    absent = torch.tensor([8.0, 9.0])
    found = steps_or_absent(used_steps(VALUES), VALUES, absent)
    assert used_steps(found).tolist() == [[True, True], [True, False], [True, False]]
    assert found[2, 0].tolist() == [8.0, 9.0]
    assert torch.equal(found[0], VALUES[0])
