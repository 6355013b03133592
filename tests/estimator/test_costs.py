"""Costs by label from a file, and every mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.costs import read_costs

NAMES = ("Drama", "Horror", "Sci-Fi")
HEAD = "label,false_positive,false_negative\n"


def write(folder: Path, text: str, name: str = "costs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("costs.csv", HEAD + "Horror,1,5\n*,2,3\n"),
        ("costs.csv", "\ufefffalse_negative,label,false_positive\n5,Horror,1\n3,*,2.0\n"),
        (
            "costs.toml",
            '["*"]\nfalse_positive = 2\nfalse_negative = 3\n'
            "[Horror]\nfalse_positive = 1\nfalse_negative = 5.0\n",
        ),
    ],
)
def test_costs_are_in_the_order_of_the_labels(tmp_path: Path, name: str, text: str) -> None:
    wrong, missed = read_costs(write(tmp_path, text, name), NAMES)
    assert (wrong.tolist(), missed.tolist()) == ([2, 1, 2], [3, 5, 3])


def test_flags_are_for_the_others(tmp_path: Path) -> None:
    wrong, missed = read_costs(write(tmp_path, HEAD + "Horror,0,5\n"), NAMES, (7.0, 8.0))
    assert (wrong.tolist(), missed.tolist()) == ([7, 0, 7], [8, 5, 8])


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = HEAD + "Horor,1,5\nDrama,-1,5\nDrama,1,5\nSci-Fi,1\n"
    with pytest.raises(ConfigError) as caught:
        read_costs(write(tmp_path, text), NAMES)
    for said in (
        'the run knows no label "Horor". Did you mean "Horror"?',
        '"Drama" has false_positive: -1, false_negative: 5; expected',
        '"Drama" comes twice.',
        '"Sci-Fi" has false_positive: 1, false_negative: None; expected',
        'Horror left out; name it, or "*" for all others',
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("costs.csv", "label,cost\nHorror,1\n", "have the columns label, cost; expected label"),
        ("costs.csv", "", "have the columns none"),
        ("costs.toml", "[Horror\n", "Cannot read the costs"),
        ("costs.toml", "Horror = 5\n", '"Horror" has : 5; expected'),
        ("costs.toml", "[Horror]\nfalse_positive = true\nfalse_negative = 1\n", "expected"),
        ("costs.toml", "[Horror]\nfalse_positive = 1\nfalse_positives = 1\n", "expected"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_costs(write(tmp_path, text, name), NAMES)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_costs(tmp_path / "costs.csv", NAMES)
