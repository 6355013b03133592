"""What is fuzzed: every reader of a file that may come from anybody, one function each.

A reader is given bytes as one file of an otherwise good folder. What may come out is a result or a
`BayesfuseError`; anything else (another exception, a hang, a crash) is a fault. Both fuzzers use
these functions: hypothesis in `test_fuzzing.py`, and atheris, which is guided by coverage, in
`coverage_guided.py`.
"""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bayesfuse.errors import BayesfuseError

CORPUS = Path(__file__).parent / "corpus"
"""A folder a reader, of small files to start from; faults that were found among them."""

Read = Callable[[Path], object]

LABELS = ("Comedy", "Drama", "War")
IDS = ("a", "b", "c", "d")
TABLE = (
    "id,plot,genres,people,split,year\n"
    "a,A long night.,Drama|War,Ann;Bo,train,1990\n"
    "b,Rain.,Comedy,Bo,val,2001\n"
    "c,,Drama,,test,\n"
    'd,"She said ""no"".",War,Ann,train,1985\n'
)
CATALOG = """
table = "items.csv"
id = "id"
labels = "genres"
labels_separator = "|"
split = "split"

[modalities.text]
column = "plot"
features = "features.npz:text"

[modalities.facts]
columns = ["year"]

[graph]
people = ["people"]
people_separator = ";"
"""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        file: The name of the file that it is given.
        read: Reads it; the path of the file is its argument.
        prepare: Writes what lies beside the file.
        good: Returns files that are read, to start from; the prepared folder has one if None.
    """

    file: str
    read: Read
    prepare: Callable[[Path], None] = lambda folder: None
    good: Callable[[], list[bytes]] | None = None

    def starts(self) -> list[bytes]:
        """Return files that are read."""
        return self.good() if self.good is not None else [_good_of(self)]

    def run(self, data: bytes) -> str:
        """Read these bytes; return `"read"`, or what was wrong with them.

        Raises:
            Exception: Whatever is no `BayesfuseError`: a fault.
        """
        path = _folder_of(self) / self.file
        path.write_bytes(data)
        try:
            self.read(path)
        except BayesfuseError as error:
            message = str(error)
            assert message.strip(), "an error without a message"
            return message
        return "read"


@cache
def _folder_of(target: Target) -> Path:
    folder = _temporary()
    target.prepare(folder)
    return folder


@cache
def _good_of(target: Target) -> bytes:
    folder = _temporary()
    target.prepare(folder)
    return (folder / target.file).read_bytes()


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bayesfuse-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---- catalogues


def _beside(folder: Path) -> None:
    (folder / "items.csv").write_text(TABLE, encoding="utf-8")
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(folder / "features.npz", text=features, id=np.array(IDS))


def _with_catalog(folder: Path) -> None:
    _beside(folder)
    (folder / "catalog.toml").write_text(CATALOG, encoding="utf-8")


def _look(catalog: object) -> None:
    """Read all that a catalogue holds, as an encoder or a network would."""
    from bayesfuse.data.catalog import Catalog

    assert isinstance(catalog, Catalog)
    str(catalog.describe())
    for column in catalog.raw.values():
        for _ in column.stream():
            pass
    if catalog.features.names:
        catalog.features.batch(slice(None))


def _read_folder(path: Path) -> None:
    from bayesfuse.data.catalog import Catalog

    _look(Catalog.read(path.parent, require_labels=False))


def _read_file(path: Path) -> None:
    from bayesfuse.data.catalog import Catalog
    from bayesfuse.data.tables import open_table

    names = open_table(path).names
    columns = {
        "title": "title",
        "text": "plot",
        "labels": "genres",
        "people": ["people"],
        "split": "split",
        "tabular": ["year"],
    }
    given = {k: v for k, v in columns.items() if (v if isinstance(v, str) else v[0]) in names}
    separators = {"labels_separator": "|"} if "labels" in given else {}
    separators |= {"people_separator": ";"} if "people" in given else {}
    _look(Catalog.read(path, id="id", require_labels=False, **given, **separators))


def _read_edges(path: Path) -> None:
    from bayesfuse.graph.edges_file import from_edges

    relation = "relation" if "relation" in _names(path) else None
    weight = "weight" if "weight" in _names(path) else None
    from_edges(path, list(IDS), relation=relation, weight=weight)


def _names(path: Path) -> tuple[str, ...]:
    from bayesfuse.data.tables import open_table

    return open_table(path).names


# ---- settings


def _read_class_weights(path: Path) -> None:
    from bayesfuse.config import FitConfig

    FitConfig.parse({"class_weights": str(path)})


def _read_settings(path: Path) -> None:
    from bayesfuse.config import FitConfig

    FitConfig.parse(FitConfig.read_file(path))


# ---- pictures and weights


def _read_picture(path: Path) -> None:
    from bayesfuse.encoders.decoding_worker import decode
    from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
    from bayesfuse.encoders.pictures import UnreadableError

    preprocessing = ImagePreprocessing(
        input_size=(3, 16, 16),
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        crop_pct=0.9,
        crop_mode="center",
    )
    for cell in (path, path.read_bytes()):
        try:
            decode(cell, preprocessing)
        except UnreadableError:  # what a cell's problem is told by
            continue


def _read_weights(path: Path) -> None:
    from bayesfuse.encoders.weights import read_state_dict

    read_state_dict(path)


# ---- run folders


@cache
def run_folder() -> Path:
    """Return a small run folder of which one file after the other is broken."""
    from bayesfuse.config import FitConfig
    from bayesfuse.estimator.workflow import fit_run

    folder = _temporary()
    (folder / "catalog").mkdir()
    _with_catalog(folder / "catalog")
    small = {"hidden": 3, "classifier_hidden": 3, "epochs": 2, "draws": 2, "val_draws": 2}
    config = FitConfig.parse(
        {
            **small,
            "device": "cpu",
            "graph": "people",
            "graph_features": "all",
            "recalibrate": "temperature",
        }
    )
    return fit_run(str(folder / "catalog"), folder / "run", config).path


def _copy_run(folder: Path) -> None:
    from bayesfuse.estimator.rules import write_rule
    from bayesfuse.evaluation.decisions import DecisionRule

    shutil.copytree(run_folder(), folder, dirs_exist_ok=True)
    write_rule(DecisionRule("half", np.full(3, 0.5)), LABELS, folder)


def _load_run(path: Path) -> None:
    from bayesfuse import FusionClassifier

    FusionClassifier.load(path.parent, "cpu")


def _load_encoders(path: Path) -> None:
    from bayesfuse.encoders.saving import load_encoders

    load_encoders(path.parent)


def _read_environment(path: Path) -> None:
    from bayesfuse.estimator.workflow import recorded_catalog

    recorded_catalog(path.parent)


def _read_links(path: Path) -> None:
    from bayesfuse.estimator.links import Links

    Links.read(path.parent, {"text": 3, "facts": _facts_width()})


@cache
def _facts_width() -> int:
    from bayesfuse import FusionClassifier

    return FusionClassifier.load(run_folder(), "cpu").model_.network.standardise.widths["facts"]


def _read_rule(path: Path) -> None:
    from bayesfuse.estimator.rules import read_rule

    read_rule(LABELS, path.parent)


def _read_recalibration(path: Path) -> None:
    from bayesfuse.config import ModelConfig
    from bayesfuse.estimator.recalibrating import read_recalibration

    read_recalibration(ModelConfig(recalibrate="temperature"), LABELS, path.parent)


RUN_FILES: dict[str, Read] = {
    **dict.fromkeys(("config.json", "labels.json", "metrics.json", "history.csv"), _load_run),
    "model.safetensors": _load_run,
    "environment.json": _read_environment,
    "graph.safetensors": _read_links,
    **dict.fromkeys(("encoders.json", "encoders.safetensors"), _load_encoders),
    "recalibration.json": _read_recalibration,
    "decision.json": _read_rule,
}
"""Files of a run folder, and what reads them."""


def _json_lines() -> list[bytes]:
    return [
        b'{"id": "a", "plot": "A long night.", "genres": ["Drama", "War"], "split": "train"}\n'
        b'{"id": "b", "plot": null, "genres": [], "people": ["Ann"], "split": "val"}\n'
        b'{"id": "c", "genres": "Drama|War", "split": "train", "year": 1.5}\n'
    ]


def _parquet() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "id": list(IDS),
            "plot": ["A long night.", "Rain.", None, ""],
            "genres": [["Drama", "War"], ["Comedy"], [], None],
            "people": [["Ann"], ["Ann", "Bo"], [], ["Bo"]],
            "split": ["train", "val", "test", "train"],
            "year": [1990.0, 2001.0, None, 1985.0],
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return [file.getvalue()]


def _pictures() -> list[bytes]:
    from PIL import Image

    found = []
    rows = np.arange(20 * 15 * 3, dtype=np.uint8).reshape(15, 20, 3)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "ICO", "TGA", "PPM"):
        file = io.BytesIO()
        Image.fromarray(rows).save(file, kind)
        found.append(file.getvalue())
    return found


def _weights() -> list[bytes]:
    from safetensors.numpy import save

    return [save({"a.weight": np.ones((2, 3), np.float32), "a.bias": np.zeros(2, np.float16)})]


def _hdf5(folder: Path) -> None:
    import h5py

    _beside(folder)
    (folder / "catalog.toml").write_text(CATALOG.replace(".npz", ".h5"), encoding="utf-8")
    with h5py.File(folder / "features.h5", "w") as file:
        file.create_dataset("text", data=np.ones((4, 3), np.float32), chunks=(2, 3), compression=1)
        file["id"] = [name.encode() for name in IDS]


def _read_student(path: Path) -> None:
    from bayesfuse.estimator.student import Student

    Student.load(path.parent, "cpu")


def _student(folder: Path) -> None:
    from bayesfuse.config.distilling import DistillConfig
    from bayesfuse.estimator.student import Student
    from bayesfuse.models.student import StudentNetwork

    config = DistillConfig(hidden=4)
    cuts = np.array([0.5, 0.5])
    network = StudentNetwork(
        {"text": 3},
        2,
        fusion="concat",
        hidden=config.hidden,
        classifier_hidden=config.classifier_hidden,
        pieces=config.pieces,
        dropout=config.dropout,
    )
    Student(network, ("Drama", "War"), cuts, config, fusion="concat", about={}).write(folder)


TARGETS: dict[str, Target] = {
    "catalog-toml": Target("catalog.toml", _read_folder, _beside, lambda: [CATALOG.encode()]),
    "csv": Target("items.csv", _read_file, good=lambda: [TABLE.encode()]),
    "json-lines": Target("items.jsonl", _read_file, good=_json_lines),
    "parquet": Target("items.parquet", _read_file, good=_parquet),
    "npz": Target("features.npz", _read_folder, _with_catalog),
    "hdf5": Target("features.h5", _read_folder, _hdf5),
    "edges": Target(
        "edges.csv",
        _read_edges,
        good=lambda: [b"source,target,relation,weight\na,b,cast,1\nb,c,crew,0.5\nd,a,cast,2\n"],
    ),
    "class-weights": Target(
        "weights.csv", _read_class_weights, good=lambda: [b"label,weight\nDrama,0.5\nWar,2\n"]
    ),
    "settings-toml": Target(
        "settings.toml", _read_settings, good=lambda: [b'fusion = "gmu"\nhidden = 4\nparts = ["2"]']
    ),
    "settings-json": Target(
        "config.json", _read_settings, good=lambda: [b'{"fusion": "gmu", "hidden": 4}']
    ),
    "picture": Target("picture.jpg", _read_picture, good=_pictures),
    "weights": Target("weights.safetensors", _read_weights, good=_weights),
    "student-json": Target("student.json", _read_student, _student),
    "student-safetensors": Target("student.safetensors", _read_student, _student),
    **{
        f"run-{name.replace('.', '-')}": Target(name, read, _copy_run)
        for name, read in RUN_FILES.items()
    },
}
"""Reader by name."""
