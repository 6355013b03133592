"""An entity graph as arrays and a JSON object, for a run folder; and back, with every part checked.

Names are stored as one array of UTF-8 bytes and one of where each name ends, so that a file of
tensors holds them however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import FeatureError
from bayesfuse.graph.building import MAX_RELATIONS
from bayesfuse.graph.csr import SELF_LOOPS, Int64
from bayesfuse.graph.entity_index import Entities, EntityIndex

if TYPE_CHECKING:
    from bayesfuse.graph.entity_graph import EntityGraph

FORMAT = "bayesfuse-graph-1"

Arrays = Mapping[str, NDArray[Any]]


def graph_state(graph: EntityGraph) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return arrays (int64, float32, uint8, bool) and a JSON object that say all of a graph."""
    arrays: dict[str, NDArray[Any]] = {
        "indptr": graph.indptr,
        "indices": graph.indices,
        # Not every reader of tensors knows uint64.
        "relation_mask": graph.relation_mask.view(np.int64),
    }
    if graph.weights is not None:
        arrays["weights"] = graph.weights
    if graph.people is not None:
        for number, entities in enumerate(graph.people.relations.values()):
            head = f"people.{number}"
            arrays |= _text_arrays(f"{head}.names", entities.names)
            arrays |= _text_arrays(f"{head}.keys", entities.keys)
            for part in ("entity_of_name", "indptr", "mentions", "cut"):
                arrays[f"{head}.{part}"] = getattr(entities, part)
    about = {
        "format": FORMAT,
        "num_nodes": graph.num_nodes,
        "relation_names": list(graph.relation_names),
        "self_loops": graph.self_loops,
        "max_group": graph.max_group,
        "people": graph.people is not None,
        "weights": graph.weights is not None,
        "warnings": list(graph.warnings),
    }
    return arrays, about


def graph_of_state(arrays: Arrays, about: Mapping[str, Any]) -> EntityGraph:
    """Make a graph of what `graph_state` returned.

    Args:
        arrays: The arrays.
        about: The JSON object.

    Raises:
        FeatureError: If something is missing or does not fit.
    """
    from bayesfuse.graph.entity_graph import EntityGraph

    if about.get("format") != FORMAT:
        raise FeatureError(
            f'The graph has the format "{about.get("format")}"; expected "{FORMAT}". Load it with '
            "the version of bayesfuse that wrote it."
        )
    try:
        names = tuple(str(name) for name in about["relation_names"])
        num_nodes, self_loops = int(about["num_nodes"]), str(about["self_loops"])
        if len(names) > MAX_RELATIONS or self_loops not in SELF_LOOPS:
            raise FeatureError("The graph's relations or self-loops are out of range.")
        index = None
        if about["people"]:
            relations = {
                name: _entities(arrays, f"people.{number}", num_nodes)
                for number, name in enumerate(names)
            }
            index = EntityIndex(relations, num_nodes)
        graph = EntityGraph(
            num_nodes,
            _integers(arrays["indptr"], "indptr"),
            _integers(arrays["indices"], "indices"),
            names,
            _integers(arrays["relation_mask"], "relation mask").view(np.uint64),
            np.asarray(arrays["weights"], dtype=np.float32) if about["weights"] else None,
            self_loops,
            index,
            None if about["max_group"] is None else int(about["max_group"]),
            tuple(str(warning) for warning in about["warnings"]),
        )
    except KeyError as error:
        raise FeatureError(f"The graph's {error} is missing: the file is incomplete.") from None
    graph.check()
    return graph


def _entities(arrays: Arrays, head: str, num_items: int) -> Entities:
    names = _texts(arrays, f"{head}.names")
    keys = _texts(arrays, f"{head}.keys")
    entity_of_name, indptr, mentions = (
        _integers(arrays[f"{head}.{part}"], f"{head}.{part}")
        for part in ("entity_of_name", "indptr", "mentions")
    )
    cut = np.asarray(arrays[f"{head}.cut"], dtype=np.bool_)
    fits = (
        len(entity_of_name) == len(names)
        and len(cut) == len(keys)
        and len(indptr) == num_items + 1
        and indptr[0] == 0
        and indptr[-1] == len(mentions)
        and bool((np.diff(indptr) >= 0).all())
        and _within(entity_of_name, -1, len(keys))
        and _within(mentions, 0, len(names))
        # A blank name is nobody, and nobody is mentioned.
        and _within(entity_of_name[mentions] if _within(mentions, 0, len(names)) else mentions, 0)
    )
    if not fits:
        raise FeatureError(f"The graph's names ({head}) do not fit each other: damaged or edited.")
    return Entities(names, entity_of_name, keys, indptr, mentions, cut)


def _within(values: Int64, lowest: int, end: int | None = None) -> bool:
    if not len(values):
        return True
    return bool(values.min() >= lowest) and (end is None or bool(values.max() < end))


def _integers(array: NDArray[Any], what: str) -> Int64:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise FeatureError(
            f"The graph's {what} is {array.dtype} of shape {array.shape}; expected whole numbers "
            "in one dimension."
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def _text_arrays(name: str, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    # A lone surrogate is no character, but a table may hold one.
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), np.uint8), f"{name}.ends": ends}


def _texts(arrays: Arrays, name: str) -> tuple[str, ...]:
    ends = _integers(arrays[f"{name}.ends"], f"{name}.ends")
    utf8 = np.asarray(arrays[f"{name}.utf8"], dtype=np.uint8).tobytes()
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    if (ends < starts).any() or (int(ends[-1]) if len(ends) else 0) != len(utf8):
        raise FeatureError(f"The graph's {name} do not fit each other: damaged or edited.")
    try:
        return tuple(
            utf8[start:end].decode("utf-8", "surrogatepass")
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        )
    except UnicodeDecodeError as error:
        raise FeatureError(f"The graph's {name} are not UTF-8: damaged or edited.") from error
