"""A table written row group by row group to a file that was not there before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bayesfuse.data.whole_files import remove_left_behind, sync_file, unfinished_name
from bayesfuse.errors import UserError, write_error


def write_tables(
    tables: Iterator[pa.Table],
    path: Path,
    schema: pa.Schema,
    metadata: dict[str, Any],
    on_rows: Callable[[int], None] | None = None,
) -> int:
    """Write tables of one schema, one after the other, to a file that does not exist yet.

    Args:
        tables: The tables.
        path: The file; written beside its place and renamed once it is whole. A name that ends in
            `.csv` makes it CSV (without `metadata`), any other Parquet.
        schema: Their schema.
        metadata: Kept in a Parquet file's schema under `bayesfuse`, as JSON.
        on_rows: Called with the rows written so far.

    Returns:
        The number of rows.

    Raises:
        UserError: If the file exists, or its folder cannot be written into.
        StorageError: If the disk is full.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} exists already and is left as it is. Choose another --out.")
    partial = unfinished_name(path)
    schema = schema.with_metadata({"bayesfuse": json.dumps(metadata)})
    rows = 0
    with _told_apart(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        remove_left_behind(path.absolute().parent, path.name)
        try:
            csv = path.suffix.lower() == ".csv"
            with (pyarrow.csv.CSVWriter if csv else pq.ParquetWriter)(partial, schema) as writer:
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(schema.metadata))
                    rows += table.num_rows
                    if on_rows is not None:
                        on_rows(rows)
            sync_file(partial)
            os.rename(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return rows


@contextmanager
def _told_apart(path: Path) -> Iterator[None]:
    """Turn what the disk has against writing into a message that says what to do."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error, "Make room or choose another --out.") from error
