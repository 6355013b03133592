from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.statistics import degree_histogram, degree_strata, describe_graph

People = dict[str, list[list[str]]]
PairsOf = Callable[..., dict[tuple[int, int], set[str]]]

SMALL = {"director": [["A"], ["a"], [], ["B"]], "writer": [["C"], [], [], ["c", "D"]]}


def test_it_prints_a_table() -> None:
    assert (
        str(describe_graph(EntityGraph.from_people(SMALL)))
        == """\
4 nodes, 2 edges, self-loops: 1 (isolated)

relation  items with  names  edges  mean degree  median  max  isolated  share
director           3      2      1         0.50     0.5    1         2  50.0%
writer             2      2      1         0.50     0.5    1         2  50.0%
union              3      -      2         1.00       1    2         1  25.0%

neighbours  nodes  share
0               1  25.0%  ###############
1               2  50.0%  ##############################
2–3             1  25.0%  ###############"""
    )


def test_it_prints_how_many_names_were_cut() -> None:
    people = {"director": [["A"], ["A"], ["A"], ["B"], ["B"]], "writer": [["C"], [], [], [], []]}
    graph = EntityGraph.from_people(people, max_group=2, self_loops="all")
    text = str(describe_graph(graph))
    assert text.startswith("5 nodes, 1 edge, self-loops: 5 (all)\n")
    cut = [line.split()[-1] for line in text.split("\n\n")[1].splitlines()]
    assert cut == ["cut", "1", "0", "1"]


def test_a_bar_shows_all_that_is_there() -> None:
    people = {"director": [["A"], ["A"], *([[f"N{i}"] for i in range(500)])]}
    lines = str(describe_graph(EntityGraph.from_people(people))).splitlines()[-2:]
    assert [line.count("#") for line in lines] == [30, 1]


def test_it_is_plain_for_json_with_what_was_cut() -> None:
    people = {"director": [["A"], ["A"], ["A"], ["B"]]}
    plain = describe_graph(EntityGraph.from_people(people, max_group=2)).to_dict()
    plain = json.loads(json.dumps(plain, allow_nan=False))
    assert plain["rows"][0]["cut"] == plain["rows"][1]["cut"] == 1
    assert plain["rows"][1]["isolated_share"] == 1.0
    assert plain["histogram"] == [{"low": 0, "high": 0, "count": 4}]
    assert "max_group" in plain["warnings"][0]


@pytest.mark.parametrize("self_loops", ["isolated", "all", "none"])
def test_numbers_are_the_plain_programs_whatever_the_self_loops(
    make_people: Callable[..., People], pairs_of: PairsOf, self_loops: str
) -> None:
    people = make_people(90, seed=3, num_names=80)
    found = describe_graph(EntityGraph.from_people(people, self_loops=self_loops))
    pairs = pairs_of(people)
    for row in found.rows:
        own = [i for (i, _), of in pairs.items() if row.name == "union" or row.name in of]
        degrees = np.bincount(own, minlength=90)
        assert row.edges == len(own) // 2
        assert row.mean_degree == pytest.approx(degrees.mean())
        assert row.median_degree == np.median(degrees)
        assert row.max_degree == degrees.max()
        assert row.isolated == (degrees == 0).sum() > 0
        assert row.isolated_share == row.isolated / 90
    assert [row.name for row in found.rows] == [*people, "union"]
    assert sum(b.count for b in found.histogram) == 90


def test_given_pairs_have_no_names() -> None:
    graph = EntityGraph.from_pairs(3, np.array([0, 1]), np.array([1, 0]))
    rows = describe_graph(graph).rows
    assert rows[0].named is rows[0].names is None
    assert "-" in str(describe_graph(graph))


def test_no_nodes() -> None:
    found = describe_graph(EntityGraph.from_people({"director": []}))
    assert found.rows[0].isolated_share == 0.0
    assert str(found).startswith("0 nodes")


def test_bins_double_and_leave_out_nobody() -> None:
    degrees = np.array([0, 1, 1, 2, 3, 4, 7, 8, 15, 16, 1023, 1024])
    bins = degree_histogram(degrees)
    assert [b.count for b in bins] == [1, 2, 2, 2, 2, 1, 0, 0, 0, 0, 1, 1]
    for b, following in itertools.pairwise(bins):
        assert b.high + 1 == following.low
    for b in bins:
        assert b.count == ((degrees >= b.low) & (degrees <= b.high)).sum()


def test_strata_part_the_nodes() -> None:
    degrees = np.array([0, 1, 5, 6, 20, 21, 500])
    strata = degree_strata(degrees)
    assert list(strata) == ["0", "1–5", "6–20", "more than 20"]
    assert [np.flatnonzero(of).tolist() for of in strata.values()] == [[0], [1, 2], [3, 4], [5, 6]]
    assert list(degree_strata(degrees, ends=(2,))) == ["0–2", "more than 2"]


@pytest.mark.movies
def test_the_movies_table_is_the_one_of_their_readme(movies_path: Path) -> None:
    from bayesfuse.data.catalog import Catalog

    found = describe_graph(EntityGraph.from_people(Catalog.read(movies_path).people))
    rows = [
        (
            row.name,
            row.names,
            row.edges,
            f"{row.mean_degree:.2f}",
            row.median_degree,
            row.max_degree,
            f"{row.isolated_share:.1%}",
        )
        for row in found.rows
    ]
    assert rows == [
        ("director", 4993, 16_554, "3.84", 2, 70, "30.1%"),
        ("producer", 4048, 21_413, "4.97", 0, 87, "63.9%"),
        ("writer", 8178, 15_762, "3.66", 1, 57, "43.1%"),
        ("cinematographer", 930, 13_888, "3.22", 0, 98, "67.2%"),
        ("art_director", 1210, 2_728, "0.63", 0, 25, "86.8%"),
        ("union", None, 61_953, "14.38", 7, 122, "20.7%"),
    ]
