from __future__ import annotations

import pytest

from bayesfuse.config import (
    GRAPH_BACKENDS,
    GRAPH_VERSIONS,
    SELF_LOOPS,
    FitConfig,
    GraphConfig,
    ModelConfig,
)
from bayesfuse.errors import ConfigError


def test_without_a_graph_is_the_default() -> None:
    assert GraphConfig().graph == "none"
    assert ModelConfig().random_parts == ("fusion",)


def test_the_parts_of_a_graph_are_random_unless_parts_are_named() -> None:
    assert ModelConfig(graph="people").random_parts == ("fusion", "gat")
    assert ModelConfig(graph="people", parts=("fusion",)).random_parts == ("fusion",)
    assert ModelConfig(parts=("classifier",)).random_parts == ("classifier",)
    assert ModelConfig(graph="people", model="gat").random_parts == ("gat",)
    light = ("fusion.absent", "gat")
    assert ModelConfig(graph="people", model="mm-gatbt").random_parts == light
    assert ModelConfig(graph="people", fusion="bitransformer").random_parts == light


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("20", (20,)),
        ("20, 10", (20, 10)),
        ("all,5", ("all", 5)),
        (7, (7,)),
        ([3, "all"], (3, "all")),
        (None, None),
    ],
)
def test_a_fan_out_is_read(given: object, expected: object) -> None:
    assert GraphConfig.parse({"fan_out": given}).fan_out == expected


@pytest.mark.parametrize("given", ["0", "many", "10,,5", [], "-3", "2.5"])
def test_a_fan_out_that_is_none(given: object) -> None:
    with pytest.raises(ConfigError, match=r"--fan-out: .* or all, such as 20 or 20,10"):
        GraphConfig.parse({"fan_out": given})


def test_modalities_of_the_nodes_are_read() -> None:
    assert GraphConfig.parse({"graph_features": "text, image"}).graph_features == ("text", "image")


def test_relations_are_one_graph_unless_each_is_asked_for() -> None:
    assert (GraphConfig().graph_relations, GraphConfig().graph_query) == ("union", None)
    given = {"graph_relations": "each", "graph_query": "text,image"}
    assert GraphConfig.parse(given).graph_query == ("text", "image")
    with pytest.raises(ConfigError, match=r'"eech"; expected one of each, union. Did you mean'):
        GraphConfig.parse({"graph_relations": "eech"})
    with pytest.raises(
        ConfigError, match=r'Unknown edge bias "relations".*Did you mean "relation"'
    ):
        GraphConfig.parse({"graph_edge_bias": "relations"})


def test_mistakes_are_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        FitConfig.parse({"graph": "poeple", "graph_version": "v3", "max_group": 1})
    message = str(caught.value)
    assert 'Unknown graph "poeple"; expected one of none, people. Did you mean "people"?' in message
    assert "--graph-version" in message
    assert "--max-group: expected at least 2; got 1." in message


def test_the_options_are_those_of_the_code() -> None:
    from bayesfuse.graph.backends import BACKENDS
    from bayesfuse.graph.csr import SELF_LOOPS as LOOPS
    from bayesfuse.models.graph_attention_layer import VERSIONS

    assert set(GRAPH_BACKENDS) == set(BACKENDS)
    assert set(SELF_LOOPS) == set(LOOPS)
    assert set(GRAPH_VERSIONS) == set(VERSIONS)
