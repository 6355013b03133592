"""`bayesfuse report`: what it is told to show besides, and in which form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import CSV, ENCODE, SMALL, Ran

Bayesfuse = Callable[..., Ran]


def test_a_comparison_is_shown_if_it_is_of_the_same_items(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    flags = [*CSV, "--split", "part", *ENCODE, *SMALL, "--only", "twin", "--replicates", "20"]
    done = bayesfuse("compare", "films.csv", *flags, "-o", "compare.json")
    assert done.code == 0, done.err
    done = bayesfuse("report", fitted, "--compare", "compare.json", "-o", "page.html")
    assert (done.code, done.err) == (0, "")
    page = Path("page.html").read_text()
    assert "More than bayesian, paired over items" in page
    other = bayesfuse(
        *("report", fitted, "--compare", "compare.json", "--split", "test", "-o", "other.html")
    )
    assert (other.code, other.out) == (2, "")
    assert "is of other items" in other.err
    assert "than the test split of this report" in other.err
    assert not Path("other.html").exists()
