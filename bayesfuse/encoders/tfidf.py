"""Texts as TF-IDF vectors of words and word pairs, reduced by a truncated SVD (LSA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind
from bayesfuse.errors import ConfigError, FeatureError

_FEW_TEXTS = 20  # below this, a term that stands in one text only is kept


@final
class TfidfEncoder(Encoder):
    r"""Light text features that need no download and no network.

    With n texts, of which :math:`n_t` contain the term t (a word or two neighbouring words) and
    this text contains it :math:`k_t` times,

    .. math:: x_t = (1 + \log k_t)\Big(1 + \log\frac{1 + n}{1 + n_t}\Big), \qquad
              z = V^\top \frac{x}{\lVert x \rVert}, \qquad f = \frac{z}{\lVert z \rVert},

    where V holds the first right singular vectors of the texts it was fitted on. A cell that is
    `None` or only white space is unobserved; so is a text that contains no known term, and that
    one is listed in `problems_`.

    Args:
        width: How many features; fewer if the texts do not support as many, which `notes_` says.
        max_terms: How many terms are kept at most, the most frequent ones.
        min_texts: How many texts must contain a term; 1 where there are fewer than 20 texts.
        seed: Of the randomised SVD.

    Raises:
        ConfigError: If a number is below 1, or the seed below 0.

    Example:
        >>> encoder = TfidfEncoder(width=2).fit(["a red house", "a blue house", None])
        >>> features, observed = encoder.encode(["red house", "  ", "submarine"])
        >>> features.shape, observed.tolist()
        ((3, 2), [True, False, False])
        >>> encoder.problems_
        (CellProblem(row=2, reason='none of its words is known'),)

    Reference: Deerwester et al., 1990, "Indexing by latent semantic analysis".
    """

    name: ClassVar[str] = "tfidf"
    kind: ClassVar[Kind] = "text"

    def __init__(
        self, width: int = 128, max_terms: int = 20_000, min_texts: int = 2, seed: int = 0
    ) -> None:
        limits = {"width": 1, "max_terms": 1, "min_texts": 1, "seed": 0}
        values = {"width": width, "max_terms": max_terms, "min_texts": min_texts, "seed": seed}
        for setting, least in limits.items():
            if values[setting] < least:
                raise ConfigError(
                    f"TfidfEncoder: {setting} is {values[setting]}; expected {least} or more."
                )
        self.width = width
        self.max_terms = max_terms
        self.min_texts = min_texts
        self.seed = seed
        self.vectorizer_: TfidfVectorizer | None = None
        self.components_: NDArray[np.float32] | None = None

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Learn the terms, their weights and the singular vectors; see `Encoder.fit`."""
        texts = [text for text in _texts(cells) if text]
        if not texts:
            raise FeatureError(
                f"There is no text to learn from: all {len(cells):,} cells are empty. "
                "Check the column that `text` names, and the train split."
            )
        vectorizer = _new_vectorizer(
            max_features=self.max_terms,
            min_df=self.min_texts if len(texts) >= _FEW_TEXTS else 1,
        )
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise FeatureError(
                f"The {len(texts):,} texts have no usable words: no word of two letters or more "
                f"stands in at least {self.min_texts} of them. Check the column that `text` names."
            ) from error
        width = min(self.width, *weights.shape)
        if width < self.width:
            self.notes_ = (
                f"The texts support {width} features instead of {self.width}: there are "
                f"{weights.shape[0]:,} of them, with {weights.shape[1]:,} different terms.",
            )
        _, _, components = randomized_svd(weights, width, n_iter=7, random_state=self.seed)
        self.width = width
        self.components_ = np.ascontiguousarray(components, dtype=np.float32)
        self.vectorizer_ = _known_vectorizer(
            vectorizer.get_feature_names_out().tolist(), vectorizer.idf_
        )
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Weigh the terms, project and scale every row to length 1; see `Encoder.encode`."""
        if self.vectorizer_ is None or self.components_ is None:
            raise FeatureError("This TfidfEncoder is not fitted; call fit(cells) first.")
        texts = _texts(cells)
        if not texts:  # scikit-learn refuses to transform nothing
            self.problems_ = ()
            return np.zeros((0, self.width), dtype=np.float32), np.zeros(0, dtype=np.bool_)
        weights = self.vectorizer_.transform(texts)
        observed = np.asarray(weights.getnnz(axis=1) > 0)
        self.problems_ = tuple(
            CellProblem(row, "none of its words is known")
            for row in np.flatnonzero(~observed).tolist()
            if texts[row]
        )
        projected = weights @ self.components_.T
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        features = np.divide(projected, lengths, out=np.zeros_like(projected), where=lengths > 0)
        return features.astype(np.float32), observed

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return terms and settings as JSON, weights and singular vectors as arrays."""
        if self.vectorizer_ is None or self.components_ is None:
            raise FeatureError("This TfidfEncoder is not fitted; there is no state to keep.")
        config: dict[str, Json] = {
            "name": self.name,
            "width": self.width,
            "max_terms": self.max_terms,
            "min_texts": self.min_texts,
            "seed": self.seed,
            "terms": self.vectorizer_.get_feature_names_out().tolist(),
        }
        return config, {"idf": self.vectorizer_.idf_, "components": self.components_}

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder; see `Encoder.from_state`."""
        try:
            settings = {key: config[key] for key in ("width", "max_terms", "min_texts", "seed")}
            terms, idf, components = config["terms"], arrays["idf"], arrays["components"]
        except KeyError as error:
            raise FeatureError(f"The state of the tfidf encoder has no {error}.") from error
        if not isinstance(terms, list) or idf.shape != (len(terms),):
            raise FeatureError("The state of the tfidf encoder: terms and idf do not match.")
        if components.shape != (settings["width"], len(terms)):
            raise FeatureError(
                f"The state of the tfidf encoder: components are {components.shape}; "
                f"expected {(settings['width'], len(terms))}."
            )
        encoder = cls(**{key: int(str(value)) for key, value in settings.items()})
        encoder.vectorizer_ = _known_vectorizer([str(term) for term in terms], idf)
        encoder.components_ = components.astype(np.float32)
        return encoder


def _new_vectorizer(**settings: object) -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        strip_accents="unicode",
        dtype=np.float32,
        **settings,
    )


def _known_vectorizer(terms: list[str], idf: NDArray[np.generic]) -> TfidfVectorizer:
    """Return a vectorizer that has been fitted before; both `fit` and `from_state` end here."""
    vectorizer = _new_vectorizer(vocabulary={term: place for place, term in enumerate(terms)})
    vectorizer.idf_ = idf
    return vectorizer


def _texts(cells: Sequence[Cell]) -> list[str]:
    """Return the cells as stripped strings, empty where there is no text."""
    texts = []
    for row, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, str):
            raise FeatureError(
                f"Row {row} is {type(cell).__name__}, not a text; expected str or None. "
                "Is the column the one that holds the texts?"
            )
        texts.append((cell or "").strip())
    return texts
