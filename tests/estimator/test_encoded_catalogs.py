"""A catalogue comes with features, whatever it came with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.encoded_catalogs import read_encoded


def test_raw_columns_are_encoded_once(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [f"f{n}" for n in range(40)], "year": range(1960, 2000)})
    frame["genre"] = ["Drama" if n % 3 else "War" for n in range(40)]
    frame["split"] = ["train", "val"] * 20
    frame.to_csv(tmp_path / "films.csv", index=False)
    flags = {"id": "id", "tabular": "year", "labels": "genre", "labels_separator": ""}
    config = FitConfig.resolve({**flags, "split": "split"})
    seen: list[int] = []
    source = str(tmp_path / "films.csv")
    first = read_encoded(source, config, on_encoding=lambda progress: seen.append(progress.new))
    assert first.features.names == ("tabular",)
    again = read_encoded(source, config)
    rows = range(40)
    one, other = (each.features.batch(list(rows))[0]["tabular"] for each in (first, again))
    assert (one == other).all()


def test_a_modality_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("id,year,genre,part\na,1,War,train\nb,2,War,val\n")
    flags = {
        "id": "id",
        "tabular": "year",
        "labels": "genre",
        "modalities": "sound",
        "split": "part",
    }
    with pytest.raises(ConfigError, match='Unknown modality "sound"'):
        read_encoded(str(tmp_path / "films.csv"), FitConfig.resolve(flags))
