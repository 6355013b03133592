from __future__ import annotations

import dataclasses
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesfuse.errors import BayesfuseError, MissingExtraError
from bayesfuse.estimator.checking import RunCheck
from bayesfuse.evaluation.checks import predictive_check
from bayesfuse.evaluation.isotonic import reliability
from bayesfuse.report.check_figures import MAX_LABELS, reliability_sketch, write_check_figures
from bayesfuse.report.svg import PAGE, canvas

NAMES = ["Drama", "War & <peace>"]
FAMILIES = ("label-rate", "labels-an-item", "label-pair", "label-sets")


@pytest.fixture(scope="module")
def check() -> RunCheck:
    rng = np.random.default_rng(0)
    p = rng.random((3, 60, 2))
    labels = rng.random((60, 2)) < p[0]
    strata = {"without text": np.arange(60) < 30}
    posterior, prior = (
        predictive_check(p, labels, NAMES, strata=strata, replicates=100, kind=kind)
        for kind in ("posterior", "prior")
    )
    found = reliability(p[0], labels, NAMES, replicates=40)
    return RunCheck("films.csv", "val", 60, 60, posterior, prior, found, None, None, ())


def test_every_figure_is_a_file_of_each_kind(check: RunCheck, tmp_path: Path) -> None:
    files = write_check_figures(check, tmp_path / "new" / "figures")
    names = {file.name for file in files}
    wanted = {f"{kind}-{family}" for kind in ("posterior", "prior") for family in FAMILIES}
    wanted |= {
        f"{kind}-{family}-without-text"
        for kind in ("posterior", "prior")
        for family in FAMILIES[:2]
    }
    wanted.add("reliability")
    assert names == {f"{name}.{ending}" for name in wanted for ending in ("svg", "png")}
    assert sorted((tmp_path / "new" / "figures").iterdir()) == sorted(files)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figures"]
    for file in files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert min(image.size) > 150
        else:
            text = file.read_text(encoding="utf-8")
            words = "".join(ElementTree.fromstring(text[text.index("<svg") :]).itertext())
            assert "War & <peace>" in words or "label-rate" not in file.name
            assert "var(--" not in text


def test_a_run_without_posterior_has_no_prior(check: RunCheck, tmp_path: Path) -> None:
    files = write_check_figures(dataclasses.replace(check, prior=None), tmp_path / "figures")
    assert not [file for file in files if file.name.startswith("prior")]


def test_what_is_there_is_left_as_it_is(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(BayesfuseError, match="--figures"):
        write_check_figures(check, tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_without_matplotlib_nothing_is_written(
    check: RunCheck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="needs matplotlib"):
        write_check_figures(check, tmp_path / "figures")
    assert list(tmp_path.iterdir()) == []


def test_reliability_draws_the_regression_and_its_band(check: RunCheck) -> None:
    labels = check.reliability.labels
    sketch = reliability_sketch(labels)
    with canvas(sketch.width, sketch.height) as figure:
        sketch.draw(figure, PAGE)
        drawn = [axes.lines[1].get_ydata() for axes in figure.axes]
        bands = [axes.collections[0].get_paths()[0].vertices for axes in figure.axes]
    for one, line, band in zip(labels, drawn, bands, strict=True):
        np.testing.assert_array_equal(line, one.observed)
        assert band[:, 1].max() == one.high.max()
        assert f"{one.name} p {one.p:.3f}" in sketch.alt


def test_of_many_labels_the_most_doubtful_are_drawn(check: RunCheck) -> None:
    first = check.reliability.labels[0]
    count = MAX_LABELS + 3
    many = [dataclasses.replace(first, name=f"n{n}", p=n / count) for n in range(count)]
    sketch = reliability_sketch(many[::-1])
    assert "n0 p 0.000" in sketch.alt
    assert f"n{MAX_LABELS} p" not in sketch.alt
