from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from bayesfuse.report import KnownTruth, ReliabilityCurve, ReportData, figures
from bayesfuse.report.data import LabelRow
from bayesfuse.report.svg import Picture


def text(picture: Picture) -> str:
    return "\n".join(ElementTree.fromstring(picture.svg).itertext())


def test_one_curve_a_column_with_its_numbers_in_words(report_data: ReportData) -> None:
    pictures = figures.training_curves(report_data.history, report_data.best_epoch)
    assert [picture.name for picture in pictures] == [
        *("curve-nll", "curve-kl", "curve-beta", "curve-val_nll", "curve-val_macro_ap")
    ]
    beta = pictures[2]
    assert "0.28 at epoch 1, 1 at epoch 24" in beta.alt
    assert "epoch 19 was kept" in beta.alt
    assert "epoch" in text(beta)


def test_the_kept_epoch_is_drawn(report_data: ReportData) -> None:
    without, with_line = (
        figures.training_curves(report_data.history, epoch)[0].svg for epoch in (None, 19)
    )
    assert "var(--second)" in with_line
    assert "var(--second)" not in without


def test_nan_epochs_are_left_out_and_empty_columns_too() -> None:
    history = [
        {"epoch": 1, "nll": 2.0, "val_nll": math.nan, "kl": math.nan},
        {"epoch": 2, "nll": 1.0, "val_nll": 0.5, "kl": math.nan},
    ]
    pictures = figures.training_curves(history)
    assert [picture.name for picture in pictures] == ["curve-nll", "curve-val_nll"]
    assert "0.5 at epoch 2, 0.5 at epoch 2" in pictures[1].alt
    assert figures.training_curves([]) == []


def test_the_reliability_alt_names_the_worst_bin() -> None:
    curve = ReliabilityCurve("all labels", [0.1, 0.5, 0.9], [0.1, 0.8, 0.85], [50, 10, 5])
    picture = figures.reliability_diagram(curve)
    assert "predicted 0.50, observed 0.80" in picture.alt
    assert "observed frequency" in text(picture)


def test_an_empty_curve_is_drawn_and_said() -> None:
    assert "nothing to show" in figures.reliability_diagram(ReliabilityCurve("x", [], [], [])).alt


def test_one_panel_a_label(report_data: ReportData) -> None:
    curves = [*report_data.label_reliability[:2], ReliabilityCurve("Rare", [0.1], [0.0], [4])]
    pictures = figures.reliability_by_label(curves)
    assert [picture.caption for picture in pictures] == [
        *("Drama\nECE 0.008", "Comedy\nECE 0.008", "Rare")
    ]
    assert len({picture.name for picture in pictures}) == 3


def test_thousands_of_dots_stay_small() -> None:
    values = [index / 20_000 for index in range(20_000)]
    picture = figures.known_truth(KnownTruth(values, values))
    assert "20000 pairs" in picture.alt
    assert "data:image/png;base64," in picture.svg
    assert len(picture.svg) < 150_000


def test_bars_name_the_best_and_the_worst() -> None:
    def row(name: str, precision: float) -> LabelRow:
        return LabelRow(name, 5, 0.1, precision, 0.5, 0.5, 0.1, 0.01)

    rows = [row("Drama", 0.8), row("War", 0.2), row("An endless name of a label", math.nan)]
    picture = figures.average_precision_by_label(rows)
    assert "Lowest: War with 0.20. Highest: Drama with 0.80." in picture.alt
    assert "An endless name of a …" in text(picture)
    assert figures.average_precision_by_label(rows[2:]).alt.endswith("base rates.")


def test_more_labels_make_a_taller_figure() -> None:
    def height(count: int) -> float:
        rows = [LabelRow(str(index), 5, 0.1, 0.3, 0.5, 0.5, 0.1, 0.01) for index in range(count)]
        box = re.search(r'viewBox="0 0 \S+ (\S+)"', figures.average_precision_by_label(rows).svg)
        assert box is not None
        return float(box.group(1))

    assert height(40) > 1.8 * height(15)


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [0.1, 0.2, 0.6]])
def test_the_histogram_takes_any_shares(shares: list[float]) -> None:
    picture = figures.epistemic_shares(shares)
    assert f"of {len(shares)} items" in picture.alt
    assert ("Median 20%" in picture.alt) == (len(shares) == 3)
