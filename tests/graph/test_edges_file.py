from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesfuse.errors import CatalogError, ConfigError
from bayesfuse.graph.edges_file import from_edges

IDS = np.array(["a1", "b2", "c3", "d4"])


def test_pairs_join_both_ways() -> None:
    graph = from_edges({"source": ["b2", "a1"], "target": ["a1", "c3"]}, IDS)
    graph.check()
    assert [graph.neighbours(i).tolist() for i in range(4)] == [[1, 2], [0], [0], [3]]
    assert graph.relation_names == ("edge",)
    assert graph.weights is None
    assert graph.warnings == ()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_file_of_any_kind(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame(
        {
            "from": ["a1", "c3", "a1"],
            "to": ["b2", "a1", "b2"],
            "kind": ["cites", "likes", "likes"],
            "strength": [0.5, 2.0, 1.25],
        }
    )
    file = tmp_path / f"edges{suffix}"
    if suffix == ".csv":
        frame.to_csv(file, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=True)
    graph = from_edges(file, IDS, source="from", target="to", relation="kind", weight="strength")
    assert graph.relation_names == ("cites", "likes")
    assert graph.relations_of(0, 1) == ("cites", "likes")
    assert graph.relations_of(0, 2) == ("likes",)
    assert graph.weights is not None
    # the weights of the relations of a pair are added; a self-loop weighs 1
    assert graph.weights.tolist() == [1.75, 2.0, 1.75, 2.0, 1.0]
    assert graph.is_symmetric


def test_whole_numbers_are_ids() -> None:
    graph = from_edges({"source": [10, 20], "target": [20, 30]}, ["10", "20", "30"])
    assert graph.num_edges == 2


def test_duplicates_are_merged_and_told() -> None:
    table = {
        "source": ["a1", "b2", "a1", "a1"],
        "target": ["b2", "a1", "b2", "c3"],
        "w": [2, "2.0", 2.0, 1],
    }
    graph = from_edges(table, IDS, weight="w")
    assert graph.num_edges == 2
    assert graph.weights is not None
    assert graph.weights.tolist() == [2, 1, 2, 1, 1]
    assert graph.warnings == ("2 of 4 pairs are given again, this or the other way round: merged.",)


def test_all_mistakes_come_together() -> None:
    table = {
        "source": ["a1", "b22", "c3", None, "a1"],
        "target": ["a1", "c3", "x", "b2", "b2"],
        "kind": ["r", "", "r", "r", "r"],
        "w": ["1", "nan", "much", "1e300", None],
    }
    with pytest.raises(CatalogError) as raised:
        from_edges(table, IDS, relation="kind", weight="w")
    message = str(raised.value)
    assert len(raised.value.problems) == 6
    assert 'source: 1 of 5 ids are none of the catalogue\'s 4 ("b22" in row 1' in message
    assert 'Did you mean "b2"?' in message
    assert "source: 1 of 5 ids are empty (rows 3, counted from 0)" in message
    assert 'target: 1 of 5 ids are none of the catalogue\'s 4 ("x" in row 2' in message
    assert "relation: 1 of 5 are empty (rows 1" in message
    assert "weight: 4 of 5 are no finite number ('nan' in row 1, 'much' in row 2" in message
    assert "1 pairs join an item to itself (rows 0" in message


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, True, "", "one", 10**400])
def test_no_weight_but_a_finite_number(weight: object) -> None:
    with pytest.raises(CatalogError, match="weight: 1 of 1 are no finite number"):
        from_edges({"source": ["a1"], "target": ["b2"], "w": [weight]}, IDS, weight="w")


def test_different_weights_of_a_pair_are_a_mistake_within_a_relation() -> None:
    table = {
        "source": ["a1", "b2", "c3", "a1"],
        "target": ["b2", "a1", "b2", "c3"],
        "kind": ["r", "r", "r", "r"],
        "w": [1.0, 2.0, 3.0, 4.0],
    }
    with pytest.raises(CatalogError, match=r"1 pairs.*rows 0 and 1.*1 and 2"):
        from_edges(table, IDS, relation="kind", weight="w")
    table["kind"] = ["r", "s", "r", "r"]
    graph = from_edges(table, IDS, relation="kind", weight="w")
    assert graph.weights is not None
    assert graph.weights.max() == 4.0


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "edges.csv"
    file.write_text("sorce,target,wight\na1,b2,3\n")
    with pytest.raises(CatalogError) as raised:
        from_edges(file, IDS, weight="weight")
    assert 'no column "source"; it has sorce, target, wight. Did you mean "sorce"' in str(
        raised.value
    )
    assert 'Did you mean "wight"' in str(raised.value)


def test_columns_that_are_not_read_are_told() -> None:
    graph = from_edges({"source": ["a1"], "target": ["b2"], "weight": [0.5]}, IDS)
    assert graph.warnings == ("edges: not read: weight.",)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(CatalogError, match="different lengths"):
        from_edges({"source": ["a1", "b2"], "target": ["b2"]}, IDS)


def test_too_many_relations_are_refused() -> None:
    table = {
        "source": ["a1"] * 65,
        "target": ["b2"] * 65,
        "kind": [f"r{number}" for number in range(65)],
    }
    with pytest.raises(CatalogError, match="65 different ones"):
        from_edges(table, IDS, relation="kind")
    table = {name: cells[:64] for name, cells in table.items()}
    assert len(from_edges(table, IDS, relation="kind").relations_of(0, 1)) == 64


def test_no_pairs_leave_everyone_alone() -> None:
    graph = from_edges({"source": [], "target": [], "w": []}, IDS, weight="w")
    assert graph.num_edges == 0
    assert graph.indices.tolist() == [0, 1, 2, 3]
    assert graph.weights is not None


def test_an_unknown_choice_of_self_loops_is_named() -> None:
    with pytest.raises(ConfigError, match="self-loops"):
        from_edges({"source": [], "target": []}, IDS, self_loops="few")


def test_many_ids_are_not_compared_with_each_other() -> None:
    ids = [f"item-{number}" for number in range(30_000)]
    with pytest.raises(CatalogError, match="none of the catalogue's 30000"):
        from_edges({"source": ["item-x"] * 5, "target": ["item-1"] * 5}, ids)
