from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.findings import Findings
from bayesfuse.data.list_cells import likely_separator, read_lists


def read(cells: list[object], separator: str | None = None) -> tuple[object, Findings]:
    findings = Findings()
    lists = read_lists(
        cells, separator, what='labels column "g"', flag="labels-separator", findings=findings
    )
    return lists, findings


def test_lists_json_and_joined_text_come_to_the_same() -> None:
    expected = [["Drama", "War"], ["Drama"], [], None]
    assert read([["Drama", "War"], ["Drama"], [], None])[0] == expected
    assert read(['["Drama", "War"]', '["Drama"]', "[]", None])[0] == expected
    assert read(["Drama| War", "Drama", "", None], "|")[0] == expected
    # As pandas writes a column of lists.
    assert read(["['Drama', 'War']", "['Drama']", "[]", None])[0] == expected
    assert read([["Drama", " War ", None], ("Drama",), [""], float("nan")])[0] == expected


def test_whole_numbers_are_names_too() -> None:
    assert read([3, [1, 2]])[0] == [["3"], ["1", "2"]]


@given(st.lists(st.lists(st.text(min_size=1).filter(lambda s: s.strip() == s)), max_size=5))
def test_any_names_survive_json(lists: list[list[str]]) -> None:
    assert read([json.dumps(names) for names in lists])[0] == lists


@pytest.mark.parametrize("separator", [",", "|", ";"])
def test_joined_names_are_not_taken_for_one_name(separator: str) -> None:
    _, findings = read([f"Drama{separator} Comedy", f"War{separator}Drama", "War"])
    (problem,) = findings.problems
    assert f"--labels-separator '{separator}'" in problem
    assert f'labels_separator = "{separator}"' in problem
    assert "Comedy" in problem


def test_a_few_joined_cells_among_many_are_seen_as_well() -> None:
    cells = ["Drama", "Comedy", "Drama", "War", "Comedy", "Drama, Comedy", "War, Drama", "Drama"]
    assert likely_separator(cells) == ","
    # One name with a comma in it is one name.
    assert likely_separator(["Drama", "Children, family", "Drama", "Drama"]) is None


def test_a_separator_given_is_believed() -> None:
    lists, findings = read(["Sword, sorcery", "Bed, breakfast"], "")
    assert lists == [["Sword, sorcery"], ["Bed, breakfast"]]
    assert not findings.problems


def test_a_separator_with_nothing_to_split_is_mentioned() -> None:
    _, findings = read([["Drama"], None], ",")
    assert "nothing to split" in findings.warnings[0]


@pytest.mark.parametrize(
    "cell", [1.5, True, {"a": 1}, [["a"]], "[1.5]", b"x", "['a' 'b']", '["a"\n"b"]']
)
def test_what_is_no_name_is_refused(cell: object) -> None:
    lists, findings = read([["Drama"], cell])
    assert lists == [[], []]
    assert "row 1 (counted from 0)" in findings.problems[0]


def test_text_that_only_looks_like_json_is_text() -> None:
    assert read(["[sic]"])[0] == [["[sic]"]]
