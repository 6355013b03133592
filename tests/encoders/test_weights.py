"""Weights from files: what is read, what is refused, and that nothing of a stranger is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bayesfuse.encoders.weights import read_state_dict, weights_hash
from bayesfuse.errors import FeatureError, MissingExtraError


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {
        "conv.weight": torch.randn(4, 3, 3, 3),
        "bn.num_batches_tracked": torch.tensor(7),
        "half": torch.randn(5).to(torch.bfloat16),
        "empty": torch.zeros(0),
    }


def assert_equal_states(first, second) -> None:
    assert first.keys() == second.keys()
    for key in first:
        assert first[key].dtype == second[key].dtype
        assert torch.equal(first[key], second[key])


def test_files_of_both_kinds_are_read(state, tmp_path):
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    torch.save(state, tmp_path / "a.bin", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pth", "a.bin"):
        assert_equal_states(read_state_dict(tmp_path / name), state)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_training_checkpoint_is_unwrapped(wrapper, state, tmp_path):
    torch.save({"epoch": 3, wrapper: state, "args": {"lr": 0.1}}, tmp_path / "a.pt")
    assert_equal_states(read_state_dict(tmp_path / "a.pt"), state)


def test_parameters_become_tensors(tmp_path):
    torch.save({"w": torch.nn.Parameter(torch.ones(3))}, tmp_path / "a.pt")
    found = read_state_dict(tmp_path / "a.pt")["w"]
    assert type(found) is torch.Tensor
    assert not found.requires_grad


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle"])
def test_a_malicious_file_is_refused_and_runs_nothing(way, tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "weights.pth"
    content = {"weight": torch.zeros(2), "more": Malicious(f"touch {victim}")}
    if way == "pickle":
        path.write_bytes(pickle.dumps(content["more"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
    message = "pickles" if way == "pickle" else r"system, which could run code.*Pickles"
    with pytest.raises(FeatureError, match=rf"{message} are not loaded"):
        read_state_dict(path)
    assert not victim.exists()
    # the control: the file is as dangerous as it is meant to be
    pickle.loads(pickle.dumps(content["more"]))
    assert victim.exists()


def test_a_pickled_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(FeatureError, match=r"Linear, which could run code"):
        read_state_dict(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_broken_files_are_told(name, state, tmp_path):
    path = tmp_path / name
    save_file(state, path) if name == "a.safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for data in (b"", b"abc", b"<html>not found</html>", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(data)
        with pytest.raises(FeatureError, match=r"cannot be read: .*get it again"):
            read_state_dict(path)


def test_what_is_no_state_dict(tmp_path):
    cases = {
        "list": ([torch.zeros(2)], "holds list; expected a state dict"),
        "nothing": ({}, "holds nothing"),
        "numbers": ({"w": torch.zeros(2), "epoch": 3}, r"there is epoch \(int\)"),
        "keys": ({1: torch.zeros(2)}, "holds no state dict"),
        "sparse": ({"w": torch.eye(2).to_sparse()}, r"there is w \(Tensor\)"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(FeatureError, match=message):
            read_state_dict(tmp_path / f"{name}.pt")
    with pytest.raises(FeatureError, match=r"There is no file .*nowhere.pt"):
        read_state_dict(tmp_path / "nowhere.pt")
    with pytest.raises(FeatureError, match=r"no file of weights; expected .safetensors"):
        read_state_dict(tmp_path / "weights.h5")


def test_an_old_torch_does_not_read_its_own_files(state, tmp_path, monkeypatch):
    torch.save(state, tmp_path / "a.pt")
    save_file(state, tmp_path / "a.safetensors")
    monkeypatch.setattr(torch, "__version__", type(torch.__version__)("2.5.1"))
    with pytest.raises(MissingExtraError, match=r"torch 2.6 or later.*CVE-2025-32434"):
        read_state_dict(tmp_path / "a.pt")
    assert_equal_states(read_state_dict(tmp_path / "a.safetensors"), state)


def test_the_hash_is_of_the_weights_and_not_of_the_file(state, tmp_path):
    save_file(state, tmp_path / "a.safetensors")
    torch.save({"state_dict": dict(reversed(state.items()))}, tmp_path / "b.pth")
    expected = weights_hash(state)
    assert len(expected) == 64
    assert weights_hash(tmp_path / "a.safetensors") == expected
    assert weights_hash(Path(tmp_path / "b.pth")) == expected


def test_every_change_of_the_weights_changes_the_hash(state):
    weight = state["conv.weight"]
    changed = weight.clone()
    changed[0, 0, 0, 0] += 1e-6
    others = [
        {**state, "conv.weight": changed},
        {**state, "conv.weight": weight.reshape(4, 9, 3)},
        {**state, "conv.weight": weight.double()},
        {**state, "another": torch.zeros(0)},
        {key: state[key] for key in list(state)[1:]},
        {key.replace("conv", "other"): value for key, value in state.items()},
    ]
    hashes = {weights_hash(other) for other in [state, *others]}
    assert len(hashes) == len(others) + 1
    # how the same values lie in memory is no change
    assert weights_hash({**state, "conv.weight": weight.mT.contiguous().mT}) == weights_hash(state)
