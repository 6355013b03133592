"""Who is named by which item: names folded to entities, with every spelling kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bayesfuse.data.findings import Findings
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.graph.csr import Int64, kept_indptr
from bayesfuse.graph.names import fold_name

People = Mapping[str, Sequence[Sequence[str]]]
"""Relation -> names an item, as `Catalog.people` holds them."""


@dataclass(frozen=True, eq=False, repr=False)
class Entities:
    """The names of one relation, such as the directors.

    Attributes:
        names: Every spelling that occurs, each once.
        entity_of_name: The entity that a spelling stands for, `names`.
        keys: The folded name of each entity, `entities`.
        indptr: Where the names of each item begin, `items + 1`.
        mentions: Names of the items: positions in `names`, each entity once an item.
        cut: Entities that join nobody, since too many items name them, `entities`.
    """

    names: tuple[str, ...]
    entity_of_name: Int64
    keys: tuple[str, ...]
    indptr: Int64
    mentions: Int64
    cut: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> Entities:
        """Return no names of no items."""
        none = np.zeros(0, dtype=np.int64)
        return cls((), none, (), np.zeros(1, dtype=np.int64), none, none.astype(np.bool_))

    @property
    def num_items(self) -> int:
        """Return the number of items."""
        return len(self.indptr) - 1

    @cached_property
    def sizes(self) -> Int64:
        """Return the number of items that name each entity, `entities`."""
        return np.bincount(self.entity_of_name[self.mentions], minlength=len(self.keys))

    def incidence(self, first: int = 0) -> sparse.csr_array:
        """Return which item names which entity, `items x entities`, bool; cut ones are left out.

        Args:
            first: The first item that is wanted.
        """
        begin = self.indptr[first]
        entities = self.entity_of_name[self.mentions[begin:]]
        joins = ~self.cut[entities]
        indptr = kept_indptr(self.indptr[first:] - begin, joins)
        return sparse.csr_array(
            (np.ones(indptr[-1], dtype=np.bool_), entities[joins], indptr),
            shape=(self.num_items - first, len(self.keys)),
        )

    def of_item(self, item: int) -> dict[int, str]:
        """Return entity -> the name that the item gives it."""
        mentions = self.mentions[self.indptr[item] : self.indptr[item + 1]].tolist()
        return {int(self.entity_of_name[name]): self.names[name] for name in mentions}

    def spellings(self, entity: int) -> tuple[str, ...]:
        """Return every spelling of an entity, in order of appearance."""
        return tuple(self.names[name] for name in np.flatnonzero(self.entity_of_name == entity))

    def members(self, entity: int) -> Int64:
        """Return the items that name an entity, in ascending order."""
        (found,) = np.nonzero(self.entity_of_name[self.mentions] == entity)
        return np.searchsorted(self.indptr, found, side="right").astype(np.int64) - 1

    def extended(self, lists: Sequence[Sequence[str]], max_group: int | None) -> Entities:
        """Append items; an entity that is new is cut if more than `max_group` of them name it.

        Args:
            lists: The names of each new item.
            max_group: The most items of a group; None for no limit.

        Returns:
            All names of all items.
        """
        written = list(chain.from_iterable(lists))
        position = {name: i for i, name in enumerate(self.names)}
        mentions = np.fromiter(
            (position.setdefault(name, len(position)) for name in written),
            dtype=np.int64,
            count=len(written),
        )
        items = np.repeat(
            np.arange(len(lists)), np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        )
        names = tuple(position)
        entity_of_key = {key: i for i, key in enumerate(self.keys)}
        added = [fold_name(name) for name in names[len(self.names) :]]
        # A blank name folds to nothing and is nobody.
        of_added = [
            entity_of_key.setdefault(key, len(entity_of_key)) if key else -1 for key in added
        ]
        entity_of_name = np.concatenate(
            [self.entity_of_name, np.array(of_added, dtype=np.int64)], dtype=np.int64
        )
        entities = entity_of_name[mentions]
        named = entities >= 0
        items, mentions, entities = items[named], mentions[named], entities[named]
        # The first mention of each entity in each item, items in order, entities in order.
        _, kept = np.unique(items * max(len(entity_of_key), 1) + entities, return_index=True)
        items, mentions, entities = items[kept], mentions[kept], entities[kept]
        counts = np.bincount(items, minlength=len(lists))
        is_new = np.arange(len(entity_of_key)) >= len(self.keys)
        cut = np.concatenate([self.cut, np.zeros(is_new.sum(), dtype=np.bool_)])
        if max_group is not None:
            cut |= is_new & (np.bincount(entities, minlength=len(is_new)) > max_group)
        return Entities(
            names,
            entity_of_name,
            tuple(entity_of_key),
            np.concatenate([self.indptr, self.indptr[-1] + np.cumsum(counts)], dtype=np.int64),
            np.concatenate([self.mentions, mentions]),
            cut,
        )


@dataclass(frozen=True, eq=False, repr=False)
class EntityIndex:
    """Who is named by which item, by relation.

    Attributes:
        relations: Relation -> its names.
        num_items: The number of items.
    """

    relations: Mapping[str, Entities]
    num_items: int

    @classmethod
    def from_people(cls, people: People, max_group: int | None = None) -> EntityIndex:
        """Index the names of a catalogue.

        Args:
            people: Relation -> names an item.
            max_group: The most items of a group; a larger one joins nobody.

        Raises:
            ConfigError: If there is no relation, or the limit is less than 2.
            CatalogError: If the lists do not fit each other, or hold something else than names.
        """
        if not people:
            raise ConfigError(
                "No relations: a graph needs at least one column of names. Name them with --people "
                "(in catalog.toml: [graph] people)."
            )
        if max_group is not None and max_group < 2:
            raise ConfigError(f"max_group is {max_group}; expected 2 or more: one item joins none.")
        _check(people)
        num_items = len(next(iter(people.values())))
        relations = {
            name: Entities.empty().extended(lists, max_group) for name, lists in people.items()
        }
        return cls(relations, num_items)

    def __getitem__(self, relation: str) -> Entities:
        """Return the names of a relation.

        Raises:
            ConfigError: If there is none of this name.
        """
        if relation not in self.relations:
            raise ConfigError(unknown_option("relation", relation, self.relations))
        return self.relations[relation]

    def shared(self, first: int, second: int) -> list[tuple[str, str]]:
        """Return what joins two items: relations, and names as the first item writes them."""
        return list(self._shared(first, second))

    def extended(self, people: People, max_group: int | None) -> EntityIndex:
        """Append items; relations that are not given have no names.

        Args:
            people: Relation -> names a new item.
            max_group: The most items of a group among them, for names that are new.

        Raises:
            ConfigError: If a relation is unknown.
            CatalogError: If the lists do not fit each other, or hold something else than names.
        """
        for name in people:
            self[name]
        _check(people)
        count = len(next(iter(people.values()))) if people else 0
        relations = {
            name: entities.extended(people.get(name, [()] * count), max_group)
            for name, entities in self.relations.items()
        }
        return EntityIndex(relations, self.num_items + count)

    def _shared(self, first: int, second: int) -> Iterator[tuple[str, str]]:
        for relation, entities in self.relations.items():
            others = entities.of_item(second)
            for entity, name in entities.of_item(first).items():
                if entity in others and not entities.cut[entity]:
                    yield relation, name


def _check(people: People) -> None:
    findings = Findings()
    lengths = {name: len(lists) for name, lists in people.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        findings.problem(
            f"relations have lists for different numbers of items ({shown}); expected one list an "
            "item in each."
        )
    for relation, lists in people.items():
        # By type, not by cell: there may be millions.
        cells = set(map(type, lists))
        fits = not any(issubclass(kind, str) or not issubclass(kind, Iterable) for kind in cells)
        fits = fits and all(issubclass(k, str) for k in set(map(type, chain.from_iterable(lists))))
        if not fits:
            row = next(i for i, names in enumerate(lists) if not _is_names(names))
            findings.problem(
                f"{relation}: item {row} (counted from 0) holds {str(lists[row])[:60]!r}; expected "
                "a list of names, [] where there are none."
            )
    findings.raise_problems("people")


def _is_names(names: object) -> bool:
    if isinstance(names, str) or not isinstance(names, Iterable):
        return False
    return all(isinstance(name, str) for name in names)
