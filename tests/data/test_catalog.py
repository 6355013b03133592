from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayesfuse.data.catalog import Catalog

MOVIES = Path(__file__).resolve().parents[2].parent / "shared/data/movies"


@pytest.mark.movies
@pytest.mark.skipif(not MOVIES.exists(), reason=f"no movie catalogue at {MOVIES}")
def test_the_movie_catalogue_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Catalog.read(MOVIES)
    assert len(made) == 8619
    assert [len(made.rows(name)) for name in ("train", "val", "test")] == [5174, 855, 2590]
    assert len(made.label_names) == 21
    assert made.features.widths == {"text": 384, "image": 1280}
    assert set(made.features.dtypes.values()) == {"float16"}
    assert made.features.observed.all()
    assert len(made.labelled_rows("val")) == 855
    assert len(made.labelled_rows("test")) == 0
    assert not made.labels[made.rows("test")].any()
    assert made.labels[made.labelled].sum(axis=1).mean() == pytest.approx(2.30, abs=0.005)
    assert list(made.people) == [
        "director",
        "producer",
        "writer",
        "cinematographer",
        "art_director",
    ]
    assert made.warnings == ()
    values, observed = made.features.batch([8618, 0])
    assert values["image"].dtype == np.float32
    assert observed.all()
    # Posters are only read when they are asked for.
    assert "cells" not in vars(made.raw["image"])
    poster = made.raw["image"][0]
    assert isinstance(poster, bytes)
    assert poster.startswith(b"\xff\xd8")
