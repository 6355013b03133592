from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesfuse.data import spooled_columns, text_tables
from bayesfuse.data.text_tables import TextTable, likely_delimiter, read_csv, read_json_lines
from bayesfuse.errors import CatalogError

awkward = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def written(folder: Path, content: str | bytes, name: str = "items.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cells_of(table: TextTable) -> dict[str, list[object]]:
    return {name: table.columns.read(name) for name in table.names}


@pytest.fixture(params=["in memory", "spooled"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rows wait in a temporary file, at the second time, two or three at once."""
    if request.param == "spooled":
        monkeypatch.setattr(spooled_columns, "_HELD_BYTES", 200)


def problem(path: Path, delimiter: str | None = None) -> str:
    json_lines = path.name.endswith("jsonl")
    with pytest.raises(CatalogError) as caught:
        read_json_lines(path) if json_lines else read_csv(path, delimiter, ",")
    assert str(path) in caught.value.problems[0]
    return caught.value.problems[0]


@pytest.mark.usefixtures("place")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(awkward, awkward), max_size=5),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_any_text_survives_a_csv(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path / "items.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    table = read_csv(path, delimiter, ",")
    assert (table.names, table.num_rows) == (("a", "b"), len(rows))
    assert list(zip(*cells_of(table).values(), strict=True)) == rows


def test_nothing_is_taken_for_a_number_or_for_missing(tmp_path: Path) -> None:
    table = read_csv(written(tmp_path, "id,n\n007,NA\n1e5,null\n"), None, ",")
    assert cells_of(table) == {"id": ["007", "1e5"], "n": ["NA", "null"]}


def test_byte_order_marks_blank_lines_and_long_cells(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = "x" * (limit + 1)
    path = written(tmp_path, f"\ufeffid,plot\n\na,{long}\n\n")
    assert cells_of(read_csv(path, None, ",")) == {"id": ["a"], "plot": [long]}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_text_is_read_and_a_truncated_file_refused(
    tmp_path: Path, suffix: str, pack: object
) -> None:
    assert callable(pack)
    packed = pack(("id,b\n" + "a,1\n" * 5000).encode())
    path = written(tmp_path, packed, f"items.csv.{suffix}")
    assert cells_of(read_csv(path, None, ","))["id"] == ["a"] * 5000
    assert "truncated or damaged" in problem(written(tmp_path, packed[:-8], path.name))
    assert "truncated or damaged" in problem(written(tmp_path, b"no archive", path.name))


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("id;title;genres", ";"),
        ("id\ttitle", "tab"),
        ("id|title", "|"),
        ("id;title, year;genres", ";"),
    ],
)
def test_a_wrong_delimiter_is_named(tmp_path: Path, header: str, shown: str) -> None:
    message = problem(written(tmp_path, header + "\n"))
    assert f"--delimiter '{shown}' reads it" in message
    assert f'delimiter = "{shown}"' in message
    assert read_csv(tmp_path / "items.csv", shown, ",").names[0] == "id"


def test_a_delimiter_that_was_chosen_is_doubted_only_if_it_splits_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "id,a,b;c\n1,2,3;4\n")
    assert read_csv(path, ";", ",").names == ("id,a,b", "c")
    assert "--delimiter ','" in problem(path, "|")
    assert likely_delimiter("id", ",", chosen=False) is None
    assert "one character" in problem(path, "::")
    assert read_csv(written(tmp_path, "a\tb\n1\t2\n"), "\\t", ",").columns.read("b") == ["2"]


@pytest.mark.usefixtures("place")
def test_rows_of_another_length_are_counted(tmp_path: Path) -> None:
    message = problem(written(tmp_path, 'a,b\n"x\ny",2\n1\n3,4,5\n' + "6,7\n" * 9))
    assert "2 of 12 rows" in message
    assert "(first: line 4, 1)" in message


def test_quotes_that_do_not_close_are_refused(tmp_path: Path) -> None:
    assert "double a quote" in problem(written(tmp_path, 'a,b\n"x,2\n3,4\n'))
    assert "double a quote" in problem(written(tmp_path, 'a,b\n"x"y,2\n'))


def test_bytes_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    message = problem(written(tmp_path, "a,b\n1,2\ncafé,2\n".encode("latin1")))
    assert "line 3: byte 0xe9 is not UTF-8" in message
    assert "iconv" in message
    assert "not UTF-8" in problem(written(tmp_path, b'{"a": "\xe9"}\n', "items.jsonl"))
    # UTF-16 begins with bytes that no UTF-8 text has.
    assert "is UTF-16" in problem(written(tmp_path, "a,b\n".encode("utf-16")))


def test_empty_files_and_repeated_columns_are_refused(tmp_path: Path) -> None:
    assert "the table is empty" in problem(written(tmp_path, ""))
    assert "columns named twice: 'a'" in problem(written(tmp_path, "a,b,a\n1,2,3\n"))


@pytest.mark.usefixtures("place")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), awkward | st.none() | st.lists(awkward))))
def test_any_objects_survive_json_lines(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        encoding="utf-8",
        newline="",
    )
    table = read_json_lines(path)
    assert set(table.names) == {name for row in rows for name in row}
    assert table.num_rows == len(rows)
    for name, cells in cells_of(table).items():
        assert cells == [row.get(name) for row in rows]


@pytest.mark.parametrize(
    ("line", "words"),
    [("[1]", "a JSON list"), ('{"a": ', "not JSON"), ("a,b", "not JSON"), ("3", "a JSON int")],
)
def test_lines_that_are_no_objects_are_refused(tmp_path: Path, line: str, words: str) -> None:
    message = problem(written(tmp_path, f'{{"a": 1}}\n\n{line}\n', "items.jsonl"))
    assert words in message
    assert "line 3" in message


# ---- files that mean harm


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("xz", lzma.compress)])
@pytest.mark.parametrize("content", [b"id,plot\n" + b"a,b\n" * 50_000, b"a" * 200_000])
def test_a_decompression_bomb_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack: object, content: bytes
) -> None:
    assert callable(pack)
    packed = pack(content)
    monkeypatch.setattr(text_tables, "MOST_UNPACKED", 50_000)
    monkeypatch.setattr(text_tables, "MOST_RATIO", 20)
    assert "no table is packed so well" in problem(written(tmp_path, packed, f"items.csv.{suffix}"))
    monkeypatch.setattr(text_tables, "MOST_UNPACKED", 10**6)
    if b"\n" in content:
        assert read_csv(tmp_path / f"items.csv.{suffix}", None, ",").num_rows == 50_000


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(text_tables, "MOST_CHARACTERS", 1000)
    head = "id,plot\n" if name.endswith("csv") else '{"id": 1}\n'
    assert "line 2: longer than 1,000 characters" in problem(
        written(tmp_path, head + "a" * 3000, name)
    )


def test_a_quote_that_is_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_tables, "MOST_CHARACTERS", 1000)
    told = problem(written(tmp_path, 'id,plot\na,"' + "b,c\n" * 1000))
    assert "field larger than field limit (1000)" in told


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_name(tmp_path: Path, encoding: str) -> None:
    content = "\ufeffid,plot\na,b\n".encode(encoding)
    assert "is UTF-16" in problem(written(tmp_path, content))


def test_nul_bytes_mixed_line_ends_and_formulas_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,plot\r\na,x\0y\rb,=1+1\nc,@SUM(A1)\r\n")
    assert cells_of(read_csv(path, None, ",")) == {
        "id": ["a", "b", "c"],
        "plot": ["x\0y", "=1+1", "@SUM(A1)"],
    }


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000])
def test_json_that_python_would_not_read(tmp_path: Path, line: str) -> None:
    told = problem(written(tmp_path, '{"id": 1}\n' + line, "items.jsonl"))
    assert "line 2: not JSON (" in told
