"""The table of an MM-IMDb catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bayesfuse.data import mmimdb_table
from bayesfuse.data.findings import Findings
from bayesfuse.data.mmimdb_folder import MovieFolder
from bayesfuse.data.mmimdb_protocol import Protocol
from bayesfuse.data.mmimdb_table import Place, Sources, TableWriter
from tests.data.mmimdb_files import movie_id, write_folder

SPLITS = {"train": [1, 2, 3], "dev": [4], "test": [5, 6]}
PLACES = [
    Place(movie_id(number), {"dev": "val"}.get(name, name), -1)
    for name, numbers in SPLITS.items()
    for number in numbers
]


def write(
    tmp_path: Path,
    changes: dict[int, dict[str, Any]] | None = None,
    protocol: str = "gmu",
    plots: str = "longest",
) -> tuple[pd.DataFrame, Findings, TableWriter]:
    root = tmp_path / "mmimdb"
    if not root.exists():
        write_folder(root, SPLITS, changes)
    sources = Sources(MovieFolder.find(root), None)
    writer = TableWriter(sources, Protocol(protocol), plots, lambda file: f"../{file.name}")
    writer.write(PLACES, tmp_path / "movies.parquet")
    findings = Findings()
    writer.tell(findings)
    return pd.read_parquet(tmp_path / "movies.parquet").set_index("id"), findings, writer


def test_a_row_is_a_movie(tmp_path: Path) -> None:
    table, findings, writer = write(tmp_path)
    assert findings == Findings()
    assert table.index.tolist() == [movie_id(number) for number in range(1, 7)]
    assert writer.splits == {"train": 3, "val": 1, "test": 2}
    first = table.loc[movie_id(4)]
    assert first["plot"] == "A much longer joke clown story, number 4."
    assert first["poster"] == "../0000004.jpeg"
    assert list(first["genres"]) == ["Comedy", "Short"]
    assert (first["title"], first["year"], first["split"]) == ("Film 4", 1954, "val")
    assert list(first["producer"]) == ["Pat Producer", "Paul 0"]
    assert pq.read_schema(tmp_path / "movies.parquet").names == [
        "id", "title", "year", "plot", "poster", "genres", "split",
        "director", "producer", "writer", "cinematographer", "art_director",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plots", "expected"),
    [("first", "A tears rain story."), ("longest", "A much longer tears rain story, number 3.")],
)
def test_the_plot_is_the_one_asked_for(tmp_path: Path, plots: str, expected: str) -> None:
    table, _, _ = write(tmp_path, plots=plots)
    assert table.loc[movie_id(3), "plot"] == expected


def test_movies_are_written_in_batches_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _, _ = write(tmp_path)
    monkeypatch.setattr(mmimdb_table, "BATCH", 4)
    told: list[tuple[int, int]] = []
    sources = Sources(MovieFolder.find(tmp_path / "mmimdb"), None)
    writer = TableWriter(sources, Protocol("gmu"), "longest", lambda file: f"../{file.name}")
    writer.write(PLACES, tmp_path / "parts.parquet", lambda done, total: told.append((done, total)))
    assert told == [(4, 6), (6, 6)]
    assert pq.ParquetFile(tmp_path / "parts.parquet").num_row_groups == 2
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "parts.parquet").set_index("id"), whole
    )


def test_odd_movies_stay_and_are_told_of(tmp_path: Path) -> None:
    changes = {
        1: {"plot": [], "year": None},
        2: {"genres": None, "title": None},
        3: {"genres": ["News"]},
        5: {"plot": None, "writer": [{}]},
    }
    root = write_folder(tmp_path / "mmimdb", SPLITS, changes)
    (root / "dataset" / "0000006.jpeg").unlink()
    table, findings, _ = write(tmp_path)
    assert findings.problems == []
    assert findings.warnings == [
        "2 movies have no plot (0000001, 0000005): their text is missing.",
        "1 movies have no poster (0000006): their image is missing.",
        "1 movies have no genre at all (0000002): their labels are unknown.",
        "1 movies have none of the genres that are labels (0000003): their labels are unknown.",
        "1 movies have no title (0000002).",
        "1 movies have no year (0000001).",
        "1 movies have people without a name (0000005); these people are left out.",
    ]
    assert len(table) == 6
    assert table["plot"].isna().tolist() == [True, False, False, False, True, False]
    assert table["poster"].isna().tolist() == [False] * 5 + [True]
    assert table["genres"].map(len).tolist() == [1, 0, 0, 2, 1, 1]
    assert table["writer"].map(list).tolist()[4] == []


def test_damaged_files_and_unknown_genres_are_all_problems(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "mmimdb", SPLITS, {1: {"genres": ["Comdy"]}, 4: {"genres": ["Zzz"]}}
    )
    for name in ("0000002.json", "0000005.json"):
        (root / "dataset" / name).write_text("{")
    _, findings, _ = write(tmp_path)
    comedy, zzz, damaged = findings.problems
    assert comedy == '"Comdy" (1 movies) is no genre of MM-IMDb. Did you mean "Comedy"?'
    assert zzz == '"Zzz" (1 movies) is no genre of MM-IMDb.'
    assert damaged.startswith("2 JSON files are not as published: 0000002.json: truncated, ")
    assert "0000005.json: truncated" in damaged
    assert damaged.endswith("Extract them again from mmimdb.tar.gz, or take the ids out of "
                            "split.json.")  # fmt: skip
    assert not findings.warnings


def test_the_protocol_leaves_movies_out(tmp_path: Path) -> None:
    changes = {1: {"genres": ["News", "War"]}, 4: {"genres": ["War"]}, 6: {"genres": ["News"]}}
    table, findings, writer = write(tmp_path, changes, protocol="mmbt")
    assert table.index.tolist() == [movie_id(number) for number in (2, 3, 5)]
    assert (writer.num_left_out, len(writer.rows)) == (3, 3)
    assert writer.splits == {"train": 2, "test": 1}
    assert findings == Findings()
    table, findings, writer = write(tmp_path, protocol="all")
    assert list(table.loc[movie_id(1), "genres"]) == ["News", "War"]
    assert writer.num_left_out == 0
