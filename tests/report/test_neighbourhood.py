from __future__ import annotations

import itertools

import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbourhood import ego
from bayesfuse.report.neighbourhood import HEIGHT, LINES, WIDTH, Drawing, arrange

PEOPLE = {
    "director": [["Zoë A"], ["zoe a"], ["Zoë A", "Bo"], ["bo"], []],
    "art_director": [["Cy"], ["Cy"], [], [], ["Dee"]],
}
IDS = ["tt0", "tt1", "tt2", "tt3", "tt4"]
TITLES = ["The centre", "Both", "One", "", "Nobody"]


def draw(node: int = 0, hops: int = 2, titles: list[str] | None = TITLES) -> Drawing:
    return arrange(ego(EntityGraph.from_people(PEOPLE), node, hops=hops), IDS, titles)


def test_every_node_has_its_name_and_who_joins_it() -> None:
    drawing = draw()
    found = {node.id: (node.title, node.hop, node.joined) for node in drawing.nodes}
    assert found == {
        "tt0": ("The centre", 0, ()),
        "tt1": ("Both", 1, ("director Zoë A; art director Cy",)),
        "tt2": ("One", 1, ("director Zoë A",)),
        "tt3": ("tt3", 2, ("director Bo (with One)",)),
    }


def test_a_line_says_by_which_relation() -> None:
    drawing = draw()
    assert drawing.legend == (("director", 0), ("several", len(LINES) - 1))
    both = next(edge for edge in drawing.edges if ";" in edge.words)
    assert both.line == len(LINES) - 1
    assert both.width > min(edge.width for edge in drawing.edges)


def test_the_seventh_relation_is_another() -> None:
    people = {
        f"r{i}": [["A"] if i in (1, 7) else [], ["A"] if i == 1 else [], ["A"] if i == 7 else []]
        for i in range(8)
    }
    drawing = arrange(ego(EntityGraph.from_people(people), 0), IDS[:3], None)
    assert drawing.legend == (("r1", 1), ("several, or another", 6))


def test_the_caption_counts() -> None:
    assert draw(hops=1).caption == "The centre and 2 of those it shares a name with."
    assert draw().caption.endswith("and 1 of those that these share one with.")
    assert draw(4).caption == "Nobody is joined to no other item."
    small = ego(EntityGraph.from_people(PEOPLE), 0, max_nodes=2)
    assert "1 more within reach are not shown" in arrange(small, IDS, TITLES).caption


def test_all_is_inside_and_no_title_covers_another() -> None:
    people = {"director": [[f"p{i % 5}", f"q{i % 7}"] for i in range(40)]}
    titles = [f"A title of some length, number {i}" for i in range(40)]
    around = ego(EntityGraph.from_people(people), 0, hops=2)
    drawing = arrange(around, [str(i) for i in range(40)], titles)
    assert len(drawing.nodes) == 40
    for one, two in itertools.combinations(drawing.nodes, 2):
        assert abs(one.x - two.x) > 100 or abs(one.y - two.y) > 30
    for node in drawing.nodes:
        assert 0 < node.x < WIDTH
        assert 0 < node.y < HEIGHT
        assert len(node.short) <= 22
    assert draw() == draw()


def test_more_than_five_are_counted() -> None:
    people = {"director": [[str(i) for i in range(8)], *([str(i), "x"] for i in range(8)), ["x"]]}
    around = ego(EntityGraph.from_people(people), 0, hops=2)
    drawing = arrange(around, [str(i) for i in range(10)], None)
    last = next(node for node in drawing.nodes if node.id == "9")
    assert last.joined[-1] == "and 3 more"
    assert len(last.joined) == 6


def test_names_of_one_line_that_can_be_written() -> None:
    people = {"director": [["A\u0000\n B \ud800"], ["a\u0000 b\ud800"]]}
    drawing = arrange(ego(EntityGraph.from_people(people), 0), ["a", "b"], ["x\ud800\ty", "z"])
    texts = [drawing.nodes[0].title, drawing.edges[0].words]
    for text in texts:
        text.encode()
        assert text.isprintable()


def test_given_pairs_have_no_names_to_say() -> None:
    import numpy as np

    graph = EntityGraph.from_pairs(2, np.array([0, 1]), np.array([1, 0]))
    assert arrange(ego(graph, 0), ["a", "b"], None).edges[0].words == "edge"


def test_ids_of_other_items_are_refused() -> None:
    with pytest.raises(ConfigError, match="item 3, but there are 2 ids"):
        arrange(ego(EntityGraph.from_people(PEOPLE), 2), IDS[:2], None)
    with pytest.raises(ConfigError, match="and 1 titles"):
        arrange(ego(EntityGraph.from_people(PEOPLE), 2), IDS, TITLES[:1])
