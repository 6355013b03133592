from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bayesfuse.errors import RunFolderError
from bayesfuse.estimator.checkpoint_file import FORMAT, read_checkpoint, write_checkpoint


def example() -> dict[str, Any]:
    shared = torch.arange(6.0)
    return {
        "tensors": [shared, shared[2:], shared.reshape(2, 3).T, torch.tensor(2.5)],
        "kinds": {"half": torch.ones(2, dtype=torch.bfloat16), "mask": torch.tensor([True, False])},
        "empty": torch.zeros(0, 3),
        "optimiser": {0: {"step": torch.tensor(3.0)}, 1: {}},
        "numbers": [1, 0.1, math.pi, 2**130, True, None, "text"],
        "generator": np.random.default_rng(3).bit_generator.state,
    }


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    given = example()
    write_checkpoint(tmp_path / "file", given)
    found = read_checkpoint(tmp_path / "file")
    for one, other in zip(found["tensors"], given["tensors"], strict=True):
        assert torch.equal(one, other)
    assert found["kinds"]["half"].dtype is torch.bfloat16
    assert found["empty"].shape == (0, 3)
    assert found["optimiser"][0]["step"] == 3
    assert found["optimiser"][1] == {}
    assert found["numbers"] == given["numbers"]
    assert found["generator"] == given["generator"]
    write_checkpoint(tmp_path / "file", {"nan": math.nan})  # in place of the first
    assert math.isnan(read_checkpoint(tmp_path / "file")["nan"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_it_cannot_hold_is_refused_and_the_earlier_one_stays(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "file", {"a": 1})
    with pytest.raises(TypeError, match="cannot hold a set"):
        write_checkpoint(tmp_path / "file", {"a": {1, 2}})
    assert read_checkpoint(tmp_path / "file") == {"a": 1}


@pytest.mark.parametrize("place", [0, 5, 40, -200, -1])
def test_a_bit_that_has_changed_is_found(place: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_checkpoint(file, example())
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    with pytest.raises(RunFolderError, match=str(file)):
        read_checkpoint(file)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_file_is_told(share: float, tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_checkpoint(file, example())
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunFolderError, match="torn"):
        read_checkpoint(file)


def test_another_format_and_another_version_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    save_file({"a": torch.zeros(1)}, file, {"bayesfuse-checkpoint-0": "{}"})
    with pytest.raises(RunFolderError, match='format "bayesfuse-checkpoint-0"; expected'):
        read_checkpoint(file)
    write_checkpoint(file, {"a": 1})
    with safe_open(file, framework="pt") as opened:
        about = json.loads(opened.metadata()[FORMAT])
    save_file({}, file, {FORMAT: json.dumps({**about, "version": "0.0.7"})})
    with pytest.raises(RunFolderError, match=r"written by bayesfuse 0\.0\.7; this is"):
        read_checkpoint(file)
