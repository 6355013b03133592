"""`catalog.toml`: which column and which file plays which role in a catalogue."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from bayesfuse.config.parsing import parse_toml
from bayesfuse.data.findings import Findings
from bayesfuse.data.modality_names import modality_name_problems
from bayesfuse.data.parquet_parts import part_files
from bayesfuse.data.tables import TABLE_SUFFIXES
from bayesfuse.errors import CatalogError, did_you_mean

FILE_NAME = "catalog.toml"
_SUFFIXES = (*TABLE_SUFFIXES, ".npz", ".npy", ".h5", ".hdf5", ".he5")

Scalar = bool | int | float | str
Setting = Scalar | tuple[Scalar, ...] | dict[str, Scalar | tuple[Scalar, ...]]
"""What a setting of an encoder can be."""


def _as_setting(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_value(inner) for key, inner in value.items()}
    return _as_value(value)


def _as_value(value: object) -> object:
    parts: Iterable[object] = value if isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, bool | int | float | str) or part in (inf, -inf) or part != part:
            raise ValueError("expected true, false, a finite number, a text, or a list of them")
    return tuple(parts) if isinstance(value, list) else value


def _as_columns(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModalitySpec(_Spec):
    """One `[modalities.NAME]`: where its raw cells and its features are.

    Attributes:
        column: A column of the table, or `FILE:COLUMN`, joined on the id; raw text, image bytes
            or paths of image files.
        columns: Columns of the table, numbers and categories, in place of `column`.
        categories: Those of `columns` whose numbers are names.
        features: `FILE.npz:MEMBER`, `FILE.npy` or `FILE.parquet:COLUMN`, in the table's order.
        observed: A true/false array: a member of the features' archive, `FILE.npz:MEMBER`, or a
            column of the table.
        encoder: The name of the encoder to use for the raw cells.
        kind: What the raw cells are, where their name and look do not say.
        settings: Settings of the encoder.
    """

    column: str | None = None
    columns: tuple[str, ...] | None = Field(default=None, strict=False)
    categories: tuple[str, ...] = Field(default=(), strict=False)
    features: str | None = None
    observed: str | None = None
    encoder: str | None = None
    kind: Literal["text", "image"] | None = None
    settings: dict[str, Annotated[Setting, BeforeValidator(_as_setting)]] = Field(
        default_factory=dict
    )


class GraphSpec(_Spec):
    """`[graph]`: who shares whom.

    Attributes:
        people: Columns of names, one relation each.
        people_separator: What joins the names of a text cell.
    """

    people: tuple[str, ...] = Field(default=(), strict=False)
    people_separator: str | None = None


class CatalogSpec(_Spec):
    """What `catalog.toml` (or the flags for a single file) says.

    Attributes:
        table: The table's file.
        id: The column of ids.
        title: The column of titles.
        labels: The column of labels; several, if there are several sources of labels.
        label_sources: How several sources count: each item's by how they agree, or alike.
        labels_separator: What joins the labels of a text cell.
        label_set: The labels, in order; others are a mistake. Found in the table if not given.
        empty_labels: Whether an empty list means that the labels are unknown, or that none holds.
        split: The column of `train`, `val` and `test`.
        delimiter: What separates the fields of a CSV.
        modalities: Name -> where it is.
        graph: Who shares whom.
    """

    table: str
    id: str
    title: str | None = None
    labels: Annotated[tuple[str, ...] | None, BeforeValidator(_as_columns)] = None
    label_sources: Literal["agreement", "equal"] | None = None
    labels_separator: str | None = None
    label_set: tuple[str, ...] | None = Field(default=None, strict=False)
    empty_labels: Literal["unknown", "none"] = "unknown"
    split: str | None = None
    delimiter: str | None = None
    modalities: dict[str, ModalitySpec] = Field(default_factory=dict)
    graph: GraphSpec = GraphSpec()


def is_described(path: Path) -> bool:
    """Return whether a catalogue is a folder with a `catalog.toml`, or that file, and no table.

    A folder of Parquet files that has none is a table.
    """
    if path.name == FILE_NAME:
        return True
    return os.path.isdir(path) and ((path / FILE_NAME).exists() or not part_files(path))


def read_catalog_file(path: Path, findings: Findings) -> CatalogSpec:
    """Read and check a `catalog.toml`.

    Args:
        path: The file.
        findings: Where mistakes go that still leave a specification to go on with.

    Returns:
        What it says, without unknown keys.

    Raises:
        CatalogError: If it cannot be read, or a key is missing or has a wrong value.
    """
    if not os.path.isfile(path):
        raise CatalogError(
            path.parent,
            [
                f"{path}: no such file. A catalogue is a folder with a {FILE_NAME}, or one file "
                f"({', '.join(TABLE_SUFFIXES)})."
            ],
        )
    try:
        content = parse_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CatalogError(path, [f"{path}: not TOML in UTF-8 ({error})."]) from error
    return make_spec(content, path, findings)


def make_spec(content: Mapping[str, object], source: object, findings: Findings) -> CatalogSpec:
    """Check what a `catalog.toml`, or flags in the same words, say.

    Args:
        content: Keys and values.
        source: Where they are from, for the message.
        findings: Where mistakes go that still leave a specification to go on with.

    Returns:
        The checked specification, without unknown keys.

    Raises:
        CatalogError: If a key is missing or has a wrong value; with all other mistakes.
    """
    modalities = content.get("modalities")
    if isinstance(modalities, Mapping):
        for problem in modality_name_problems(str(name) for name in modalities):
            findings.problem(problem)
    known: dict[str, object] = copy.deepcopy(dict(content))
    try:
        spec = CatalogSpec.model_validate(known)
    except ValidationError as error:
        for details in error.errors():
            findings.problem(_sentence(details))
        unknown = [d["loc"] for d in error.errors() if d["type"] == "extra_forbidden"]
        if len(unknown) < error.error_count():
            raise CatalogError(source, findings.problems) from error
        for place in unknown:
            _remove(known, place)
        spec = CatalogSpec.model_validate(known)
    for problem in _meaning_problems(spec):
        findings.problem(problem)
    return spec


def files_outside(spec: CatalogSpec, folder: Path) -> list[str]:
    """Return the files that a `catalog.toml` names and that are not in its folder.

    Links are followed, since whoever wrote the one may have made the other.

    Args:
        spec: What it says.
        folder: Its folder.
    """
    named = [spec.table]
    for modality in spec.modalities.values():
        references = (modality.column, modality.features, modality.observed)
        found = (split_reference(r, _SUFFIXES) for r in references if r is not None)
        named += [reference[0] for reference in found if reference is not None]
    home = os.path.realpath(folder)
    return [
        name
        for name in dict.fromkeys(named)
        if "\0" not in name and os.path.commonpath([home, os.path.realpath(folder / name)]) != home
    ]


def split_reference(reference: str, suffixes: Iterable[str]) -> tuple[str, str | None] | None:
    """Return the file and the member of `FILE` or `FILE:MEMBER`, or None if no file is named.

    Example:
        >>> split_reference("features.npz:text", [".npz"]), split_reference("plot", [".npz"])
        (('features.npz', 'text'), None)
    """
    endings = "|".join(re.escape(suffix) for suffix in suffixes)
    found = re.fullmatch(rf"(.*(?:{endings}))(?::(.+))?", reference, flags=re.IGNORECASE)
    return (found[1], found[2]) if found else None


def _meaning_problems(spec: CatalogSpec) -> list[str]:
    problems = []
    for name, modality in spec.modalities.items():
        for problem in _modality_problems(modality, spec.labels or ()):
            problems.append(f"modalities.{name}: {problem}")
    if spec.labels is None and (spec.label_set is not None or spec.labels_separator is not None):
        problems.append("label_set and labels_separator need labels, the column of labels.")
    if spec.labels == ():
        problems.append("labels names no column; expected one, or one a source of labels.")
    if spec.label_sources is not None and len(spec.labels or ()) < 2:
        problems.append(
            f"label_sources needs two or more columns of labels; got {len(spec.labels or ())}."
        )
    named = {
        "labels": spec.labels or (),
        "label_set": spec.label_set or (),
        "people": spec.graph.people,
    }
    for what, names in named.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            problems.append(f"{what}: named twice: {', '.join(twice)}.")
    return problems


def _modality_problems(modality: ModalitySpec, labels: Sequence[str]) -> list[str]:
    columns = modality.columns
    raw = modality.column is not None or columns is not None
    problems = []
    if not raw and modality.features is None:
        problems.append("needs column (raw), columns (a table's) or features (encoded).")
    for key in ("encoder", "settings"):
        if getattr(modality, key) and not raw:
            problems.append(f"{key} needs column or columns, the raw cells to encode.")
    if modality.column is not None and columns is not None:
        problems.append(
            "has column and columns; give column for texts or pictures, columns for numbers and "
            "categories."
        )
    if modality.kind is not None and columns is not None:
        problems.append("kind is for column; columns are a table's.")
    columns = columns or ()
    if modality.columns == ():
        problems.append("columns names none; expected at least one.")
    unknown = [name for name in modality.categories if name not in columns]
    if unknown:
        problems.append(
            f"categories names {', '.join(unknown)}, which is not among its columns "
            f"({', '.join(columns) or 'none'}).{did_you_mean(unknown[0], columns)}"
        )
    for key, names in (("columns", columns), ("categories", modality.categories)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            problems.append(f"{key} named twice: {', '.join(twice)}.")
    for name in labels:
        if name in columns:
            problems.append(f"columns names {name}, the labels that are to be predicted.")
    return problems


def _remove(content: dict[str, object], place: Sequence[int | str]) -> None:
    owner: object = content
    for part in place[:-1]:
        owner = owner[str(part)] if isinstance(owner, dict) else None
    if isinstance(owner, dict):
        del owner[place[-1]]


def _sentence(details: ErrorDetails) -> str:
    place = [str(part) for part in details["loc"]]
    key = ".".join(place)
    if details["type"] == "missing":
        return f'"{key}" is missing: {_MISSING.get(place[-1], "it is required")}.'
    if details["type"] == "extra_forbidden":
        owner: type[_Spec] = CatalogSpec
        if len(place) > 1:
            owner = ModalitySpec if place[0] == "modalities" else GraphSpec
        known = list(owner.model_fields)
        return (
            f'unknown key "{key}"; expected one of {", ".join(known)}.'
            f"{did_you_mean(place[-1], known)}"
        )
    return f'"{key}": {details["msg"]}; got {details["input"]!r}.'


_MISSING = {
    "table": 'name the file with one row an item, such as table = "items.parquet"',
    "id": 'name the column that tells items apart, such as id = "id" (for a single file: --id)',
}
