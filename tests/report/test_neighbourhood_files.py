from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from bayesfuse.errors import ConfigError, MissingExtraError, UserError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbourhood import ego
from bayesfuse.report.neighbourhood import Drawing, arrange
from bayesfuse.report.neighbourhood_files import neighbourhood_files, write_neighbourhood


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    graph = EntityGraph.from_people({"director": [["A"], ["A"], ["B"]]})
    return arrange(ego(graph, 0), ["x", "y", "z"], ["Jaws", "Duel", "Alien"])


@pytest.mark.parametrize("name", ["around", "around.png", "around.HTML"])
def test_a_name_stands_for_two_files(name: str) -> None:
    assert neighbourhood_files(Path("a.b") / name) == (
        Path("a.b/around.png"),
        Path("a.b/around.html"),
    )


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/.."])
def test_a_folder_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a name such as jaws"):
        neighbourhood_files(Path(name))


def test_a_dot_in_a_name_stays() -> None:
    assert [path.name for path in neighbourhood_files(Path("E.T."))] == ["E.T..png", "E.T..html"]
    assert neighbourhood_files(Path("v1.2"))[0].name == "v1.2.png"


def test_both_are_written_into_a_new_folder(drawing: Drawing, tmp_path: Path) -> None:
    assert write_neighbourhood(drawing, tmp_path / "new" / "jaws") == ()
    with Image.open(tmp_path / "new" / "jaws.png") as image:
        assert image.format == "PNG"
    page = (tmp_path / "new" / "jaws.html").read_text(encoding="utf-8")
    assert "Duel" in page
    assert "Alien" not in page
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_an_extra_nothing_is_written(
    package: str, drawing: Drawing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [package, *(n for n in sys.modules if n.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*bayesfuse\[report\]"):
        write_neighbourhood(drawing, tmp_path / "jaws")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(drawing: Drawing, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/jaws\.png: .* choose another --out\."):
        write_neighbourhood(drawing, tmp_path / "file" / "jaws")
    (tmp_path / "jaws.html").mkdir()
    with pytest.raises(UserError, match=r"Cannot write .*jaws\.html"):
        write_neighbourhood(drawing, tmp_path / "jaws")
