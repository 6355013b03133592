"""`bayesfuse report`: what it is told to show besides, and in which form."""

from __future__ import annotations

import shutil
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


def test_markdown_goes_where_it_is_asked_for(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    shutil.copytree(fitted, "run")
    done = bayesfuse("report", "run", "--format", "md")
    assert (done.code, done.out, done.err) == (0, "Open run/report.md\n", "")
    assert not Path("run/report.html").exists()
    shown = bayesfuse("report", "run", "--out", "-")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == Path("run/report.md").read_text()
    assert shown.out.startswith("# films.csv: tags with honest probabilities\n")
    assert "The 10 most uncertain items" in shown.out
    assert bayesfuse("report", "run", "--items", "3", "-o", "pr.md").out == "Open pr.md\n"
    assert "The 3 most uncertain items" in Path("pr.md").read_text()
    again = bayesfuse("report", "run", "-o", "pr.md")
    assert (again.code, again.out) == (2, "")
    assert not Path("-").exists()


def test_what_cannot_be_written_is_refused(fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("report", fitted, "--format", "pdf")
    assert (done.code, done.out) == (2, "")
    assert 'In --format: Unknown format "pdf"; expected one of html, md.' in done.err
    done = bayesfuse("report", fitted, "--format", "html", "--out", "-")
    assert (done.code, done.out) == (2, "")
    assert "--out - is for --format md" in done.err
