"""What a user can get wrong in `fit`: one message on stderr, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesfuse.config import FUSIONS
from tests.cli.conftest import COLUMNS, CSV, ENCODE, NUM_ITEMS, SMALL, Ran, tree

Bayesfuse = Callable[..., Ran]

LABELLED = ["--id", "id", "--labels", "genres", "--labels-separator", "|"]
TEXT = [*LABELLED, "--text", "plot", "--text-encoder", "tfidf"]


@pytest.fixture
def never_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make training a failure of the test: mistakes are found before it."""

    def fit(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("bayesfuse.inference.svi.SVI.fit", fit)


def refused(bayesfuse: Bayesfuse, place: Path, *args: object) -> str:
    """Return what stderr says of a command that must fail with 2, silently else."""
    before = tree(place)
    done = bayesfuse(*args)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.count("Error: ") == 1
    assert "Traceback" not in done.err
    assert tree(place) == before
    return done.err


pytestmark = pytest.mark.usefixtures("never_trained")


# ---- the catalogue ----


def test_a_csv_with_a_wrong_delimiter(place: Path, bayesfuse: Bayesfuse) -> None:
    pd.read_csv("films.csv").to_csv("semicolons.csv", sep=";", index=False)
    assert refused(bayesfuse, place, "fit", "semicolons.csv", *CSV, *ENCODE) == (
        "Error: semicolons.csv: 1 problem found.\n"
        "  - semicolons.csv: its header does not come apart at ','; it looks like ';'. "
        "--delimiter ';' reads it (in catalog.toml: delimiter = \";\").\n"
    )
    described = bayesfuse("data", "describe", "semicolons.csv", *CSV, "--delimiter", ";")
    assert described.code == 0  # what the message says works


def test_features_with_one_row_too_few(place: Path, bayesfuse: Bayesfuse) -> None:
    np.savez("features.npz", text=np.ones((NUM_ITEMS - 1, 3), np.float32))
    flags = [*LABELLED, "--features", "text=features.npz:text"]
    assert refused(bayesfuse, place, "fit", "films.csv", *flags) == (
        "Error: films.csv: 1 problem found.\n"
        f"  - text: {NUM_ITEMS - 1} feature rows, but the table has {NUM_ITEMS} items; encode "
        "every item, in the table's order (an item without this modality keeps a row, masked).\n"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(value: float, place: Path, bayesfuse: Bayesfuse) -> None:
    text = np.ones((NUM_ITEMS, 3), np.float32)
    text[7, 2] = value
    np.savez("features.npz", text=text)
    flags = [*LABELLED, "--features", "text=features.npz:text"]
    said = refused(bayesfuse, place, "fit", "films.csv", *flags)
    assert f"text: 1 of {NUM_ITEMS} rows hold NaN or infinite features (first: row 7" in said
    assert "text_observed" in said


def test_ids_that_are_repeated(place: Path, bayesfuse: Bayesfuse) -> None:
    table = pd.read_csv("films.csv")
    table.loc[[3, 5], "id"] = "f1"
    table.to_csv("films.csv", index=False)
    said = refused(bayesfuse, place, "fit", "films.csv", *CSV, *ENCODE)
    assert '("f1" in rows 1, 3, 5; rows are counted from 0). Keep one row an item.' in said


def test_genres_as_one_string(place: Path, bayesfuse: Bayesfuse) -> None:
    table = pd.read_csv("films.csv")
    table["genres"] = table["genres"].str.replace("|", ", ")
    table.to_csv("films.csv", index=False)
    flags = [*COLUMNS, *ENCODE]
    said = refused(bayesfuse, place, "fit", "films.csv", *flags)
    assert "look like several names joined by ','. --labels-separator ',' splits them" in said
    split = bayesfuse("data", "describe", "films.csv", *COLUMNS, "--labels-separator", ",")
    assert split.code == 0
    assert "Comedy" in split.out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", "", "the table is empty; expected a header and rows."),
        ("header.csv", "id,plot,genres\n", "the table is empty; expected one row an item."),
        ("ragged.csv", 'id,plot,genres\na,"b,c\n', "ragged.csv"),
        ("lines.jsonl", '{"id": 1\n', "lines.jsonl"),
        ("table.parquet", "PAR1", "table.parquet"),
        ("table.xlsx", "PK", "not a table; expected a name that ends in .parquet, .csv"),
        ("folder/note.txt", "", "A catalogue is a folder with a catalog.toml, or one file"),
        ("folder/catalog.toml", "table = ", "catalog.toml"),
        ("folder/catalog.toml", 'tabel = "a.csv"\nid = "id"\n', 'Did you mean "table"?'),
    ],
)
def test_what_is_no_catalogue(
    name: str, content: str, said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    source = "folder" if name.startswith("folder") else name
    flags = [] if source == "folder" else TEXT
    assert said in refused(bayesfuse, place, "fit", source, *flags)


def test_a_catalogue_that_is_not_there(place: Path, bayesfuse: Bayesfuse) -> None:
    said = "Error: flims.csv: 1 problem found.\n  - flims.csv: no such file or folder.\n"
    assert refused(bayesfuse, place, "fit", "flims.csv", *CSV) == said
    assert refused(bayesfuse, place, "data", "describe", "flims.csv") == said


def test_all_wrong_columns_at_once(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["--id", "idd", "--text", "plt", "--labels", "genre", "--split", "prat"]
    said = refused(bayesfuse, place, "fit", "films.csv", *flags)
    assert said.startswith("Error: films.csv: 4 problems found.\n")
    assert all(f'Did you mean "{name}"?' in said for name in ("id", "plot", "genres", "part"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "no id: name its column with --id; films.csv has id, title, plot"),
        (LABELLED[:2], "no labels: name their column with --labels"),
        (LABELLED, "no modality: name at least one"),
        ([*LABELLED, "--text", "plot"], "tfidf for texts"),
        (
            [*TEXT[:-1], "tfdif"],
            'Unknown text encoder "tfdif"; expected one of tfidf, tra',
        ),
        ([*TEXT, "--pooling", "cls"], 'Unknown setting of the encoder tfidf "pooling"'),
        ([*TEXT, "--image-encoder", "statistics"], 'Unknown modality with raw cells "image"'),
        ([*TEXT, "--modalities", "tetx"], 'Unknown modality "tetx"; expected one of text.'),
        ([*TEXT, "--features", "f.npz"], "expected NAME=FILE or NAME=FILE:MEMBER"),
        ([*TEXT, "--features", "audio=no.npz:a"], "no.npz: no such file."),
        ([*TEXT, "--label-set", "Drama,Comedy"], '1 outside the label set: "Horror"'),
        ([*TEXT, "--empty-labels", "maybe"], "Input should be 'unknown' or 'none'"),
    ],
)
def test_what_the_flags_leave_open_or_name_wrongly(
    flags: list[str], said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    assert said in refused(bayesfuse, place, "fit", "films.csv", *flags)


def test_columns_without_a_catalogue(place: Path, bayesfuse: Bayesfuse) -> None:
    said = refused(bayesfuse, place, "fit", "--id", "id", "--text", "plot")
    assert said.startswith("Error: --id, --text: for a catalogue of your own that is one file")


# ---- settings ----


def test_settings_are_all_checked_before_anything_is_read(
    place: Path, bayesfuse: Bayesfuse
) -> None:
    flags = ["--fusion", "gum", "--elbo", "anealed", "--hidden", "x", "--epochs", "-3"]
    flags += ["--draws", "0", "--dropout", "2", "--prior-scale", "zero", "--seed", "1.5"]
    flags += ["--device", "tpu", "--feature-norm", "image=x"]
    # nope.csv is not there: it was not looked for
    assert refused(bayesfuse, place, "fit", "nope.csv", *flags) == (
        "Error: In the flags:\n"
        '  - --fusion: Unknown fusion rule "gum"; expected one of '
        f"{', '.join(FUSIONS)}. "
        'Did you mean "gmu"?\n'
        "  - --hidden: expected a whole number; got 'x'.\n"
        "  - --dropout: expected less than 1; got '2'.\n"
        "  - --feature-norm: 'x' is no feature norm; expected a number > 0, none, or "
        "PATTERN=SCALE,... such as 'image=3,*=6'.\n"
        "  - --prior-scale: 'zero' is no prior scale; expected a number > 0, fan-in, learned, or "
        "PATTERN=SCALE,... such as 'fusion.text.*=0.1,*=0.2'.\n"
        '  - --elbo: Unknown ELBO "anealed"; expected one of annealed, meanfield, none, '
        'rao-blackwell, trace. Did you mean "annealed"?\n'
        "  - --epochs: expected at least 1; got '-3'.\n"
        "  - --draws: expected at least 1; got '0'.\n"
        "  - --seed: expected a whole number; got '1.5'.\n"
        "  - --device: expected auto, cpu, cuda, cuda:N or mps; got 'tpu'.\n"
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "fit.toml",
            'fusoin = "gmu"\nhiden = 3\n',
            'unknown setting "hiden". Did you mean "hidden"',
        ),
        ("fit.toml", "hidden = 0\n", "In the flags and fit.toml:\n  - --hidden: expected at least"),
        ("fit.toml", "[fusion]\na = 1\n", "--fusion: expected text; got {'a': 1}."),
        ("fit.toml", "hidden = \n", "fit.toml is not valid"),
        ("run.json", "{", "run.json is not valid"),
        ("run.json", "[1]", "run.json holds a list; expected settings by name."),
        ("other.toml", "", "Cannot read the settings fit.toml: No such file or directory."),
    ],
)
def test_a_settings_file_with_mistakes(
    name: str, content: str, said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    (place / name).write_text(content)
    file = "fit.toml" if name == "other.toml" else name
    assert said in refused(bayesfuse, place, "fit", "films.csv", *CSV, "--config", file)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--parts", "fusoin"], 'No parameters in the part "fusoin"'),
        (["--prior-scale", "nosuch.*=0.1"], 'given for "nosuch.*", which matches none of'),
        (["--prior-scale", "fusion.image.*=0.1"], 'No prior scale for "fusion.text.weight"'),
    ],
)
def test_names_within_the_network(
    flags: list[str], said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    assert said in refused(bayesfuse, place, "fit", "films.csv", *CSV, *ENCODE, *SMALL, *flags)


def test_cuda_where_there_is_none(
    place: Path, bayesfuse: Bayesfuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = refused(bayesfuse, place, "fit", "films.csv", *CSV, *ENCODE, "--device", "cuda")
    assert 'There is no device "cuda" on this machine; it has cpu' in said
    assert "Use --device auto." in said


# ---- where to write ----


@pytest.mark.parametrize("out", ["films.csv", "posters", "link"])
def test_an_out_that_exists_is_left_as_it_is(out: str, place: Path, bayesfuse: Bayesfuse) -> None:
    (place / "link").symlink_to("nowhere")
    args = ["fit", "nope.csv", *CSV, "-o", out]  # looked at before the catalogue
    assert refused(bayesfuse, place, *args) == (
        f"Error: {out} exists already and is left as it is. Choose another --out.\n"
    )


def test_an_out_within_a_file(place: Path, bayesfuse: Bayesfuse) -> None:
    said = refused(bayesfuse, place, "fit", "films.csv", *CSV, *ENCODE, "-o", "films.csv/run")
    assert "films.csv" in said
    assert "--out" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--num-items", "-5"], "num_items is -5; expected at least 10"),
        (["--num-items", "5"], "num_items is 5; expected at least 10"),
        (["--seed", "-1"], "seed is -1; expected 0 or more."),
    ],
)
def test_a_demo_that_cannot_be(
    args: list[str], said: str, place: Path, bayesfuse: Bayesfuse
) -> None:
    assert said in refused(bayesfuse, place, "data", "demo", "demo", *args)


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
@pytest.mark.parametrize("out", ["films.csv", "posters"])
def test_a_demo_never_takes_the_place_of_something_else(
    out: str, flags: list[str], place: Path, bayesfuse: Bayesfuse
) -> None:
    assert out in refused(bayesfuse, place, "data", "demo", out, "--num-items", "20", *flags)
