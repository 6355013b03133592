"""MM-IMDb as its authors publish it, made a catalogue: 25,959 movies with plot, poster and people.

Reference:
    Arevalo, Solorio, Montes-y-Gómez and González 2017, "Gated Multimodal Units for Information
    Fusion"; github.com/johnarevalo/gmu-mmimdb. Where the files are: its thread 7.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayesfuse.data.catalog_file import FILE_NAME
from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.mmimdb_folder import MOVIES, ROLES, SPLIT_FILE, MovieFolder
from bayesfuse.data.mmimdb_hdf5 import FEATURES, FILE, MovieVectors
from bayesfuse.data.mmimdb_protocol import GENRES, Protocol, check_plots
from bayesfuse.data.mmimdb_table import Place, Sources, TableWriter
from bayesfuse.data.new_folder import new_folder, refuse_if_taken
from bayesfuse.data.roles import SPLITS
from bayesfuse.errors import CatalogError, ConfigError

TABLE = "movies.parquet"
_FILES = (FILE_NAME, TABLE, *(f"{modality}.npy" for modality in FEATURES))
_WHAT = "catalogue of MM-IMDb"
_HDF5_SUFFIXES = (".hdf5", ".h5")


@dataclass(frozen=True)
class MmImdbCatalogue:
    """A catalogue that was written.

    Attributes:
        path: Its folder.
        splits: Split -> number of movies.
        label_names: The labels, the most frequent first.
        num_left_out: How many movies the protocol left out.
        warnings: What the user should know.
    """

    path: Path
    splits: dict[str, int]
    label_names: tuple[str, ...]
    num_left_out: int
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """Return the numbers in one line."""
        parts = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        left_out = f", {self.num_left_out:,} left out" if self.num_left_out else ""
        total = f"{sum(self.splits.values()):,} movies ({parts}{left_out})"
        return f"{total}, {len(self.label_names)} genres: {self.path}"


def write_mmimdb(
    path: str | Path,
    out: str | Path,
    *,
    plots: str = "longest",
    protocol: str = "gmu",
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> MmImdbCatalogue:
    """Write MM-IMDb as a folder that `bayesfuse fit` reads.

    From the raw folder come titles, years, plots, posters (by their path), genres and people; from
    the HDF5 file word2vec and VGG features. Both together are joined on the id. Movies are read
    one at a time, so that memory does not grow with their number beyond ids and genres.

    Args:
        path: The raw folder (`split.json` and `dataset/`), `multimodal_imdb.hdf5`, or a folder
            with both.
        out: The folder to make; its parent folders are made too.
        plots: Which of a movie's plots is its text: `longest`, `first` or `all`.
        protocol: `gmu`, `mmbt` or `all`; see `bayesfuse.data.mmimdb_protocol`.
        overwrite: Replace an earlier catalogue of MM-IMDb. A folder with anything else in it stays.
        on_progress: Called with how many movies were read, and how many there are.

    Returns:
        What was written.

    Raises:
        CatalogError: With every mistake that was found in the files.
        ConfigError: If `plots` or `protocol` is unknown, or needs the raw folder.
        MissingExtraError: If there is an HDF5 file and h5py is not installed.
        UserError: If `out` holds something that is not to be overwritten.
        StorageError: If the disk is full.
    """
    check_plots(plots)
    kept = Protocol(protocol)
    target = Path(os.path.abspath(out))
    refuse_if_taken(target, _FILES, _WHAT, overwrite=overwrite)
    findings = Findings()
    sources = _find(Path(path), findings)
    if sources.folder is None:
        _refuse_what_needs_the_folder(Path(path), plots, protocol)
    places = _places(sources, findings)
    findings.raise_problems(path)
    writer = TableWriter(sources, kept, plots, lambda file: _reference(file, target))
    with new_folder(target, _FILES, _WHAT, overwrite=overwrite) as folder:
        writer.write(places, folder / TABLE, on_progress)
        writer.tell(findings)
        findings.raise_problems(path)
        features = _features(sources.vectors, writer.rows, folder, target)
        labels = kept.label_set if sources.folder is not None else _columns(sources.vectors)
        text = _catalog_toml(sources, labels, features, plots, protocol)
        (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return MmImdbCatalogue(
        target,
        {name: writer.splits[name] for name in SPLITS},
        labels,
        writer.num_left_out,
        tuple(findings.warnings),
    )


def _find(path: Path, findings: Findings) -> Sources:
    """Find the raw folder and the HDF5 file, and open the latter."""
    if not path.exists():
        raise CatalogError(path, [f"{path}: no such file or folder."])
    folder, files = None, [path]
    if path.is_dir():
        folder = MovieFolder.find(path)
        roots = [path, *([folder.root] if folder is not None else [])]
        files = [root / FILE for root in roots if (root / FILE).is_file()][:1]
    elif path.suffix.lower() not in _HDF5_SUFFIXES:
        raise CatalogError(path, [_not_mmimdb(path)])
    vectors = None
    if files:
        with findings.gathering():
            vectors = MovieVectors.read(files[0], findings)
    elif folder is None:
        raise CatalogError(path, [_not_mmimdb(path)])
    return Sources(folder, vectors)


def _not_mmimdb(path: Path) -> str:
    expected = f"expected the folder of {SPLIT_FILE} and {MOVIES}/, {FILE}, or a folder with both"
    if path.is_dir():
        holds = first_few(sorted(entry.name for entry in path.iterdir()), 5) or "nothing"
        return f"{path}: not MM-IMDb; {expected}. It holds {holds}."
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return f'{path}: an archive; extract it first ("tar -xf {path.name}") and name the folder.'
    return f"{path}: not MM-IMDb; {expected}."


def _refuse_what_needs_the_folder(path: Path, plots: str, protocol: str) -> None:
    if plots != "longest":
        raise ConfigError(f"--plots {plots}: {path} holds no plots; give the raw folder, too.")
    if protocol != "gmu":
        raise ConfigError(
            f"--protocol {protocol}: {path} does not say which movies have the genres beyond the "
            f"{len(GENRES)}; give the raw folder, too."
        )


def _places(sources: Sources, findings: Findings) -> list[Place]:
    """Return the movies, split by split, and in each split in the order of the HDF5 file."""
    vectors = sources.vectors
    row_of = {} if vectors is None else {movie_id: row for row, movie_id in enumerate(vectors.ids)}
    if sources.folder is None:
        splits = {} if vectors is None else dict(zip(vectors.ids, vectors.splits, strict=True))
    else:
        splits = sources.folder.splits(findings)
        absent = [movie_id for movie_id in row_of if movie_id not in splits]
        if splits and absent:
            findings.problem(
                f"{len(absent)} of {len(row_of)} movies of {FILE} are not in {SPLIT_FILE} "
                f"({first_few(absent)}); give the whole folder, or the HDF5 file alone."
            )
    places = [Place(name, split, row_of.get(name, -1)) for name, split in splits.items()]
    last = len(row_of)  # movies without a row come last in their split
    return sorted(places, key=lambda p: (SPLITS.index(p.split), p.row if p.row >= 0 else last))


def _columns(vectors: MovieVectors | None) -> tuple[str, ...]:
    return () if vectors is None else vectors.genre_names


def _features(
    vectors: MovieVectors | None, rows: list[int], folder: Path, target: Path
) -> dict[str, str]:
    """Say where each modality's features are; they are copied if the table has another order."""
    if vectors is None:
        return {}
    if rows == list(range(len(vectors.ids))):
        file = _reference(vectors.path, target)
        return {modality: f"{file}:{name}" for modality, name in FEATURES.items()}
    for modality in FEATURES:
        vectors.copy(modality, np.array(rows, dtype=np.int64), folder / f"{modality}.npy")
    return {modality: f"{modality}.npy" for modality in FEATURES}


