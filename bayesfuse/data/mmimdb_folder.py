"""The raw MM-IMDb folder: `split.json`, and a JSON file and a poster for each movie.

The JSON files are what IMDbPY knew of a movie; people are lists of objects with a `name`. IMDbPY
has art directors under `art direction`, MM-GATBT asks for `art director`; here both are read.

Reference:
    `get_data.py` and `make_dataset.py` of github.com/johnarevalo/gmu-mmimdb (what is written and
    read); `scripts/format_mmimdb_as_graph.py` of github.com/sbseo/mm-gatbt (the five roles of Seo
    et al. 2022, section 3, and the name that stands for a person).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.mmimdb_protocol import SPLIT_NAMES
from bayesfuse.data.roles import SPLITS
from bayesfuse.errors import did_you_mean

SPLIT_FILE = "split.json"
MOVIES = "dataset"

ROLES: dict[str, tuple[str, ...]] = {
    "director": ("director",),
    "producer": ("producer",),
    "writer": ("writer",),
    "cinematographer": ("cinematographer",),
    "art_director": ("art direction", "art director"),
}
"""Column of people -> the keys of a movie's JSON that name them."""


@dataclass(frozen=True)
class Movie:
    """What a movie's JSON file says.

    Attributes:
        title: Its title, if there is one.
        year: Its year, if there is one.
        plots: What several people wrote of it.
        genres: Its genres.
        people: Column of people -> names, each once.
        num_nameless: How many people have no name there.
    """

    title: str | None
    year: int | None
    plots: tuple[str, ...]
    genres: tuple[str, ...]
    people: dict[str, list[str]]
    num_nameless: int


class MovieFolder:
    """The raw folder; movies are read one at a time.

    Args:
        root: The folder of `split.json` and `dataset/`.

    Attributes:
        root: The same.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = {entry.name for entry in (root / MOVIES).iterdir()}

    @classmethod
    def find(cls, path: Path) -> MovieFolder | None:
        """Return the raw folder that `path` is or holds, or whose `dataset/` it is, if any."""
        roots = [path, path / "mmimdb", *([path.parent] if path.name == MOVIES else [])]
        for root in roots:
            if (root / SPLIT_FILE).is_file() and (root / MOVIES).is_dir():
                return cls(root)
        return None

    def splits(self, findings: Findings) -> dict[str, str]:
        """Read the authors' split: id -> `train`, `val` or `test`, the movies of train first.

        Args:
            findings: Where mistakes go: a damaged file, unknown splits, ids without a JSON file.
        """
        file = self.root / SPLIT_FILE
        try:
            content = _read_json(file)
        except ValueError as error:
            findings.problem(f"{file}: {error}.")
            return {}
        if not isinstance(content, Mapping):
            findings.problem(f"{file}: holds {_kind(content)}; expected a list of ids a split.")
            return {}
        listed: dict[str, list[str]] = {name: [] for name in SPLITS}
        for name, ids in content.items():
            if name not in SPLIT_NAMES:
                hint = did_you_mean(name, SPLIT_NAMES)
                findings.problem(
                    f'{file}: unknown split "{name}"; expected train, dev and test.{hint}'
                )
            elif not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
                findings.problem(
                    f'{file}: "{name}" holds {_kind(ids)}; expected a list of ids as text, as '
                    '["0076759", "0109830"].'
                )
            else:
                listed[SPLIT_NAMES[name]] += ids
        self._check(listed, findings)
        return {movie_id: name for name in SPLITS for movie_id in listed[name]}

    def _check(self, listed: Mapping[str, list[str]], findings: Findings) -> None:
        counts = Counter(movie_id for ids in listed.values() for movie_id in ids)
        file = self.root / SPLIT_FILE
        if not counts and not findings.problems:
            findings.problem(f"{file}: names no movie.")
        repeated = [movie_id for movie_id, count in counts.items() if count > 1]
        if repeated:
            findings.problem(
                f"{file}: {len(repeated)} ids come more than once ({first_few(repeated)}); a movie "
                "is in one split."
            )
        absent = [movie_id for movie_id in counts if f"{movie_id}.json" not in self._files]
        if absent:
            findings.problem(
                f"{self.root / MOVIES}: {len(absent)} of {len(counts)} movies of {SPLIT_FILE} have "
                f"no JSON file ({first_few(absent)}); extract mmimdb.tar.gz again, to the end."
            )
        known = {f"{movie_id}{suffix}" for movie_id in counts for suffix in (".json", ".jpeg")}
        others = sorted(self._files - known)
        if others:
            findings.warn(
                f"{self.root / MOVIES}: {len(others)} files belong to no movie of {SPLIT_FILE} "
                f"({first_few(others)}) and are left out."
            )

    def poster(self, movie_id: str) -> Path | None:
        """Return the file of a movie's poster, if there is one."""
        name = f"{movie_id}.jpeg"
        return self.root / MOVIES / name if name in self._files else None

    def movie(self, movie_id: str) -> Movie:
        """Read a movie's JSON file.

        Raises:
            ValueError: Saying why, if it is damaged or not what IMDbPY writes.
        """
        found = _read_json(self.root / MOVIES / f"{movie_id}.json")
        if not isinstance(found, Mapping):
            raise ValueError(f"holds {_kind(found)}, not one movie")
        people, num_nameless = {}, 0
        for column, keys in ROLES.items():
            names = [name for key in keys for name in _names(found, key)]
            people[column] = list(dict.fromkeys(name for name in names if name))
            num_nameless += names.count("")
        return Movie(
            title=_title(found.get("title")),
            year=_year(found.get("year")),
            plots=_texts(found, "plot"),
            genres=_texts(found, "genres"),
            people=people,
            num_nameless=num_nameless,
        )


def _read_json(file: Path) -> Any:
    try:
        return parse_json(file.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ValueError(f"truncated, damaged or no JSON ({error})") from error


def _texts(movie: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = movie.get(key)
    if values is None:
        return ()
    if isinstance(values, str):
        return (values,)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f'"{key}" holds {_kind(values)}; expected a list of texts')
    return tuple(values)


def _names(movie: Mapping[str, Any], key: str) -> list[str]:
    """Return the names of the people of a role, `""` for one without a name."""
    persons = movie.get(key)
    if persons is None:
        return []
    if isinstance(persons, Mapping | str):
        persons = [persons]
    if not isinstance(persons, list):
        raise ValueError(f'"{key}" holds {_kind(persons)}; expected a list of people')
    names = []
    for person in persons:
        name = person.get("name") if isinstance(person, Mapping) else person
        names.append(name.strip() if isinstance(name, str) else "")
    return names


def _title(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _year(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list of other things", str: "text", type(None): "nothing"}
    return names.get(type(value), "a number")
