from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.data.catalog_file import (
    CatalogSpec,
    files_outside,
    read_catalog_file,
    split_reference,
)
from bayesfuse.data.findings import Findings
from bayesfuse.errors import CatalogError

WHOLE = """
table = "items.parquet"
id = "id"
title = "title"
labels = ["genres", "tags"]
label_sources = "equal"
labels_separator = "|"
label_set = ["Drama", "War"]
empty_labels = "none"
split = "split"
delimiter = ";"

[modalities.text]
column = "plot"
features = "features.npz:text"
observed = "text_observed"
encoder = "tfidf"
kind = "text"
settings = {pooling = "cls", max_length = 128, names = ["a", "b"], deep = {lr = 0.5, size = [3, 4]}}

[modalities.facts]
columns = ["year", "country"]
categories = ["year"]

[graph]
people = ["director"]
people_separator = ";"
"""


def read(tmp_path: Path, content: str) -> tuple[CatalogSpec, Findings]:
    path = tmp_path / "catalog.toml"
    path.write_text(content, encoding="utf-8")
    findings = Findings()
    return read_catalog_file(path, findings), findings


def test_every_key_is_understood(tmp_path: Path) -> None:
    spec, findings = read(tmp_path, WHOLE)
    assert not findings.problems
    assert spec.label_set == ("Drama", "War")
    assert spec.labels == ("genres", "tags")
    assert spec.graph.people == ("director",)
    assert spec.modalities["text"].encoder == "tfidf"
    assert spec.modalities["text"].settings == {
        "pooling": "cls",
        "max_length": 128,
        "names": ("a", "b"),
        "deep": {"lr": 0.5, "size": (3, 4)},
    }
    assert spec.modalities["facts"].columns == ("year", "country")
    assert spec.modalities["facts"].categories == ("year",)
    assert set(spec.model_dump(exclude_none=True)) == set(CatalogSpec.model_fields)


def test_unknown_keys_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    content = WHOLE.replace("title =", "titel =").replace("column =", "colum =", 1)
    spec, findings = read(tmp_path, content.replace("people =", "peeple ="))
    assert spec.title is None
    assert spec.table == "items.parquet"
    joined = "\n".join(findings.problems)
    assert 'unknown key "titel"' in joined
    assert 'Did you mean "title"?' in joined
    assert 'unknown key "modalities.text.colum"' in joined
    assert 'Did you mean "column"?' in joined
    assert 'unknown key "graph.peeple"' in joined
    assert "encoder needs column" in joined


def test_missing_and_wrong_values_are_refused_together(tmp_path: Path) -> None:
    content = 'id = 3\nempty_labels = "maybe"\n[modalities.Text]\nfeatures = 1\nzzz = 2\n'
    with pytest.raises(CatalogError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    for words in (
        '"table" is missing: name the file',
        '"id": Input should be a valid string; got 3',
        "'unknown' or 'none'",
        '"modalities.Text.features"',
        'modality "Text": a name is a small letter',
        'unknown key "modalities.Text.zzz"',
    ):
        assert words in message


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    _, findings = read(tmp_path, 'table = "a.csv"\nid = "id"\nlabel_set = ["a"]\n')
    assert any("need labels" in problem for problem in findings.problems)
    _, findings = read(
        tmp_path,
        'table = "a.csv"\nid = "id"\nlabels = "g"\nlabel_set = ["a", "a"]\n[modalities.text]\n',
    )
    assert findings.problems == [
        "modalities.text: needs column (raw), columns (a table's) or features (encoded).",
        "label_set: named twice: a.",
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('column = "plot"\ncolumns = ["year"]', "has column and columns"),
        ('columns = ["year"]\nkind = "text"', "kind is for column"),
        ("columns = []", "columns names none"),
        ('columns = ["year"]\ncategories = ["yaer"]', 'columns (year). Did you mean "year"?'),
        ('column = "plot"\ncategories = ["year"]', "not among its columns (none)"),
        ('columns = ["a", "b", "a"]', "columns named twice: a."),
        ('columns = ["a"]\ncategories = ["a", "a"]', "categories named twice: a."),
        ('columns = ["year", "genres"]', "columns names genres, the labels"),
        ('features = "a.npy"\nsettings = {width = 3}', "settings needs column or columns"),
        ('features = "a.npy"\nencoder = "tfidf"', "encoder needs column or columns"),
    ],
)
def test_modalities_that_make_no_sense_are_refused(tmp_path: Path, said: str, words: str) -> None:
    head = 'table = "a.csv"\nid = "id"\nlabels = "genres"\n[modalities.facts]\n'
    _, findings = read(tmp_path, head + said)
    (problem,) = findings.problems
    assert problem.startswith("modalities.facts: ")
    assert words in problem


@pytest.mark.parametrize(
    "value", ["2020-01-01", "nan", "[[1]]", "[inf]", "{a = [[1]]}", "{a = {b = 1}}"]
)
def test_a_setting_is_a_plain_value(tmp_path: Path, value: str) -> None:
    head = 'table = "a.csv"\nid = "id"\n[modalities.text]\ncolumn = "plot"\n'
    with pytest.raises(CatalogError, match="expected true, false, a finite number") as caught:
        read(tmp_path, f"{head}settings = {{width = {value}}}\n")
    assert '"modalities.text.settings.width"' in str(caught.value)
    assert len(caught.value.problems) == 1


def test_files_that_are_no_toml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"not TOML in UTF-8 .*line 1"):
        read(tmp_path, "table = items.csv")
    (tmp_path / "catalog.toml").write_bytes(b'table = "\xe9"')
    with pytest.raises(CatalogError, match="not TOML in UTF-8"):
        read_catalog_file(tmp_path / "catalog.toml", Findings())
    with pytest.raises(CatalogError, match=r"a folder with a catalog\.toml, or one file"):
        read_catalog_file(tmp_path / "none" / "catalog.toml", Findings())


def test_references_name_a_file_and_a_member() -> None:
    suffixes = (".npz", ".npy")
    assert split_reference("a/b.npz:text", suffixes) == ("a/b.npz", "text")
    assert split_reference("C:/b.NPY", suffixes) == ("C:/b.NPY", None)
    assert split_reference("C:/b.npz:x:y", suffixes) == ("C:/b.npz", "x:y")
    assert split_reference("plot:npz", suffixes) is None


def test_files_outside_of_the_folder_are_named(tmp_path: Path) -> None:
    home = tmp_path / "catalogue"
    home.mkdir()
    (home / "linked.npz").symlink_to(tmp_path / "elsewhere.npz")
    (home / "inside.npz").symlink_to(home / "other.npz")
    modalities = "".join(
        f"[modalities.m{number}]\n{line}\n"
        for number, line in enumerate(
            [
                'features = "linked.npz:a"',
                'features = "inside.npz:a"',
                'column = "/etc/passwd.csv:shell"',
                'features = "sub/../../x.npz:a"\nobserved = "linked.npz:seen"',
                'column = "plot"',
            ]
        )
    )
    content = f'table = "../items.csv"\nid = "id"\n{modalities}'
    spec, _ = read(tmp_path, content)
    assert files_outside(spec, home) == [
        *("../items.csv", "linked.npz", "/etc/passwd.csv", "sub/../../x.npz"),
    ]
    elsewhere = files_outside(spec, tmp_path / "no" / "such")
    assert elsewhere == ["../items.csv", "/etc/passwd.csv", "sub/../../x.npz"]
