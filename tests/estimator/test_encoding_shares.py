from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.catalogues import Running, run_encoders
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.encoding_shares import apply_by_share, encode_by_share
from bayesfuse.inference import distributed
from bayesfuse.inference.distributed import Processes
from tests.inference.several import in_processes


def read(folder: Path) -> Catalog:
    """Return a catalogue of texts, some of them twice and one missing."""
    path = folder / "films.csv"
    words = ["ship", "storm", "night", "love", "train", "snow"]
    texts = [f"{words[i % 6]} and {words[i * 5 % 4]} {words[i // 9]}" for i in range(45)]
    lines = [f"{i},{'' if i == 7 else text},sea" for i, text in enumerate(texts)]
    path.write_text("\n".join(["id,plot,labels", *lines]) + "\n")
    return Catalog.read(path, id="id", text="plot", labels="labels", labels_separator="|")


def encoded(place: Path, folder: Path | None, costly: bool) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TfidfEncoder, "costly", costly)
        running = Running(folder=folder, light_too=costly)
        done = encode_by_share(read(place), {"text": "tfidf"}, running=running)
        run = done.runs.get("text")
        again = apply_by_share(read(place), done.encoders, running=running)
    values, observed = done.catalog.features.batch(slice(None))
    return (
        values["text"],
        observed,
        None if run is None else (run.num_new, run.num_known),
        again.features.batch(slice(None))[0]["text"],
    )


def both(place: Path) -> Any:
    return encoded(place, place / "encoded", True), encoded(place, None, False)


@pytest.mark.slow
def test_two_processes_share_the_cells_and_have_all_features(tmp_path: Path) -> None:
    read(tmp_path)
    found = in_processes(both, tmp_path, tmp_path)
    catalog = read(tmp_path)
    alone = run_encoders(catalog, {"text": "tfidf"}, running=Running())
    (expected,) = alone.catalog.features.batch(slice(None))[0].values()
    for rank in range(2):
        for values, observed, _, again in found[rank]:
            np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(again, expected)
            np.testing.assert_array_equal(observed, alone.catalog.features.observed)
    new, known = found[0][0][2]
    assert new + known == 44
    assert new >= len(set(catalog.raw["text"].cells) - {None}) > 9
    # each process has added parts of its own
    assert len(list(tmp_path.glob("encoded/cache/*/part-*.npy"))) >= 2


def test_costly_encoders_need_a_place_to_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = read(tmp_path)
    fitted = run_encoders(catalog, {"text": "tfidf"}, running=Running()).encoders
    monkeypatch.setattr(TfidfEncoder, "costly", True)
    monkeypatch.setattr(distributed, "_now", Processes(0, 2))
    with pytest.raises(ConfigError, match=r"2 processes share .* --encoded"):
        apply_by_share(catalog, fitted, running=Running())