def _reference(file: Path, catalogue: Path) -> str:
    """Name a file from a catalogue: relative where both lie below one folder, which may move."""
    place, home = file.parent.resolve() / file.name, catalogue.parent.resolve()
    if home in place.parents:
        return (Path("..") / place.relative_to(home)).as_posix()
    return str(place)


def _catalog_toml(
    sources: Sources,
    labels: tuple[str, ...],
    features: dict[str, str],
    plots: str,
    protocol: str,
) -> str:
    raw = {"text": ("plot", "text"), "image": ("poster", "image")}
    lines = [
        f"# MM-IMDb, written by bayesfuse data mmimdb --plots {plots} --protocol {protocol}.",
        f'table = "{TABLE}"',
        'id = "id"',
        *(['title = "title"'] if sources.folder is not None else []),
        'labels = "genres"',
        f"label_set = {_quoted(labels)}",
        'split = "split"',
    ]
    for modality, (column, kind) in raw.items():
        lines += ["", f"[modalities.{modality}]"]
        if sources.folder is not None:
            lines += [f'column = "{column}"', f'kind = "{kind}"']
        if modality in features:
            lines += [f"features = {_quoted(features[modality])}"]
            lines += [f'observed = "has_{modality}"']
    if sources.folder is not None:
        lines += ["", "[graph]", f"people = {_quoted(tuple(ROLES))}"]
    return "\n".join(lines) + "\n"


def _quoted(value: str | tuple[str, ...]) -> str:
    # A text or a list of texts in JSON is one in TOML.
    return json.dumps(value, ensure_ascii=False)
