"""The table of an MM-IMDb catalogue, written a few hundred movies at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.mmimdb_folder import ROLES, MovieFolder
from bayesfuse.data.mmimdb_hdf5 import MovieVectors
from bayesfuse.data.mmimdb_protocol import GENRES, RARE_GENRES, Protocol, choose_plot
from bayesfuse.errors import did_you_mean

BATCH = 512
_SHOWN = 10  # ids in a message about movies that have to be mended

_WARNINGS = {
    "plot": "{count} movies have no plot ({ids}): their text is missing.",
    "poster": "{count} movies have no poster ({ids}): their image is missing.",
    "genres": "{count} movies have no genre at all ({ids}): their labels are unknown.",
    "rare": "{count} movies have none of the genres that are labels ({ids}): their labels are "
    "unknown.",
    "title": "{count} movies have no title ({ids}).",
    "year": "{count} movies have no year ({ids}).",
    "nameless": "{count} movies have people without a name ({ids}); these people are left out.",
    "vectors": "{count} movies are not in the HDF5 file ({ids}): they have no features.",
    "finite": "{count} movies have features that are no numbers ({ids}): these count as missing.",
    "split": "{count} movies are in another split of the HDF5 file ({ids}); split.json holds.",
    "other genres": "{count} movies have other genres in the HDF5 file ({ids}); their JSON holds.",
}


@dataclass(frozen=True)
class Sources:
    """What of MM-IMDb there is; at least one of the two.

    Attributes:
        folder: The raw folder.
        vectors: The HDF5 file.
    """

    folder: MovieFolder | None
    vectors: MovieVectors | None


@dataclass(frozen=True)
class Place:
    """A movie, before anything of it is read.

    Attributes:
        id: Its id.
        split: Its split.
        row: Its row in the HDF5 file, -1 if it is not there.
    """

    id: str
    split: str
    row: int


@dataclass
class TableWriter:
    """Writes the table; what is odd about movies is counted and told at the end.

    Attributes:
        sources: Where movies are read.
        protocol: Which movies stay, and which genres are labels.
        plots: `longest`, `first` or `all`.
        reference: How the table names a poster's file.
        splits: How many movies each split has got.
        rows: The HDF5 rows of the movies written, -1 for those not there.
        num_left_out: How many movies the protocol left out.
    """

    sources: Sources
    protocol: Protocol
    plots: str
    reference: Callable[[Path], str]
    splits: Counter[str] = field(default_factory=Counter)
    rows: list[int] = field(default_factory=list)
    num_left_out: int = 0
    _odd: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _unknown_genres: Counter[str] = field(default_factory=Counter)
    _unreadable: dict[str, str] = field(default_factory=dict)

    def write(
        self,
        places: Sequence[Place],
        file: Path,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the movies as Parquet, in this order.

        Args:
            places: The movies, those of train first.
            file: The file to make.
            on_progress: Called with how many movies were read, and how many there are.
        """
        with pq.ParquetWriter(file, self._schema()) as table:
            for start in range(0, len(places), BATCH):
                batch = places[start : start + BATCH]
                rows = [row for place in batch if (row := self._row(place)) is not None]
                self._add_words(rows, len(self.rows) - len(rows))
                if rows:
                    table.write_table(pa.Table.from_pylist(rows, schema=self._schema()))
                if on_progress is not None:
                    on_progress(start + len(batch), len(places))

    def tell(self, findings: Findings) -> None:
        """Add what was odd about the movies to the findings."""
        for name, count in self._unknown_genres.most_common():
            hint = did_you_mean(name, (*GENRES, *RARE_GENRES))
            findings.problem(f'"{name}" ({count} movies) is no genre of MM-IMDb.{hint}')
        if self._unreadable:
            shown = [f"{movie_id}.json: {reason}" for movie_id, reason in self._unreadable.items()]
            findings.problem(
                f"{len(shown)} JSON files are not as published: {first_few(shown, _SHOWN)}. "
                "Extract them again from mmimdb.tar.gz, or take the ids out of split.json."
            )
        for kind, sentence in _WARNINGS.items():
            if self._odd[kind]:
                count, ids = len(self._odd[kind]), first_few(self._odd[kind])
                findings.warn(sentence.format(count=count, ids=ids))

    def _schema(self) -> pa.Schema:
        names = pa.list_(pa.string())
        fields: dict[str, pa.DataType] = {"id": pa.string()}
        if self.sources.folder is not None:
            fields |= {"title": pa.string(), "year": pa.int64()}
            fields |= {"plot": pa.string(), "poster": pa.string()}
        fields |= {"genres": names, "split": pa.string()}
        if self.sources.folder is not None:
            fields |= dict.fromkeys(ROLES, names)
        if self.sources.vectors is not None:
            fields |= {f"has_{modality}": pa.bool_() for modality in self.sources.vectors.features}
            if self.sources.vectors.has_words:
                fields["words"] = pa.list_(pa.int32())
        return pa.schema(list(fields.items()))

    def _row(self, place: Place) -> dict[str, Any] | None:
        """Return a movie's cells; None if it is damaged or left out."""
        cells: dict[str, Any] = {"id": place.id, "split": place.split}
        genres: Sequence[str] = ()
        if self.sources.folder is not None:
            try:
                genres = self._from_folder(self.sources.folder, place.id, cells)
            except ValueError as error:
                self._unreadable[place.id] = str(error)
                return None
        elif self.sources.vectors is not None:
            genres = self.sources.vectors.genres_of(place.row)
        if not self.protocol.keeps(place.split, genres):
            self.num_left_out += 1
            return None
        cells["genres"] = self.protocol.labels(genres)
        self._note_genres(place.id, genres)
        self._note_cells(place.id, cells)
        if self.sources.vectors is not None:
            self._from_vectors(self.sources.vectors, place, genres, cells)
        self.splits[place.split] += 1
        self.rows.append(place.row)
        return cells

    def _from_folder(
        self, folder: MovieFolder, movie_id: str, cells: dict[str, Any]
    ) -> tuple[str, ...]:
        movie = folder.movie(movie_id)
        poster = folder.poster(movie_id)
        cells |= {"title": movie.title, "year": movie.year, **movie.people}
        cells["plot"] = choose_plot(movie.plots, self.plots)
        cells["poster"] = None if poster is None else self.reference(poster)
        if movie.num_nameless:
            self._odd["nameless"].append(movie_id)
        return movie.genres

    def _from_vectors(
        self,
        vectors: MovieVectors,
        place: Place,
        genres: Sequence[str],
        cells: dict[str, Any],
    ) -> None:
        for modality, finite in vectors.finite.items():
            cells[f"has_{modality}"] = place.row >= 0 and bool(finite[place.row])
        if place.row < 0:
            self._odd["vectors"].append(place.id)
            return
        if not all(finite[place.row] for finite in vectors.finite.values()):
            self._odd["finite"].append(place.id)
        if vectors.splits[place.row] != place.split:
            self._odd["split"].append(place.id)
        of_columns = set(genres).intersection(vectors.genre_names)
        if of_columns != set(vectors.genres_of(place.row)):
            self._odd["other genres"].append(place.id)

    def _add_words(self, rows: Sequence[dict[str, Any]], written: int) -> None:
        vectors = self.sources.vectors
        if vectors is not None and vectors.has_words:
            for cells, words in zip(rows, vectors.words(self.rows[written:]), strict=True):
                cells["words"] = words

    def _note_genres(self, movie_id: str, genres: Sequence[str]) -> None:
        unknown = set(genres).difference(GENRES, RARE_GENRES)
        self._unknown_genres.update(unknown)
        if not genres:
            self._odd["genres"].append(movie_id)
        elif not unknown and not self.protocol.labels(genres):
            self._odd["rare"].append(movie_id)

    def _note_cells(self, movie_id: str, cells: Mapping[str, Any]) -> None:
        for name in ("title", "year", "plot", "poster"):
            if name in cells and cells[name] is None:
                self._odd[name].append(movie_id)
