"""Files of exactly the format in which MM-IMDb is published, only small.

The folder is as `get_data.py` of its authors writes it (IMDbPY's keys), the HDF5 file as
`make_dataset.py` and Fuel's `H5PYDataset.create_split_array` do, with fewer columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTHS = {"features": 6, "vgg_features": 10}
GENRES = ["Drama", "Comedy", "Horror"]


def person(name: str) -> dict[str, str]:
    """Return a person as IMDbPY's keys have it."""
    first, _, last = name.partition(" ")
    canonical = f"{last}, {first}"
    return {
        "name": name,
        "canonical name": canonical,
        "long imdb name": name,
        "long imdb canonical name": canonical,
    }


def movie(number: int, **changes: Any) -> dict[str, Any]:
    """Return a movie's JSON, with some of the some fifty keys that IMDbPY knows."""
    title = f"Film {number}"
    genre = GENRES[number % 3]
    words = {"Drama": "tears rain", "Comedy": "joke clown", "Horror": "knife scream"}[genre]
    content = {
        "plot": [f"A {words} story.", f"A much longer {words} story, number {number}.", "Short."],
        "plot outline": f"A {words} story.",
        "title": title,
        "smart canonical title": title,
        "long imdb title": f"{title} ({1950 + number})",
        "year": 1950 + number,
        "kind": "movie",
        "votes": 1335,
        "rating": 6.2,
        "genres": [genre, "Short"] if number % 4 == 0 else [genre],
        "country codes": ["us"],
        "cover url": "http://example.org/cover.jpg",
        "director": [person(f"Dora {number % 3}")],
        "producer": [person("Pat Producer"), person(f"Paul {number % 2}")],
        "writer": [person("Will Writer"), person("Will Writer")],
        "cinematographer": [person(f"Cid {number}")],
        "art direction": [person("Art Dee")],
        "cast": [person("Some Body")],
    }
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


def movie_id(number: int) -> str:
    """Return an id of seven digits."""
    return f"{number:07d}"


def write_folder(
    root: Path,
    splits: Mapping[str, Sequence[int]],
    changes: Mapping[int, Mapping[str, Any]] | None = None,
) -> Path:
    """Write `split.json` and `dataset/`, one JSON and one JPEG a movie.

    Args:
        root: The folder to make.
        splits: `train`, `dev`, `test` -> numbers of movies.
        changes: Number of a movie -> keys of its JSON to change; None takes a key out.
    """
    (root / "dataset").mkdir(parents=True)
    listed = {name: [movie_id(number) for number in numbers] for name, numbers in splits.items()}
    (root / "split.json").write_text(json.dumps(listed))
    for number in (number for numbers in splits.values() for number in numbers):
        file = root / "dataset" / f"{movie_id(number)}.json"
        file.write_text(json.dumps(movie(number, **(changes or {}).get(number, {})), indent=4))
        colour = [(90, 90, 140), (240, 220, 60), (60, 0, 0)][number % 3]
        Image.new("RGB", (16, 24), colour).save(file.with_suffix(".jpeg"))
    return root


def write_hdf5(
    path: Path,
    splits: Mapping[str, Sequence[int]],
    target_names: Sequence[str] = (*GENRES, "Short"),
) -> Path:
    """Write `multimodal_imdb.hdf5`: movies in the order of the splits.

    Row `i` of a movie of number `n` holds `n + column / 100` in both datasets of features.
    """
    import h5py

    numbers = [number for part in splits.values() for number in part]
    dtype = h5py.special_dtype(vlen=np.dtype("int32"))
    with h5py.File(path, mode="w") as file:
        for name, width in WIDTHS.items():
            values = file.create_dataset(name, (len(numbers), width), dtype="float32")
            values[...] = np.array(numbers)[:, None] + np.arange(width) / 100
            values.dims[0].label = "batch"
            values.dims[1].label = "features"
        for name in ("three_grams", "word_grams"):
            file.create_dataset(name, (len(numbers), 5), dtype="float32")
        file.create_dataset("images", [len(numbers), 3, 8, 5], dtype="int32")
        words = file.create_dataset("sequences", (len(numbers),), dtype=dtype)
        for row, number in enumerate(numbers):
            words[row] = np.arange(number % 4, dtype=np.int32)
        genres = file.create_dataset("genres", (len(numbers), len(target_names)), dtype="int32")
        genres[...] = [[name in movie(n)["genres"] for name in target_names] for n in numbers]
        genres.attrs["target_names"] = json.dumps(list(target_names))
        ids = file.create_dataset("imdb_ids", (len(numbers),), dtype="S7")
        ids[...] = np.asarray([movie_id(number) for number in numbers], dtype="S7")
        ids.dims[0].label = "batch"
        ends = np.cumsum([len(part) for part in splits.values()]).tolist()
        ranges = zip([0, *ends[:-1]], ends, strict=True)
        file.attrs["split"] = split_array(dict(zip(splits, ranges, strict=True)))
    return path


def split_array(ranges: Mapping[str, tuple[int, int]]) -> np.ndarray:
    """Return Fuel's records: a (split, dataset) each, in its dtype."""
    import h5py

    sources = ["features", "genres", "images", "imdb_ids", "sequences"]
    sources += ["three_grams", "vgg_features", "word_grams"]
    records = np.empty(
        len(ranges) * len(sources),
        dtype=np.dtype(
            [
                ("split", "S", max(map(len, ranges))),
                ("source", "S", max(map(len, sources))),
                ("start", np.int64),
                ("stop", np.int64),
                ("indices", h5py.special_dtype(ref=h5py.Reference)),
                ("available", np.bool_),
                ("comment", "S", 1),
            ]
        ),
    )
    for record, (split, source) in zip(records, product(ranges, sources), strict=True):
        record["split"], record["source"] = split.encode(), source.encode()
        record["start"], record["stop"] = ranges[split]
        record["indices"] = h5py.Reference()
        record["available"], record["comment"] = True, b"."
    return records
