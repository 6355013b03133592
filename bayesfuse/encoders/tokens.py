"""Texts as tokens, for a network that reads them itself: the text of a model trained end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bayesfuse.encoders.base import Cell, Encoder, Json, Kind
from bayesfuse.encoders.text_loading import TokenizerParts
from bayesfuse.encoders.text_reading import TextReader
from bayesfuse.encoders.text_settings import check_max_length
from bayesfuse.encoders.text_source import ModelSource, load_model
from bayesfuse.errors import FeatureError

MAX_LENGTH = 128
"""Tokens of a text, unless said otherwise: memory goes with its square."""


@final
class TokensEncoder(Encoder):
    """A text as the numbers of its tokens, with the special ones; longer texts are cut.

    These are features only to the network that the tokens are of. Its weights are no part of the
    encoder: whoever trains them keeps them.

    Args:
        model: A name on the Hugging Face hub, or a local folder of transformers.
        max_length: Tokens of a text at most, and so the width.
        languages: ISO 639 codes: texts that are surely in another language are unobserved.

    Attributes:
        width: `max_length`.
        pad: The token that pads; which fills the rows of unobserved texts, too.
        special: The tokens of a text of no words, such as those of `[CLS]` and `[SEP]`.
    """

    name: ClassVar[str] = "tokens"
    kind: ClassVar[Kind] = "text"

    def __init__(
        self,
        model: str = "bert-base-uncased",
        max_length: int | None = None,
        languages: Sequence[str] | None = None,
    ) -> None:
        self.model = str(model)
        self.width = MAX_LENGTH if max_length is None else max_length
        self.languages = () if languages is None else tuple(languages)
        self._reader: TextReader | None = None
        self._network: nn.Module | None = None

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Load the model; nothing is learned from the cells.

        Raises:
            ConfigError: If there is no such model, or it does not take as many tokens.
        """
        _, folder = ModelSource.find(self.model, self.resources.tell)
        self._network, parts = load_model(folder, pooler=True)
        reader = TextReader(parts, lower_case=folder.lower_case, languages=self.languages)
        check_max_length(self.width, parts.limit, reader.num_special)
        self._reader = reader
        return self

    def network(self) -> nn.Module:
        """Return the network as it was loaded, with its pooling layer; once, after `fit`.

        Raises:
            FeatureError: If it was given away, or was never loaded.
        """
        if self._network is None:
            raise FeatureError(
                "This TokensEncoder has no network: it was given away, or comes from a state, "
                "which has none. Fit it anew."
            )
        network, self._network = self._network, None
        return network

    @property
    def pad(self) -> int:
        """The token that pads."""
        return self._fitted().parts.pad

    @property
    def special(self) -> tuple[int, ...]:
        """The tokens of a text of no words."""
        return tuple(self._fitted().empty_text().tolist())

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return tokens, `items x max_length`, padded on the right; see `Encoder.encode`."""
        reader = self._fitted()
        reading = reader.read(cells, self.width, 0, cut=True)
        features = np.full((len(cells), self.width), reader.parts.pad, dtype=np.float32)
        observed = np.zeros(len(cells), dtype=np.bool_)
        for row, tokens in zip(reading.rows.tolist(), reading.windows.tokens, strict=True):
            features[row, : len(tokens)] = tokens
        observed[reading.rows] = True
        self.problems_, self.remarks_ = reading.problems, reading.remarks
        return features, observed

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return the tokenizer and the settings."""
        reader = self._fitted()
        tokenizer: dict[str, Json] = {**vars(reader.parts)}
        return {
            "name": self.name,
            "model": self.model,
            "max_length": self.width,
            "languages": list(self.languages),
            "lower_case": reader.lower_case,
            "tokenizer": tokenizer,
        }, {}

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder, without a network.

        Raises:
            FeatureError: If the state is incomplete.
        """
        values: Mapping[str, Any] = config
        try:
            encoder = cls(values["model"], int(values["max_length"]), values["languages"])
            encoder._reader = TextReader(
                TokenizerParts(**values["tokenizer"]),
                lower_case=bool(values["lower_case"]),
                languages=encoder.languages,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(
                f"The state of the tokens encoder is incomplete: {error}."
            ) from error
        return encoder

    def _fitted(self) -> TextReader:
        if self._reader is None:
            raise FeatureError("This TokensEncoder is not fitted; call fit(cells) first.")
        return self._reader
