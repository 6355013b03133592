from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayesfuse.config import GraphCommandConfig
from bayesfuse.errors import CatalogError, ConfigError
from bayesfuse.estimator.graph_summary import summarise_graph

ROWS = {
    "id": ["a", "b", "c", "d", "e"],
    "title": ["Jaws", "Duel", "Alien", "Ran", ""],
    "director": [["S. S."], ["s s"], ["R S"], ["A K"], ["A K"]],
    "writer": [["P B"], [], [], ["A K"], []],
    "genres": [["X", "Y"], ["X"], ["Y"], ["X"], ["Z"]],
    "part": ["train", "train", "train", "val", "test"],
}
FLAGS: dict[str, Any] = {"id": "id", "title": "title", "labels": "genres", "split": "part"}
PEOPLE = {**FLAGS, "people": "director,writer"}


@pytest.fixture
def films(tmp_path: Path) -> Path:
    pd.DataFrame(ROWS).to_parquet(tmp_path / "films.parquet")
    return tmp_path / "films.parquet"


def config(**given: Any) -> GraphCommandConfig:
    return GraphCommandConfig.parse(given)


def test_items_are_joined_and_counted_without_any_modality(films: Path) -> None:
    found = summarise_graph(str(films), config(**PEOPLE))
    assert [(row.name, row.edges) for row in found.statistics.rows] == [
        ("director", 2),
        ("writer", 0),
        ("union", 2),
    ]
    assert found.homophily is not None
    assert found.homophily.num_items == 3
    assert found.homophily.relations[-1].jaccard == 0.5  # {X, Y} and {X}
    assert (found.around, found.warnings) == (None, ())


def test_a_folder_needs_none_of_its_features(films: Path) -> None:
    (films.parent / "catalog.toml").write_text(
        'table = "films.parquet"\nid = "id"\nlabels = "genres"\nsplit = "part"\n'
        '[modalities.text]\nfeatures = "absent.npz:text"\n[graph]\npeople = ["director"]\n'
    )
    assert summarise_graph(str(films.parent), config()).graph.num_edges == 2


def test_labels_of_val_and_test_change_nothing(films: Path) -> None:
    before = summarise_graph(str(films), config(**PEOPLE))
    planted = {**ROWS, "genres": [*ROWS["genres"][:3], ["Planted", "Y"], []]}
    pd.DataFrame(planted).to_parquet(films)
    after = summarise_graph(str(films), config(**PEOPLE))
    assert before.to_dict() == after.to_dict()
    assert str(before) == str(after)
    assert "Planted" not in str(after)
    # while those of train do
    pd.DataFrame({**ROWS, "genres": [["Y"], *ROWS["genres"][1:]]}).to_parquet(films)
    assert summarise_graph(str(films), config(**PEOPLE)).to_dict() != before.to_dict()


def test_without_labels_of_train_homophily_is_left_out_and_it_says_so(films: Path) -> None:
    found = summarise_graph(str(films), config(id="id", people="director"))
    assert found.homophily is None
    assert "no item of train has known labels" in found.warnings[-1]
    assert "labels of neighbours" not in str(found)
    assert found.to_dict()["homophily"] is None


def test_what_is_cut_is_all_in_the_json(films: Path) -> None:
    pd.DataFrame({**ROWS, "director": [["A"], ["A"], ["A"], ["B"], ["B"]]}).to_parquet(films)
    found = summarise_graph(str(films), config(**PEOPLE, max_group=2, self_loops="all"))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["cut"] == [{"relation": "director", "name": "A", "size": 3}]
    assert plain["num_edges"] == 1
    assert (plain["self_loops"], plain["num_self_loops"]) == ("all", 5)
    assert plain["warnings"] == [
        '1 name is in more than 2 items (max_group) and joins none of them: director "A" (3 items).'
    ]


def test_a_neighbourhood_is_found_by_title_and_told_by_id(films: Path) -> None:
    around = summarise_graph(str(films), config(**PEOPLE, around="RAN")).to_dict()["around"]
    assert around == {
        "id": "d",
        "title": "Ran",
        "nodes": [{"id": "d", "title": "Ran", "hop": 0}, {"id": "e", "title": "", "hop": 1}],
        "edges": [
            {"first": "d", "second": "e", "shared": [{"relation": "director", "name": "A K"}]}
        ],
        "num_left_out": 0,
    }


def test_an_unknown_title_is_answered_with_the_nearest(films: Path) -> None:
    with pytest.raises(ConfigError, match=r'"Jawz".* Did you mean "Jaws"'):
        summarise_graph(str(films), config(**PEOPLE, around="Jawz"))


def test_given_pairs_take_the_place_of_people(films: Path) -> None:
    pairs = {"one": ["a", "c"], "other": ["c", "d"], "w": [0.5, 2.0], "why": ["sequel", "cast"]}
    pd.DataFrame(pairs).to_csv(films.parent / "pairs.csv", index=False)
    given = {"edges": str(films.parent / "pairs.csv"), "edge_source": "one"}
    given |= {"edge_target": "other", "edge_weight": "w", "edge_relation": "why"}
    found = summarise_graph(str(films), config(**PEOPLE, **given, around="c"))
    plain = found.to_dict()
    assert [row["name"] for row in plain["relations"]] == ["sequel", "cast", "union"]
    assert plain["weights"] == {"min": 0.5, "mean": 1.25, "max": 2.0}
    assert "weights from 0.5 to 2, mean 1.25" in str(found)
    shared = [edge["shared"] for edge in plain["around"]["edges"]]
    assert shared == [[{"relation": "sequel", "name": None}], [{"relation": "cast", "name": None}]]


def test_a_catalogue_without_people_says_what_to_do(films: Path) -> None:
    with pytest.raises(CatalogError, match=r"no people.*--people.*\[graph\].*--edges FILE"):
        summarise_graph(str(films), config(**FLAGS))


def test_permutations_give_the_spread_and_the_seed_decides(films: Path) -> None:
    def spread(**given: int) -> float | None:
        known = summarise_graph(str(films), config(**PEOPLE, **given)).homophily
        assert known is not None
        return known.relations[-1].spread

    assert spread(permutations=0) is None
    assert spread(permutations=5, seed=1) == spread(permutations=5, seed=1)
    assert spread(permutations=5, seed=1) != spread(permutations=5, seed=2)
