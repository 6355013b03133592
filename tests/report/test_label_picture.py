"""A picture of which modality tells which label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.explained_labels import ByLabel, ExplainedLabels
from bayesfuse.report.label_picture import check_picture, write_label_picture

RNG = np.random.default_rng(0)


def make(gates: bool = True) -> ExplainedLabels:
    draws = RNG.normal(size=(5, 3, 2))
    draws[:, 1] = np.nan  # of a label that no item has
    part = ByLabel.of_draws(("text", "image"), draws)
    return ExplainedLabels(
        ("Sci-Fi & <b>", "Sea", "$War$"), np.array([3, 0, 2]), part, part if gates else None
    )


@pytest.mark.parametrize("gates", [True, False])
def test_a_png_has_colours(tmp_path: Path, gates: bool) -> None:
    write_label_picture(make(gates), tmp_path / "new" / "labels.png")
    with Image.open(tmp_path / "new" / "labels.png") as image:
        assert image.width > (500 if gates else 300)
        assert len(image.convert("RGB").getcolors(10**6) or ()) > 50
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["labels.png"]


def test_an_svg_has_every_name(tmp_path: Path) -> None:
    write_label_picture(make(), tmp_path / "labels.svg")
    drawn = (tmp_path / "labels.svg").read_text()
    for name in ("text", "image", "Sci-Fi &amp; &lt;b&gt;", "$War$", "mean gate"):
        assert name in drawn


def test_other_names_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.png, \.svg, \.pdf"):
        check_picture(Path("labels.jpg"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--figure"):
        write_label_picture(make(), tmp_path / "file" / "labels.png")
