"""`bayesfuse graph`: what it prints, what it draws, and what it refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.cli.conftest import NUM_ITEMS, Ran

Bayesfuse = Callable[..., Ran]

LABELS = ["--labels", "genres", "--labels-separator", "|", "--split", "part"]
PEOPLE = ["--people", "director", "--people-separator", "|"]
FILM = ["films.csv", "--id", "id", "--title", "title"]
GRAPH = ["graph", *FILM, *LABELS, *PEOPLE]

EXPECTED = """\
demo: 60 nodes, 12 edges, self-loops: 42 (isolated)

relation  items with  names  edges  mean degree  median  max  isolated  share
director          60     56      5         0.17       0    2        53  88.3%
writer            60     73      7         0.23       0    2        47  78.3%
union             60      -     12         0.40       0    3        42  70.0%

neighbours  nodes  share
0              42  70.0%  ##############################
1              14  23.3%  ##########
2–3             4   6.7%  ###

labels of neighbours, 36 items of train

relation  pairs  Jaccard  by chance       ±  ratio
director      2    0.333      0.225  0.1876   1.48
writer        2    0.267      0.225  0.1865   1.19
union         4    0.300      0.225  0.1502   1.33

label        neighbour has it too  by chance
Action                       0.0%      28.6%
Comedy                      50.0%      40.0%
Documentary                     -       8.6%
Drama                       50.0%      48.6%
Horror                      50.0%      14.3%
Romance                     50.0%      31.4%
Sci-Fi                          -       8.6%
"""
KEYS = {
    *("catalog", "num_nodes", "num_edges", "self_loops", "num_self_loops", "relations"),
    *("histogram", "weights", "cut", "homophily", "around", "files", "warnings"),
}


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the embedded catalogue one of 60 items."""
    from bayesfuse.data.demo import write_demo
    from bayesfuse.estimator import catalogs

    monkeypatch.setattr(catalogs, "write_demo", lambda path: write_demo(path, num_items=60))


@pytest.mark.usefixtures("small_demo")
@pytest.mark.parametrize("catalog", [[], ["demo"]])
def test_the_demo_catalogue_in_tables(
    place: Path, bayesfuse: Bayesfuse, catalog: list[str]
) -> None:
    done = bayesfuse("graph", *catalog)
    assert (done.code, done.err) == (0, "")
    assert done.out == EXPECTED


