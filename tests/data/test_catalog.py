from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesfuse.data.catalog import Catalog
from bayesfuse.errors import CatalogError

MOVIES = Path(__file__).resolve().parents[2].parent / "shared/data/movies"

IDS = ["a", "b", "c", "d"]
COLUMNS: dict[str, list[object]] = {
    "id": IDS,
    "name": ["One", None, "Three", "Four"],
    "plot": ["a war", "a love", None, "a crime"],
    "poster": [b"1", b"2", b"3", None],
    "genres": [["War", "Drama"], ["Drama"], [], ["War"]],
    "director": [["Ann"], ["Ann", "Bob"], None, []],
    "part": ["train", "train", "test", "val"],
    "extra": [1, 2, 3, 4],
}
TOML = """
table = "items.parquet"
id = "id"
title = "name"
labels = "genres"
split = "part"
[modalities.text]
column = "plot"
features = "features.npz:text"
[modalities.image]
column = "posters.parquet:jpeg"
encoder = "statistics"
[graph]
people = ["director"]
"""


def folder(
    path: Path,
    toml: str = TOML,
    columns: dict[str, list[object]] | None = None,
    text: np.ndarray | None = None,
) -> Path:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 3)).astype(np.float16) if text is None else text
    pq.write_table(pa.table(COLUMNS | (columns or {})), path / "items.parquet")
    pq.write_table(pa.table({"id": IDS, "jpeg": COLUMNS["poster"]}), path / "posters.parquet")
    np.savez(path / "features.npz", id=np.array(IDS), text=features)
    (path / "catalog.toml").write_text(toml, encoding="utf-8")
    return path


def message(path: Path, **flags: object) -> str:
    with pytest.raises(CatalogError) as caught:
        Catalog.read(path, **flags)
    return str(caught.value)


def test_a_folder_is_read(tmp_path: Path) -> None:
    made = Catalog.read(folder(tmp_path))
    assert made.source == str(tmp_path)
    assert len(made) == 4
    assert made.ids.tolist() == IDS
    assert made.titles == ["One", "", "Three", "Four"]
    assert made.label_names == ("Drama", "War")
    assert made.labels.tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]
    assert made.labelled.tolist() == [True, True, False, True]
    assert [made.rows(name).tolist() for name in ("train", "val", "test")] == [[0, 1], [3], [2]]
    assert made.labelled_rows("test").tolist() == []
    assert made.features.names == ("text",)
    assert made.features.dtypes == {"text": "float16"}
    # The third item has no plot.
    assert made.features.observed[:, 0].tolist() == [True, True, False, True]
    assert made.encoders == {"image": "statistics"}
    assert list(made.raw["image"]) == [b"1", b"2", b"3", None]
    assert made.people == {"director": [["Ann"], ["Ann", "Bob"], [], []]}
    assert made.warnings == ()
    assert Catalog.read(tmp_path / "catalog.toml").ids.tolist() == IDS
    with pytest.raises(CatalogError, match='Unknown split "dev"'):
        made.rows("dev")


def test_a_folder_is_described(tmp_path: Path) -> None:
    made = Catalog.read(folder(tmp_path)).describe()
    assert made.splits["train"] == {"items": 2, "labelled": 2}
    assert made.splits["test"] == {"items": 1, "labelled": 0}
    drama, war = made.labels
    assert (drama.train, drama.train_rate, drama.val, drama.val_rate) == (2, 1.0, 0, 0.0)
    assert (war.name, war.train_rate) == ("War", 0.5)
    assert made.labels_an_item == pytest.approx(4 / 3)
    text, image = made.modalities
    assert (text.width, text.dtype, text.observed, text.raw) == (3, "float16", 0.75, "text")
    assert (image.width, image.observed, image.raw, image.encoder) == (
        None,
        0.75,
        "bytes",
        "statistics",
    )
    assert made.people == {"director": {"items": 2, "names": 2}}
    assert str(tmp_path) in str(made)


