"""The single files of a run folder: what is written is read, and what is broken is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bayesfuse.errors import RunFolderError
from bayesfuse.estimator.files import (
    FORMAT,
    read_history,
    read_json,
    read_results,
    read_tensors,
    write_history,
    write_json,
    write_results,
)
from bayesfuse.inference.history import Epoch, SVIResult


def test_json_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"β": [1, 0.1, None], "name": "Sci-Fi"})
    assert read_json(file) == {"β": [1, 0.1, None], "name": "Sci-Fi"}


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": math.nan})


@pytest.mark.parametrize(("text", "said"), [("{", "truncated or was edited"), ("[]", "a list")])
def test_json_that_is_broken(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(RunFolderError, match=said):
        read_json(file)


def test_history_comes_back_with_what_was_not_measured(tmp_path: Path) -> None:
    rows = (
        Epoch(0, 1.5, 0.1, 0.2, -1.6, math.nan, math.nan, 3.0),
        Epoch(1, 1.25, 0.1 + 0.2, 1.0, -1.5, 0.25, 0.5, 2.0),
    )
    write_history(rows, tmp_path / "history.csv")
    first, second = read_history(tmp_path / "history.csv")
    assert second == rows[1]
    assert first[:5] == rows[0][:5]
    assert math.isnan(first.val_nll)


def test_macro_f1_is_a_column_only_if_it_was_measured(tmp_path: Path) -> None:
    row = Epoch(0, 1.5, 0.1, 0.2, -1.6, 0.25, 0.5, 3.0)
    file = tmp_path / "history.csv"
    write_history((row,), file)
    assert file.read_text().splitlines()[0].endswith(",val_macro_ap,seconds")
    measured = (row, row._replace(val_macro_f1=0.75))
    write_history(measured, file)
    assert file.read_text().splitlines()[0].endswith(",seconds,val_macro_f1")
    first, second = read_history(file)
    assert second == measured[1]
    assert math.isnan(first.val_macro_f1)


def test_results_of_members_come_back_and_those_of_runs_with_one(tmp_path: Path) -> None:
    row = Epoch(0, 1.5, 0.1, 0.2, -1.6, 0.25, 0.5, 3.0)
    results = (
        SVIResult((row, row._replace(epoch=1)), 1, "early", True),
        SVIResult((row._replace(nll=2.0),), 0, "interrupted", False),
    )
    told = write_results(results, tmp_path)
    assert read_results(tmp_path, {"members": told}) == results
    assert read_results(tmp_path, told[0]) == results[:1]  # as earlier versions wrote it
    with pytest.raises(ValueError, match=r"history-2\.csv has 1 epochs, and epoch 1 is said"):
        read_results(tmp_path, {"members": [told[0], {**told[1], "best_epoch": 1}]})


def test_history_with_other_columns(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1\n")
    with pytest.raises(ValueError, match="has the columns"):
        read_history(tmp_path / "history.csv")


def test_tensors_come_back_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"w": torch.arange(6.0)}, file, {FORMAT: '{"widths": {}}'})
    tensors, about = read_tensors(file)
    assert tensors["w"].tolist() == [0, 1, 2, 3, 4, 5]
    assert about == {"widths": {}}
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(RunFolderError, match="truncated or no safetensors file"):
        read_tensors(file)


def test_tensors_of_another_format(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(1)}, file, {"else": "1"})
    with pytest.raises(RunFolderError, match=r"has no format of a run \(else\)"):
        read_tensors(file)
