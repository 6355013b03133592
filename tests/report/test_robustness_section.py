from __future__ import annotations

from bayesfuse.estimator.robustness import MovedScores, Robustness
from bayesfuse.report.robustness_section import HEADER, robustness_rows, robustness_sketch, told
from bayesfuse.report.svg import PAGE, canvas

FOUND = Robustness(
    (
        MovedScores(0.0, 0.2, 0.6, 0.2, 0.6),
        MovedScores(0.1, 0.25, 0.5, 0.21, 0.59),
        MovedScores(0.2, 0.4, 0.35, 0.22, 0.58),
    )
)


def test_rows_hold_every_score() -> None:
    rows = robustness_rows(FOUND)
    assert all(len(row) == len(HEADER) for row in rows)
    assert told(FOUND)["rows"] == rows
    assert told(None) == {}
    assert rows[2] == ["0.2", "0.400", "0.350", "0.220", "0.580"]


def test_the_curve_is_drawn_against_the_model_and_at_random() -> None:
    sketch = robustness_sketch(FOUND)
    with canvas(3, 2) as figure:
        sketch.draw(figure, PAGE)
        at_random, against = figure.axes[0].lines
        assert against.get_xdata().tolist() == [0, 0.1, 0.2]
        assert against.get_ydata().tolist() == [0.6, 0.5, 0.35]
        assert at_random.get_ydata().tolist() == [0.6, 0.59, 0.58]
        assert at_random.get_linestyle() == "--"
    assert "0.350 at 0.2" in sketch.alt
    assert "At random it is 0.580 at 0.2." in sketch.alt
    assert sketch.picture().svg