def test_a_table_is_a_modality(tmp_path: Path) -> None:
    toml = TOML + '[modalities.facts]\ncolumns = ["extra", "name"]\n'
    toml += "[modalities.facts.settings]\nmin_frequency = 2\n"
    made = Catalog.read(folder(tmp_path, toml))
    assert made.raw["facts"].columns == {"extra": "number", "name": "category"}
    assert made.raw["facts"][1] == {"extra": 2, "name": None}
    assert made.encoder_settings == {"facts": {"min_frequency": 2}}
    facts = made.describe().modalities[-1]
    assert (facts.raw, facts.columns) == ("table", made.raw["facts"].columns)
    csv_file = table_csv(tmp_path / "items.csv", "id,year,code\na,1999,7\nb,,\n")
    flags = {"tabular": ["year", "code"], "categories": ("code",), "require_labels": False}
    made = Catalog.read(csv_file, id="id", **flags)
    assert made.raw["tabular"].columns == {"year": "number", "code": "category"}
    assert list(made.raw["tabular"]) == [{"year": "1999", "code": "7"}, None]
    assert made.encoder_settings == {}
    assert "named twice: year" in message(csv_file, id="id", tabular=["year", "year"])


def test_mistakes_of_every_kind_are_reported_together(tmp_path: Path) -> None:
    toml = TOML.replace("title =", "titel =").replace('"director"', '"directer"')
    toml += '[modalities.gate]\nfeatures = "absent.npy"\n'
    columns: dict[str, list[object]] = {"id": ["a", "b", "a", "d"], "part": ["train", "x", "", "y"]}
    text = np.ones((3, 2))
    shown = message(folder(tmp_path, toml, columns, text))
    for words in (
        "8 problems found",
        'unknown key "titel"',
        'Did you mean "title"?',
        'modality "gate": the name is reserved',
        '1 ids come more than once ("a" in rows 0, 2',
        'split column "part": "x" in 1 rows',
        'no column "directer"',
        'Did you mean "director"?',
        "the first difference is at row 2",
        "text: 3 feature rows, but the table has 4 items",
        f"{tmp_path}/absent.npy: no such file",
    ):
        assert words in shown, words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (np.ones((3, 2)), "text: 3 feature rows, but the table has 4 items"),
        (np.array([[np.nan], [1], [1], [np.inf]]), "2 of 4 rows hold NaN or infinite"),
        (np.ones(4), "text: has shape (4,)"),
        (np.array([["a"]] * 4), "text: holds <U1"),
    ],
)
def test_features_that_do_not_fit_are_refused(tmp_path: Path, text: np.ndarray, words: str) -> None:
    assert words in message(folder(tmp_path, text=text))


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for name in ("features.npz", "items.parquet", "posters.parquet"):
        path = folder(tmp_path) / name
        path.write_bytes(path.read_bytes()[:-30])
        shown = message(tmp_path)
        assert f"{path}: " in shown
        assert "truncated" in shown


def test_labels_are_checked(tmp_path: Path) -> None:
    head = TOML.index("[modalities")
    toml = TOML[:head] + 'label_set = ["War", "Drama", "Sport"]\n' + TOML[head:]
    made = Catalog.read(folder(tmp_path, toml))
    assert made.label_names == ("War", "Drama", "Sport")
    assert "label 'Sport' has no positive among 2 train items" in made.warnings[0]
    columns = {"genres": [["War", "Draama"], ["Drama", "Drama"], [], []]}
    shown = message(folder(tmp_path, toml, columns))
    assert 'outside the label set: "Draama"' in shown
    assert "none of the 1 items of val has labels" in shown
    folder(tmp_path, TOML, {"genres": [["War", "War"], ["Drama"], [], ["War"]]})
    assert Catalog.read(tmp_path).warnings == (
        "labels: 1 items name a label twice; it counts once.",
    )
    assert "no item is in val" in message(folder(tmp_path, TOML, {"part": ["train"] * 4}))
    assert Catalog.read(tmp_path, require_labels=False).rows("val").size == 0


def test_an_empty_list_of_labels_may_mean_none(tmp_path: Path) -> None:
    head = TOML.index("[modalities")
    toml = TOML[:head] + 'empty_labels = "none"\n' + TOML[head:]
    assert Catalog.read(folder(tmp_path, toml)).labelled.all()


def test_flags_are_not_for_folders(tmp_path: Path) -> None:
    assert "--id, --labels-separator: for a single file" in message(
        folder(tmp_path), id="id", labels_separator="|"
    )


