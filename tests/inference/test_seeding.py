from __future__ import annotations

import threading

import pytest
import torch

from bayesfuse.inference.seeding import seeded


def draw(seed: int) -> torch.Tensor:
    with seeded(seed):
        return torch.rand(4)


def test_the_seed_decides_and_nothing_else() -> None:
    first = draw(3)
    torch.rand(17)
    torch.testing.assert_close(draw(3), first, rtol=0, atol=0)
    assert not torch.equal(draw(4), first)
    generator = torch.Generator().manual_seed(3)
    torch.testing.assert_close(torch.rand(4, generator=generator), first, rtol=0, atol=0)


def test_the_generator_is_left_as_it_was() -> None:
    torch.manual_seed(1)
    expected = torch.rand(6)
    torch.manual_seed(1)
    found = [torch.rand(2)]
    draw(3)
    found.append(torch.rand(2))
    with seeded(5), seeded(6):
        torch.rand(100)
    found.append(torch.rand(2))
    torch.testing.assert_close(torch.cat(found), expected, rtol=0, atol=0)


def test_an_inner_block_does_not_disturb_the_outer_one() -> None:
    with seeded(3):
        first = torch.rand(2)
        draw(9)
        second = torch.rand(2)
    torch.testing.assert_close(torch.cat([first, second]), draw(3), rtol=0, atol=0)


def test_an_error_inside_restores_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(3):
        torch.rand(1) @ torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_seeds_are_taken() -> None:
    assert draw(2**63 - 1).shape == (4,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_device_is_seeded_and_restored() -> None:
    before = torch.cuda.get_rng_state()
    found = []
    for _ in range(2):
        with seeded(3, "cuda"):
            found.append(torch.rand(3, device="cuda"))
    assert torch.equal(*found)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_threads_take_turns() -> None:
    inside, leave, drawn = threading.Event(), threading.Event(), []

    def first() -> None:
        with seeded(3):
            inside.set()
            leave.wait(10)
            drawn.append(torch.rand(2))

    def second() -> None:
        inside.wait(10)
        with seeded(4):
            drawn.append(torch.rand(2))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    torch.rand(0)  # what draws outside of `seeded` is not held up
    assert threads[1].is_alive()
    leave.set()
    for thread in threads:
        thread.join()
    for seed, found in zip((3, 4), drawn, strict=True):
        with seeded(seed):
            assert torch.equal(torch.rand(2), found)
