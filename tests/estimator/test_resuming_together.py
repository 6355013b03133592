"""Two processes that are stopped go on to the numbers of two that never were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.config import FitConfig
from bayesfuse.estimator.resuming import fit_with_checkpoints
from bayesfuse.inference.history import Epoch
from tests.inference.several import in_processes


class StoppedError(Exception):
    """Somebody stops the processes."""


def write(place: Path) -> Path:
    path = place / "films.csv"
    words = ["ship", "storm", "night", "love", "train", "snow"]
    texts = [f"{words[i % 6]} and {words[i * 5 % 4]} {words[i // 20]}" for i in range(90)]
    lines = [f"{i},{text},{'sea' if i % 6 < 2 else 'land'}" for i, text in enumerate(texts)]
    path.write_text("\n".join(["id,plot,labels", *lines]) + "\n")
    return path


def fits(place: Path, source: Path) -> Any:
    """Return tensors and history of a fit that ran through, and of one that went on."""
    given = {
        "id": "id", "text": "plot", "labels": "labels", "labels_separator": "|", "device": "cpu",
        "text_encoder": "tfidf", "epochs": 5, "annealing_epochs": 2, "batch_size": 30, "draws": 4,
        "hidden": 8, "classifier_hidden": 8, "val_draws": 4, "members": 2, "modality_dropout": 0.1,
    }  # fmt: skip
    config = FitConfig.resolve(given)
    whole = fit_with_checkpoints(str(source), place / "whole", config)
    seen: list[int] = []

    def stop(epoch: Epoch) -> None:
        seen.append(epoch.epoch)
        if len(seen) == 8:  # in the second member
            raise StoppedError

    with pytest.raises(StoppedError):
        fit_with_checkpoints(str(source), place / "stopped", config, on_epoch=stop)
    # torchrun gives the same command again, and tells that it does
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
        done = fit_with_checkpoints(str(source), place / "stopped", config)
    return [
        ({k: v.detach().clone() for k, v in fit.classifier.model_.tensors().items()}, _history(fit))
        for fit in (whole, done)
    ]


def _history(fit: Any) -> list[Any]:
    epochs = [epoch for result in fit.classifier.results_ for epoch in result.history]
    return [epoch._replace(seconds=0.0) for epoch in epochs]


@pytest.mark.slow
def test_two_processes_go_on_bit_for_bit(tmp_path: Path) -> None:
    found = in_processes(fits, tmp_path, tmp_path, write(tmp_path))
    for whole, went_on in found:
        assert list(whole[0]) == list(went_on[0])
        for name, value in whole[0].items():
            np.testing.assert_array_equal(value, went_on[0][name])
        assert len(went_on[1]) == 10
        np.testing.assert_array_equal(np.array(whole[1]), np.array(went_on[1]))
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["stopped", "whole"]