def test_one_json_document_has_all_of_it(place: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse(*GRAPH, "--json", "--around", "f3", "--histogram", "degrees.png")
    assert (done.code, done.err) == (0, "")
    assert set(done.json) == KEYS
    assert done.json["files"] == ["neighbourhood.png", "neighbourhood.html", "degrees.png"]
    assert all(Path(name).is_file() for name in done.json["files"])
    assert [row["name"] for row in done.json["relations"]] == ["director", "union"]
    # Seven directors of every seventh film.
    sizes = [len(range(k, NUM_ITEMS, 7)) for k in range(7)]
    assert done.json["num_edges"] == sum(size * (size - 1) // 2 for size in sizes)
    assert sum(b["count"] for b in done.json["histogram"]) == NUM_ITEMS
    assert done.json["homophily"]["label_names"] == ["Comedy", "Drama", "Horror"]
    around = done.json["around"]
    assert (around["id"], around["title"]) == ("f3", "Film 3")
    assert [node["id"] for node in around["nodes"]] == ["f3", *(f"f{k}" for k in range(10, 90, 7))]
    assert around["edges"][0]["shared"] == [{"relation": "director", "name": "d3"}]


def test_a_neighbourhood_becomes_a_picture_and_a_page(place: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse(*GRAPH, "--around", "film 3", "--max-nodes", "6", "-o", "new/three.png")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(
        "\n\nFilm 3 and 5 of those it shares a name with; 7 more within reach are not shown.\n\n"
        "Open new/three.png, new/three.html\n"
    )
    with Image.open("new/three.png") as image:
        assert image.format == "PNG"
        image.load()
        assert image.width > 1000
    page = Path("new/three.html").read_text(encoding="utf-8")
    for title in ("Film 3", "Film 10", "Film 17", "Film 24", "Film 31", "Film 38"):
        assert title in page
    assert "Film 45" not in page
    assert "Film 4<" not in page


def test_what_is_there_is_only_replaced_when_asked(place: Path, bayesfuse: Bayesfuse) -> None:
    drawn = [*GRAPH, "--around", "Film 3", "--out", "three"]
    assert bayesfuse(*drawn).code == 0
    first = Path("three.png").read_bytes()
    refused = bayesfuse(*GRAPH, "--around", "Film 4", "--out", "three")
    assert (refused.code, refused.out) == (2, "")
    assert "three.png exists already" in refused.err
    assert Path("three.png").read_bytes() == first
    done = bayesfuse(*GRAPH, "--around", "Film 4", "--out", "three", "--overwrite")
    assert done.code == 0
    assert Path("three.png").read_bytes() != first
    assert "Film 4" in Path("three.html").read_text(encoding="utf-8")


def test_labels_of_val_and_test_are_not_looked_at(place: Path, bayesfuse: Bayesfuse) -> None:
    before = [bayesfuse(*GRAPH), bayesfuse(*GRAPH, "--json")]
    films = pd.read_csv("films.csv", dtype=str, keep_default_na=False)
    held_out = films["part"] != "train"
    films.loc[held_out, "genres"] = [
        "Planted|Horror" if i % 2 else "" for i in range(held_out.sum())
    ]
    films.to_csv("films.csv", index=False)
    assert [bayesfuse(*GRAPH), bayesfuse(*GRAPH, "--json")] == before
    films.loc[~held_out, "genres"] = films.loc[~held_out, "genres"].to_list()[::-1]
    films.to_csv("films.csv", index=False)
    assert bayesfuse(*GRAPH).out != before[0].out


def test_a_large_group_is_cut_and_it_says_so(place: Path, bayesfuse: Bayesfuse) -> None:
    films = pd.read_csv("films.csv")
    films["studio"] = ["Acme" if i % 3 else f"Own {i // 6}" for i in range(NUM_ITEMS)]
    films.to_csv("films.csv", index=False)
    people = ["--people", "director,studio", "--people-separator", "|"]
    done = bayesfuse("graph", *FILM, *LABELS, *people, "--max-group", "20", "--self-loops", "all")
    assert done.code == 0
    assert done.err == (
        'Warning: 1 name is in more than 20 items (max_group) and joins none of them: studio "Acme"'
        " (60 items).\n"
    )
    assert f"self-loops: {NUM_ITEMS} (all)\n" in done.out
    (studio,) = [line for line in done.out.splitlines() if line.startswith("studio")][:1]
    assert studio.split()[:4] == ["studio", str(NUM_ITEMS), "16", "15"]
    assert studio.split()[-1] == "1"
    assert "cut" in done.out.splitlines()[2]


def test_given_pairs(place: Path, bayesfuse: Bayesfuse) -> None:
    pairs = {"source": ["f1", "f2"], "target": ["f2", "f4"], "kind": ["sequel", "remake"]}
    pd.DataFrame({**pairs, "times": [1, 3]}).to_csv("pairs.csv", index=False, sep=";")
    given = ["--edges", "pairs.csv", "--edge-relation", "kind", "--edge-delimiter", ";"]
    done = bayesfuse("graph", *FILM, *LABELS, *given, "--around", "Film 2", "--hops", "2")
    assert (done.code, done.err) == (0, "Warning: pairs.csv: not read: times.\n")
    assert done.out.startswith(f"films.csv: {NUM_ITEMS} nodes, 2 edges, self-loops: 87 (isolated)")
    assert "sequel" in done.out
    assert "Film 2 and 2 of those it is joined to." in done.out
    done = bayesfuse(*GRAPH, *given, "--edge-weight", "times", "--json")
    assert done.err == (
        "Warning: --people, --people-separator: no effect with --edges, which says who is joined.\n"
    )
    assert done.json["weights"] == {"min": 1.0, "mean": 2.0, "max": 3.0}
    done = bayesfuse("graph", *FILM, *given, "--edge-source", "from")
    assert (done.code, done.out) == (2, "")
    assert (
        'source: pairs.csv has no column "from"; it has source, target, kind, times. Name it with '
        "--edge-source." in done.err
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([*FILM, *LABELS], "it has no people that items could share; name their columns: --people"),
        ([*FILM, *LABELS, *PEOPLE, "--around", "Flim 3"], 'Did you mean "Film 3"?'),
        ([*FILM, *LABELS, *PEOPLE, "--around", "lm 44"], "Titles that hold it: 'Film 44'."),
        ([*FILM, "--people", "directors"], 'Did you mean "director"?'),
    ],
)
def test_mistakes(place: Path, bayesfuse: Bayesfuse, args: list[str], said: str) -> None:
    done = bayesfuse("graph", *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not list(place.glob("neighbourhood*"))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra_it_is_named_and_nothing_is_written(
    place: Path, bayesfuse: Bayesfuse, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = bayesfuse(*GRAPH, "--around", "Film 3")
    assert (done.code, done.out) == (2, "")
    assert package in done.err
    assert "pip install 'bayesfuse[report]'" in done.err
    assert not list(place.glob("*neighbourhood*"))
    assert bayesfuse(*GRAPH).code == 0  # the numbers need neither


@pytest.mark.movies
def test_the_movies_table_is_the_one_of_their_readme(
    movies_path: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("graph", movies_path)
    assert (done.code, done.err) == (0, "")
    readme = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in (movies_path / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(("| director ", "| producer ", "| writer ", "| cinematographer "))
        or line.startswith(("| art_director ", "| union "))
    ]
    assert len(readme) == 6
    table = done.out.split("\n\n")[1].splitlines()[1:]
    for (name, named, people, edges, mean, median, largest, isolated), line in zip(
        readme, table, strict=True
    ):
        cells = line.split()
        assert cells[0] == name
        assert f"{int(cells[1].replace(',', '')) / 8619:.1%}" == named
        assert cells[2].replace(",", "") == (people or "-")
        assert cells[3:7] == [edges, mean, median, largest]
        assert cells[8] == isolated
