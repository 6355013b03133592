"""Cases are counted, listed, told and, if asked for, refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from bayesfuse.encoders.reports import (
    EMPTY,
    Case,
    count_cases,
    refuse_cases,
    tell_cases,
    write_report,
)
from bayesfuse.errors import CatalogError, FeatureError, UserError

IDS = np.array(["a", "b", "c", "d"])
BROKEN = "the file is truncated"
CASES = [
    Case(0, "unobserved", EMPTY),
    Case(1, "unobserved", BROKEN),
    Case(2, "remark", "cut"),
    Case(3, "unobserved", BROKEN),
]


def test_cases_are_counted_losses_first():
    assert count_cases(CASES) == [
        ("unobserved", BROKEN, 2),
        ("unobserved", EMPTY, 1),
        ("remark", "cut", 1),
    ]


def test_every_case_is_listed_by_id(tmp_path):
    path = write_report(tmp_path, IDS.tolist(), {"image": CASES, 'plot "x", y': CASES[:1]})
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "modality", "outcome", "reason"]
    assert rows[2] == ["b", "image", "unobserved", BROKEN]
    assert rows[-1] == ["a", 'plot "x", y', "unobserved", EMPTY]
    assert [p.name for p in tmp_path.iterdir()] == ["encode_report.csv"]
    with pytest.raises(UserError, match="Cannot write"):
        write_report(tmp_path / "none", IDS.tolist(), {})


def test_losses_and_remarks_are_told_and_empty_cells_are_not():
    lost, remark = tell_cases("image", IDS, CASES, 10)
    assert lost.startswith("image: 2 of 10 cells cannot be encoded and count as missing (2: the")
    assert "first: item b, the file is truncated" in lost
    assert remark == "image: 1 of 10 cells: cut."
    assert tell_cases("image", IDS, CASES[:1], 10) == []


def test_all_lost_is_an_error():
    with pytest.raises(FeatureError, match="image: not one of the 2 cells can be encoded"):
        tell_cases("image", IDS, CASES, 3)


def test_strict_names_every_reason_once_and_forgives_remarks():
    with pytest.raises(CatalogError) as caught:
        refuse_cases("c.csv", IDS, {"image": CASES, "text": CASES[2:3]}, None)
    assert len(caught.value.problems) == 2
    assert "image: 2 cells: the file is truncated (first: item b)." in caught.value.problems[0]
    refuse_cases("c.csv", IDS, {"image": CASES[2:3]}, None)
