from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bayesfuse.errors import ConfigError, RunFolderError, UserError
from bayesfuse.inference import distributed
from bayesfuse.inference.distributed import (
    Processes,
    ProcessesError,
    first_does,
    from_each,
    from_first,
    gathered,
    is_first,
    num_started,
    own_seed,
    process_group,
    processes,
    share_of,
    sum_,
)
from tests.inference.several import in_processes


@pytest.fixture
def second_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_now", Processes(1, 3))


def test_alone_everything_stays_what_it_is() -> None:
    assert (processes(), is_first(), num_started({})) == (Processes(), True, 1)
    whole, own = torch.arange(3.0), share_of(5)
    assert sum_(whole) is whole
    assert (own_seed(7), from_first("told"), own) == (7, "told", slice(0, 5))
    assert (from_each("told"), first_does(lambda: "done")) == (["told"], "done")
    part = np.ones((5, 2), np.float32)
    assert gathered(part, own, 5) is part
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("count", "block"), [(10, 1), (10, 4), (3, 16), (0, 1), (1000, 16)])
def test_shares_are_whole_blocks_and_make_up_the_whole(
    count: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "_now", Processes(rank, 3))
        found += list(range(count)[share_of(count, block)])
        assert share_of(count, block).start % block == 0 or share_of(count, block).start == count
    assert found == list(range(count))


@pytest.mark.usefixtures("second_of_three")
def test_noise_is_a_process_s_own_unless_it_is_common(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = {own_seed(seed) for seed in range(100)}
    assert len(seeds) == 100
    assert not seeds & set(range(100))
    monkeypatch.setattr(distributed, "_now", Processes(1, 3, common_noise=True))
    assert own_seed(5) == 5


@pytest.mark.parametrize(
    ("environment", "count"), [({"WORLD_SIZE": "4"}, 1), ({"RANK": "0", "WORLD_SIZE": "4"}, 4)]
)
def test_a_size_without_a_rank_is_somebody_else_s(environment: Any, count: int) -> None:
    assert num_started(environment) == count


def test_an_incomplete_environment_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(ConfigError, match=r"MASTER_ADDR, MASTER_PORT are not set\. .* torchrun"),
        process_group("cpu"),
    ):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}
    for name, value in {**given, "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="1 GPU and at least 2 processes"), process_group("cuda"):
        pass


def refused() -> str:
    def nothing_there() -> None:
        raise RunFolderError("Nothing is there.")

    try:
        first_does(nothing_there)
    except UserError as error:
        return str(error)
    return "went well"


def talk() -> dict[str, Any]:
    own = processes()
    part = np.full((2, own.rank + 1), own.rank + 0.5, np.float32)
    found: dict[str, Any] = {
        "sum": sum_(torch.tensor([own.rank + 1.0])).tolist(),
        "first": from_first({"from": own.rank}),
        "each": from_each(own.rank),
        "refused": refused(),
        "whole": gathered(part, slice(own.rank, 2 * own.rank + 1), 3, axis=1).tolist(),
    }
    return found


def one_ends() -> str:
    if processes().rank == 1:
        return "has left"
    try:
        for _ in range(3):
            sum_(torch.ones(1))
    except RuntimeError as error:
        return "was told" if distributed._is_lost(error) else repr(error)
    return "waited for nobody"


def both(folder: Path) -> tuple[dict[str, Any], str]:
    return talk(), one_ends()


@pytest.mark.slow
def test_two_processes_tell_each_other_and_none_waits_for_one_that_has_left(
    tmp_path: Path,
) -> None:
    first, second = in_processes(both, tmp_path, tmp_path)
    expected = {"sum": [3.0], "first": {"from": 0}, "each": [0, 1], "whole": [[0.5, 1.5, 1.5]] * 2}
    expected["refused"] = "Nothing is there."
    assert first == (expected, "was told")
    assert second == (expected, "has left")
    assert issubclass(ProcessesError, Exception)
