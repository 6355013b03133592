"""The raw folder of MM-IMDb."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bayesfuse.data.findings import Findings
from bayesfuse.data.mmimdb_folder import ROLES, MovieFolder
from tests.data.mmimdb_files import movie_id, person, write_folder

SPLITS = {"test": [4], "train": [2, 1], "dev": [3]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mmimdb", SPLITS)


def found(path: Path) -> MovieFolder:
    folder = MovieFolder.find(path)
    assert folder is not None
    return folder


def split_problems(root: Path, content: object) -> list[str]:
    (root / "split.json").write_text(content if isinstance(content, str) else json.dumps(content))
    findings = Findings()
    found(root).splits(findings)
    return [problem.removeprefix(f"{root / 'split.json'}: ") for problem in findings.problems]


def test_the_folder_is_found_from_where_the_archive_was_extracted(root: Path) -> None:
    for path in (root, root.parent, root / "dataset"):
        assert found(path).root == root
    (root / "split.json").unlink()
    for path in (root, root.parent, root / "dataset"):
        assert MovieFolder.find(path) is None


def test_the_split_is_the_authors_with_train_first(root: Path) -> None:
    findings = Findings()
    assert found(root).splits(findings) == {
        movie_id(2): "train", movie_id(1): "train", movie_id(3): "val", movie_id(4): "test",
    }  # fmt: skip
    assert findings == Findings()


def test_a_movie_is_read(root: Path) -> None:
    movie = found(root).movie(movie_id(4))
    assert (movie.title, movie.year, movie.genres) == ("Film 4", 1954, ("Comedy", "Short"))
    assert movie.plots[1] == "A much longer joke clown story, number 4."
    assert movie.people == {
        "director": ["Dora 1"],
        "producer": ["Pat Producer", "Paul 0"],
        "writer": ["Will Writer"],  # named twice in the file
        "cinematographer": ["Cid 4"],
        "art_director": ["Art Dee"],
    }
    assert list(movie.people) == list(ROLES)
    assert movie.num_nameless == 0
    assert found(root).poster(movie_id(4)) == root / "dataset" / "0000004.jpeg"


def test_both_names_of_art_directors_are_read(tmp_path: Path) -> None:
    people = {"art direction": [person("A One")], "art director": [person("B Two")]}
    root = write_folder(tmp_path / "m", {"train": [1, 2]}, {1: people, 2: {"art direction": None}})
    assert found(root).movie(movie_id(1)).people["art_director"] == ["A One", "B Two"]
    assert found(root).movie(movie_id(2)).people["art_director"] == []


def test_a_movie_of_which_little_is_known(tmp_path: Path) -> None:
    gone = dict.fromkeys(("plot", "title", "genres", "director", "writer"))
    odd = {"year": "1999", "producer": [{"headshot": "x"}, "Plain Name", None]}
    root = write_folder(tmp_path / "m", {"train": [1]}, {1: {**gone, **odd}})
    (root / "dataset" / "0000001.jpeg").unlink()
    movie = found(root).movie(movie_id(1))
    assert (movie.title, movie.year, movie.plots, movie.genres) == (None, 1999, (), ())
    assert movie.people["director"] == []
    assert movie.people["producer"] == ["Plain Name"]
    assert movie.num_nameless == 2
    assert found(root).poster(movie_id(1)) is None


def test_one_that_stands_without_a_list_is_a_list_of_one(tmp_path: Path) -> None:
    single = {"plot": "Only this.", "genres": "War", "director": person("A One")}
    root = write_folder(tmp_path / "m", {"train": [1]}, {1: single})
    movie = found(root).movie(movie_id(1))
    assert (movie.plots, movie.genres) == (("Only this.",), ("War",))
    assert movie.people["director"] == ["A One"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"title": "Half a', "truncated, damaged or no JSON"),
        (b"", "truncated, damaged or no JSON"),
        (b'{"title": "\xff\xfe"}', "truncated, damaged or no JSON"),
        (b"[" * 100_000, "truncated, damaged or no JSON"),
        (b"[1, 2]", "holds a list of other things, not one movie"),
        (b'{"genres": {"a": 1}}', '"genres" holds an object; expected a list of texts'),
        (b'{"plot": [1]}', '"plot" holds a list of other things; expected a list of texts'),
        (b'{"director": 3}', '"director" holds a number; expected a list of people'),
    ],
)
def test_a_damaged_movie_says_why(root: Path, content: bytes, reason: str) -> None:
    (root / "dataset" / "0000001.json").write_bytes(content)
    with pytest.raises(ValueError, match="^" + reason):
        found(root).movie(movie_id(1))


def test_a_movie_that_cannot_be_opened_says_why(root: Path) -> None:
    folder = found(root)
    (root / "dataset" / "0000001.json").unlink()
    with pytest.raises(ValueError, match=r"cannot be read \(No such file"):
        folder.movie(movie_id(1))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"train": [', "truncated, damaged or no JSON"),
        (["0000001"], "holds a list of other things; expected a list of ids a split."),
        ({"trian": [movie_id(1)]}, 'unknown split "trian".*Did you mean "train"'),
        ({"train": [1]}, '"train" holds a list of other things; expected a list of ids as text'),
        ({"train": "0000001"}, '"train" holds text'),
        ({"train": [movie_id(1)], "dev": [movie_id(1)]}, r"1 ids come more than once \(0000001\)"),
        ({}, "names no movie"),
    ],
)
def test_a_damaged_split_says_why(root: Path, content: object, problem: str) -> None:
    (reported,) = split_problems(root, content)
    assert re.match(problem, reported), reported


def test_ids_without_files_and_files_without_ids_are_named(root: Path) -> None:
    for name in ("0000001.json", "0000003.json"):
        (root / "dataset" / name).unlink()
    (root / "dataset" / "9999999.jpeg").touch()
    findings = Findings()
    found(root).splits(findings)
    (problem,) = findings.problems
    assert "2 of 4 movies of split.json have no JSON file (0000001, 0000003)" in problem
    assert findings.warnings == [
        f"{root / 'dataset'}: 1 files belong to no movie of split.json (9999999.jpeg) and are "
        "left out."
    ]
