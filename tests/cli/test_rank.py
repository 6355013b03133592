"""`bayesfuse rank`: what it prints and writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from tests.cli.conftest import NUM_ITEMS, Ran

Bayesfuse = Callable[..., Ran]


def test_a_table_to_read(fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("rank", fitted, "--label", "Horror", "--limit", "4", "--level", "0.8")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == (f"Horror, by posterior mean: {NUM_ITEMS} items (all), 4 posterior draws")
    assert lines[2].split("  ")[-1] == "top 20"
    assert lines[2].count("80 % of it") == 2
    rows = [re.split(r"  +", line.strip()) for line in lines[3:7]]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    means = [float(row[2]) for row in rows]
    assert means == sorted(means, reverse=True)
    for row in rows:
        low, high = map(float, row[3].split(" to "))
        assert low <= float(row[2]) <= high
        first, last = map(int, row[5].split(" to "))
        assert first <= float(row[4]) <= last
    assert "cannot be told apart" in done.out
    assert "person" not in done.out


def test_a_file_and_one_document(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    wishes = ["--label", "Horror=2", "--label", "NOT Comedy"]
    flags = ["--by", "lower", "--abstain", "0.1", "--most-informative", "3", "--limit", "2"]
    args = ["rank", fitted, "new.csv", *wishes, *flags, "--json"]
    done = bayesfuse(*args, "-o", "r.parquet")
    assert done.code == 0, done.err
    told = done.json
    assert told["criterion"] == "2 Horror + 1 NOT Comedy"
    assert (told["draws"], told["seed"], told["by"]) == (4, 0, "lower")
    table = pq.read_table("r.parquet").to_pandas()
    assert len(table) == NUM_ITEMS
    assert (table["lower"].diff().dropna() <= 0).all()
    assert told["items"][1]["id"] == table["id"][1]
    assert len(told["items"]) == 2
    assert set(told["to_person"]) == set(table["id"][table["to_person"]])
    assert len(told["to_person"]) == 9
    asked = table.dropna(subset="label_next").sort_values("label_next")["id"].tolist()
    assert told["label_next"]["ids"] == asked
    assert told["label_next"]["among"] == NUM_ITEMS  # new.csv has no labels at all
    kept = json.loads(pq.read_schema("r.parquet").metadata[b"bayesfuse"])
    assert (kept["criterion"], kept["by"], kept["draws"]) == (told["criterion"], "lower", 4)
    again = bayesfuse(*args, "-o", "r.parquet")
    assert (again.code, again.out) == (2, "")


def test_the_score_is_that_of_predict(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    assert bayesfuse("predict", fitted, "-o", "p.parquet").code == 0
    done = bayesfuse("rank", fitted, "--label", "Drama", "-o", "r.csv")
    assert done.out.endswith(f"{NUM_ITEMS} rows: r.csv\n")
    tags = pd.read_parquet("p.parquet").query("label == 'Drama'").set_index("id")
    ranked = pd.read_csv("r.csv").set_index("id")
    both = ranked.join(tags.add_suffix("_of_predict"))
    for ours, theirs in (
        ("mean", "mean_of_predict"),
        ("lower", "q05_of_predict"),
        ("upper", "q95_of_predict"),
    ):
        assert (both[ours] - both[theirs]).abs().max() < 1e-5


def test_marks_and_lists_below(fitted: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["--by", "thompson", "--abstain", "0.5", "--most-informative", "25"]
    done = bayesfuse("rank", fitted, "--label", "Horror=2", *flags)
    assert done.code == 0
    assert done.err == "Warning: --label Horror=2: a weight has no effect on one label alone.\n"
    head = done.out.splitlines()[2]
    assert head.rstrip().endswith("draw")
    assert "to a person" in done.out
    assert "45 to hand to a person, the most uncertain first:" in done.out
    assert "25 of 90 to label next, the most informative first:" in done.out
    assert ", and 5 more" in done.out


def test_a_label_that_is_not_there(fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("rank", fitted, "--label", "NOT Horor")
    assert (done.code, done.out) == (2, "")
    assert 'Unknown label "Horor"' in done.err
    assert 'Did you mean "Horror"?' in done.err
