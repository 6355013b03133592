"""What papers on MM-IMDb agree on: the genres that count, the movies that do, the plot read.

MM-IMDb has 27 genres, four of which hardly any movie has. Two ways of leaving those out are in use:

- `gmu` (Arevalo et al. 2017): the 23 most frequent genres are the labels, and every movie stays.
- `mmbt` (Kiela et al. 2020): movies of the genre News are left out, and so are movies of val and
  test with a genre that no movie left in train has. The labels that are scored are the same 23.

Reference:
    Arevalo, Solorio, Montes-y-Gómez and González 2017, "Gated Multimodal Units for Information
    Fusion", and `make_dataset.py` of github.com/johnarevalo/gmu-mmimdb (`n_classes` is 23 in its
    `gmu.json`). Kiela, Bhooshan, Firooz, Perez and Testuggine 2020, "Supervised Multimodal
    Bitransformers for Classifying Images and Text", and `scripts/mmimdb.py` of
    github.com/facebookresearch/mmbt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bayesfuse.errors import ConfigError, unknown_option

GENRES = (
    *("Drama", "Comedy", "Romance", "Thriller", "Crime", "Action", "Adventure", "Horror"),
    *("Documentary", "Mystery", "Sci-Fi", "Fantasy", "Family", "Biography", "War", "History"),
    *("Music", "Animation", "Musical", "Western", "Sport", "Short", "Film-Noir"),
)
"""The 23 genres of the field, the most frequent first, as the authors' HDF5 file has them."""

RARE_GENRES = ("News", "Adult", "Talk-Show", "Reality-TV")
"""The genres that are no labels, the most frequent first."""

SPLIT_NAMES = {"train": "train", "dev": "val", "val": "val", "validation": "val", "test": "test"}
"""What a split is called in the files -> here; "dev" is the authors' word."""

PROTOCOLS = ("gmu", "mmbt", "all")
PLOTS = ("longest", "first", "all")

SPLIT_SIZES = {"train": 15_552, "val": 2_608, "test": 7_799}
"""Movies of the authors' split; `mmbt` leaves out a few dozen of each."""

FEW = 100


def is_mmimdb(labels: Collection[str], sizes: Mapping[str, int]) -> bool:
    """Return whether a catalogue is MM-IMDb: its 23 genres, and about as many movies a split.

    Args:
        labels: Its labels.
        sizes: Split to number of items.

    Example:
        >>> is_mmimdb(GENRES, {"train": 15_513, "val": 2_599, "test": 7_779})
        True
        >>> is_mmimdb(GENRES, {"train": 2_400, "val": 300, "test": 300})
        False
    """
    near = all(0 <= size - sizes.get(name, 0) <= FEW for name, size in SPLIT_SIZES.items())
    return set(labels) == set(GENRES) and near


@dataclass
class Protocol:
    """Which movies stay, and which of their genres are labels.

    Movies of train have to be asked for before those of val and test.

    Attributes:
        name: `gmu`, `mmbt`, or `all` for every movie and all 27 genres.

    Raises:
        ConfigError: If there is no such protocol.

    Example:
        >>> protocol = Protocol("mmbt")
        >>> [protocol.keeps("train", ["Drama"]), protocol.keeps("train", ["Drama", "News"])]
        [True, False]
        >>> protocol.keeps("val", ["Drama"]), protocol.keeps("val", ["War"])
        (True, False)
    """

    name: str
    _of_train: set[str] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        if self.name not in PROTOCOLS:
            raise ConfigError(unknown_option("protocol", self.name, PROTOCOLS))

    @property
    def label_set(self) -> tuple[str, ...]:
        """The labels, the most frequent first."""
        return (*GENRES, *RARE_GENRES) if self.name == "all" else GENRES

    def keeps(self, split: str, genres: Sequence[str]) -> bool:
        """Return whether a movie with these genres stays in its split."""
        if self.name != "mmbt":
            return True
        if "News" in genres:
            return False
        if split == "train":
            self._of_train.update(genres)
            return True
        return self._of_train.issuperset(genres)

    def labels(self, genres: Sequence[str]) -> list[str]:
        """Return those of a movie's genres that are labels, each once."""
        return [name for name in dict.fromkeys(genres) if name in self.label_set]


def check_plots(how: str) -> None:
    """Raise a `ConfigError` unless `how` is a way of choosing a plot."""
    if how not in PLOTS:
        raise ConfigError(unknown_option("choice of plots", how, PLOTS))


def choose_plot(plots: Sequence[str], how: str) -> str | None:
    """Return the text of a movie that has several plots.

    Args:
        plots: What several people wrote of the same movie; blank ones do not count.
        how: `longest` (in characters, the first of equals: what both papers read), `first`, or
            `all`, one below the other.

    Returns:
        The text; None if there is no plot.

    Example:
        >>> choose_plot(["Boy meets girl.", "Boy meets girl in Rome."], "longest")
        'Boy meets girl in Rome.'
    """
    told = [plot.strip() for plot in plots if plot.strip()]
    if not told:
        return None
    if how == "all":
        return "\n\n".join(told)
    return told[0] if how == "first" else max(told, key=len)
