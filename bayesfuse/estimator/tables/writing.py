"""A table of models as files: CSV, Markdown, and JSON for the report."""

from __future__ import annotations

import json
from pathlib import Path

from bayesfuse.estimator.tables.results import write_whole
from bayesfuse.estimator.tables.table import ModelTable

FILES = ("table.md", "table.csv", "table.json")
"""What a folder of results has of its table."""


def write_table(table: ModelTable, path: Path) -> Path:
    """Write a table as its name ends: JSON for `.json`, Markdown for `.md`, else CSV.

    Raises:
        UserError: If it cannot be written there.
        StorageError: If the disk is full.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        text = json.dumps(table.to_dict())
    elif suffix == ".md":
        text = table.to_markdown()
    else:
        text = table.to_frame().to_csv(index=False)
    write_whole(path, text.encode())
    return path


def write_tables(table: ModelTable, folder: Path) -> list[Path]:
    """Write a table into its folder of results, in place of an earlier one, in each form.

    Raises:
        UserError: If it cannot be written there.
        StorageError: If the disk is full.
    """
    return [write_table(table, folder / name) for name in FILES]