def test_nothing_there_says_so(tmp_path: Path) -> None:
    assert f"{tmp_path}/none: no such file or folder" in message(tmp_path / "none")
    assert "a folder with a catalog.toml, or one file" in message(tmp_path)
    folder(tmp_path, TOML.replace("items.parquet", "item.parquet"))
    assert f"{tmp_path}/item.parquet: no such file" in message(tmp_path)
    (tmp_path / "empty.csv").write_text("id,plot\n", encoding="utf-8")
    assert "the table is empty" in message(tmp_path / "empty.csv", id="id", text="plot")


awkward = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
)
names = awkward.map(str.strip).filter(bool)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, object]]:
    ids = draw(st.lists(awkward.filter(str.strip), min_size=2, max_size=6, unique=True))
    lists = st.lists(names, min_size=1, max_size=3, unique=True)
    return [
        {
            "id": name,
            "plot": draw(awkward | st.none()),
            "genres": draw(lists),
            "director": draw(lists | st.just([])),
            "part": ("train", "val")[i] if i < 2 else draw(st.sampled_from(["train", "test"])),
        }
        for i, name in enumerate(ids)
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_every_format_reads_the_same(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = {"plot": pa.string(), "director": pa.list_(pa.string())}
    arrays = {name: pa.array(cells, kinds.get(name)) for name, cells in columns.items()}
    pq.write_table(pa.table(arrays), tmp_path / "items.parquet")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (tmp_path / "items.jsonl").write_text("".join(lines), encoding="utf-8", newline="")
    with (tmp_path / "items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        for row in rows:
            cells = (json.dumps(c) if isinstance(c, list) else c or "" for c in row.values())
            writer.writerow(list(cells))
    for name in ("items.parquet", "items.jsonl", "items.csv"):
        made = Catalog.read(
            tmp_path / name,
            id="id",
            text="plot",
            labels="genres",
            people=["director"],
            split="part",
        )
        assert made.ids.tolist() == columns["id"]
        assert made.split.tolist() == columns["part"]
        assert made.people["director"] == columns["director"]
        plots = [plot if plot and str(plot).strip() else None for plot in columns["plot"]]
        assert list(made.raw["text"]) == plots
        held = [{made.label_names[i] for i in np.flatnonzero(values)} for values in made.labels]
        assert held == [set(labels) for labels in columns["genres"]]


def table_csv(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_csv_with_a_wrong_delimiter_names_the_right_one(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "items.csv", "id;plot;g;s\na;x;A|B;train\nb;y;A;val\nc;z;B;test\n")
    flags = {"id": "id", "text": "plot", "labels": "g", "split": "s"}
    assert "--delimiter ';' reads it" in message(path, **flags)
    shown = message(path, **flags, delimiter=";")
    assert "--labels-separator '|' splits them" in shown
    made = Catalog.read(path, **flags, delimiter=";", labels_separator="|")
    assert made.label_names == ("A", "B")
    assert made.labels.tolist() == [[1, 1], [1, 0], [0, 1]]


def test_wrong_flags_are_reported_together(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "items.csv", "id,plot,genres,part\na,x,A,train\nb,y,B,val\n")
    shown = message(path, id="idd", text="plto", labels="genre", split="prat", people=["crew"])
    for word, nearest in (("idd", "id"), ("plto", "plot"), ("genre", "genres"), ("prat", "part")):
        assert f'no column "{word}"' in shown
        assert f'Did you mean "{nearest}"?' in shown
    assert 'no column "crew"' in shown
    assert "5 problems" in shown
    assert "no id: name its column with --id" in message(path, text="plot")
    assert "no labels: name their column with --labels" in message(path, id="id", text="plot")
    assert "no modality" in message(path, id="id", labels="genres")
    shown = message(path, id="id", text="plot", labels="genres", empty_labels="maybe")
    assert "'unknown' or 'none'" in shown


def test_new_items_need_no_labels(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "items.csv", "id,plot\na,x\nb,y\n")
    made = Catalog.read(path, id="id", text="plot", require_labels=False)
    assert made.rows("test").tolist() == [0, 1]
    assert made.label_names == ()
    assert made.labels.shape == (2, 0)
    assert made.describe().labels_an_item is None
    assert "every item is in test" in made.warnings[0]


def test_a_single_file_may_have_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
    for place, value in ((beside, 1.0), (elsewhere, 2.0)):
        place.mkdir()
        np.savez(place / "feats.npz", text=np.full((2, 1), value))
    path = table_csv(beside / "items.csv", "id,plot,g,s\na,x,A,train\nb,y,B,val\n")
    flags = {"id": "id", "labels": "g", "split": "s", "features": {"text": "feats.npz:text"}}
    monkeypatch.chdir(tmp_path)
    assert Catalog.read(path, **flags).features.batch([0])[0]["text"].tolist() == [[1.0]]
    # A path that a shell completed is from the current directory.
    monkeypatch.chdir(elsewhere)
    made = Catalog.read(path, **flags, text="plot")
    assert made.features.batch([0])[0]["text"].tolist() == [[2.0]]
    assert list(made.raw["text"]) == ["x", "y"]


def test_without_a_split_the_same_items_stay_together(tmp_path: Path) -> None:
    lines = [f"i{i},x,A\n" for i in range(200)]
    flags = {"id": "id", "text": "plot", "labels": "g"}
    made = Catalog.read(table_csv(tmp_path / "a.csv", "id,plot,g\n" + "".join(lines)), **flags)
    moved = "id,plot,g\nnew,x,B\n" + "".join(reversed(lines))
    again = Catalog.read(table_csv(tmp_path / "b.csv", moved), **flags)
    before = dict(zip(made.ids.tolist(), made.split.tolist(), strict=True))
    after = dict(zip(again.ids.tolist(), again.split.tolist(), strict=True))
    assert after.items() >= before.items()
    assert "80/10/10" in made.warnings[0]
    other = Catalog.read(tmp_path / "a.csv", **flags, seed=1)
    assert other.split.tolist() != made.split.tolist()


@pytest.mark.movies
@pytest.mark.skipif(not MOVIES.exists(), reason=f"no movie catalogue at {MOVIES}")
def test_the_movie_catalogue_is_read() -> None:
    made = Catalog.read(MOVIES)
    assert len(made) == 8619
    assert [len(made.rows(name)) for name in ("train", "val", "test")] == [5174, 855, 2590]
    assert len(made.label_names) == 21
    assert made.features.widths == {"text": 384, "image": 1280}
    assert set(made.features.dtypes.values()) == {"float16"}
    assert made.features.observed.all()
    assert len(made.labelled_rows("val")) == 855
    assert len(made.labelled_rows("test")) == 0
    assert not made.labels[made.rows("test")].any()
    assert made.labels[made.labelled].sum(axis=1).mean() == pytest.approx(2.30, abs=0.005)
    assert list(made.people) == [
        "director",
        "producer",
        "writer",
        "cinematographer",
        "art_director",
    ]
    assert made.warnings == ()
    values, observed = made.features.batch([8618, 0])
    assert values["image"].dtype == np.float32
    assert observed.all()
    # Posters are only read when they are asked for.
    assert "cells" not in vars(made.raw["image"])
    poster = made.raw["image"][0]
    assert isinstance(poster, bytes)
    assert poster.startswith(b"\xff\xd8")


def test_without_its_modalities_a_catalogue_needs_none_of_their_files(tmp_path: Path) -> None:
    folder(tmp_path)
    whole = Catalog.read(tmp_path)
    for name in ("features.npz", "posters.parquet"):
        (tmp_path / name).unlink()
    found = Catalog.read(tmp_path, with_modalities=False)
    assert found.people == whole.people
    assert np.array_equal(found.labels, whole.labels)
    assert (found.features.names, found.raw, found.encoders) == ((), {}, {})
    assert len(found.features) == len(found) == 4
    with pytest.raises(CatalogError, match=r"features\.npz"):
        Catalog.read(tmp_path)


def test_without_its_modalities_a_file_needs_no_column_of_one(tmp_path: Path) -> None:
    path = table_csv(tmp_path / "items.csv", "id,crew\na,x\nb,y\n")
    flags = {"id": "id", "people": ["crew"], "people_separator": "|", "require_labels": False}
    assert Catalog.read(path, **flags, with_modalities=False).people == {"crew": [["x"], ["y"]]}
    with pytest.raises(CatalogError, match="no modality"):
        Catalog.read(path, **flags)
