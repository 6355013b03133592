"""Texts as vectors of a transformer encoder, by name or from a local folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind
from bayesfuse.encoders.precision import PRECISIONS, autocast, resolve_precision
from bayesfuse.encoders.text_cells import read_texts
from bayesfuse.encoders.text_loading import TokenizerParts
from bayesfuse.encoders.text_model import POOLINGS, TextModel
from bayesfuse.encoders.text_reading import TextReader
from bayesfuse.encoders.text_settings import (
    LONG_TEXTS,
    TextSettings,
    check_max_length,
    resolve_max_length,
    resolve_pooling,
)
from bayesfuse.encoders.text_source import KeptModel, ModelSource, load_model, network_config
from bayesfuse.encoders.windows import Tokens, batches, default_stride, padded
from bayesfuse.errors import ConfigError, FeatureError, unknown_option

NOT_FINITE = "the network's vector is not finite"

_PLACE = ("model", "revision")  # where a model lies, which changes no feature


@final
class TransformersEncoder(Encoder):
    r"""Text features of any encoder of the transformers library.

    A text longer than `max_length` tokens is read in windows :math:`w_1, \dots, w_m` that overlap
    by a quarter of their length, and

    .. math:: f = \frac{1}{m} \sum_{j=1}^m v(w_j), \qquad
              f \leftarrow f / \lVert f \rVert \text{ where vectors have length 1,}

    so that every window has the same say and a long text's vector lies on the same sphere as a
    short one's; v is the vector of `TextModel`. Vectors have length 1 where a sentence-transformers
    folder says so.

    A cell that is `None` or only white space is unobserved. So is a text that cannot be read, and
    that one is listed in `problems_`: of control characters only, in a script that the tokenizer
    does not know, or in another language than `languages`. What was read but not as it stands is
    listed in `remarks_`: texts that were longer, or had control characters.

    Args:
        model: A name on the Hugging Face hub, or a local folder of transformers or of
            sentence-transformers.
        pooling: One of `cls`, `max`, `mean`, `pooler` (see `TextModel`); if None, what a
            sentence-transformers folder says, else mean.
        max_length: Tokens that are read at once; if None, what the folder says, else the most that
            the network and its tokenizer allow.
        long_texts: What becomes of longer texts: `windows`, or `cut` after the first window.
        languages: ISO 639 codes, such as `("en", "de")`: texts that are surely in another language
            are unobserved. Needs py3langid.
        precision: `auto`, `float32`, `bfloat16` or `float16`; see `resolve_precision`.

    Raises:
        ConfigError: If a setting is none of these.
    """

    name: ClassVar[str] = "transformers"
    kind: ClassVar[Kind] = "text"
    costly: ClassVar[bool] = True

    def __init__(
        self,
        model: str = "bert-base-uncased",
        pooling: str | None = None,
        max_length: int | None = None,
        long_texts: str = "windows",
        languages: Sequence[str] | None = None,
        precision: str = "auto",
    ) -> None:
        if pooling is not None and pooling not in POOLINGS:
            raise ConfigError(unknown_option("pooling", str(pooling), POOLINGS))
        if long_texts not in LONG_TEXTS:
            raise ConfigError(unknown_option("way with long texts", str(long_texts), LONG_TEXTS))
        if precision not in PRECISIONS:
            raise ConfigError(unknown_option("precision", str(precision), PRECISIONS))
        if isinstance(languages, str):
            languages = [code.strip() for code in languages.split(",")]
        self.model = str(model)
        self.pooling = pooling
        self.max_length = max_length
        self.long_texts = long_texts
        self.languages = None if languages is None else tuple(languages)
        self.precision = precision
        self.settings_: TextSettings | None = None
        self._source: ModelSource | KeptModel | None = None
        self._model: TextModel | None = None  # None until it is needed, or if it was given away
        self._config: dict[str, Any] = {}
        self._reader: TextReader | None = None

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Load the model and resolve what is left open; nothing is learned from the cells.

        Raises:
            ConfigError: If there is no such model, it is no text encoder, or a setting does not
                suit it; the message says what to do.
        """
        precision = resolve_precision(self.precision, self.resources.device)
        source, folder = ModelSource.find(self.model, self.resources.tell)
        pooling = resolve_pooling(self.pooling, folder)
        backbone, tokenizer = load_model(folder, pooler=pooling == "pooler")
        languages = self.languages or ()
        reader = TextReader(tokenizer, lower_case=folder.lower_case, languages=languages)
        num_special = reader.num_special
        max_length = resolve_max_length(self.max_length, folder, tokenizer.limit, num_special)
        model = TextModel(backbone, pad=tokenizer.pad, pooling=pooling, normalise=folder.normalise)
        self.settings_ = TextSettings(
            pooling=pooling,
            max_length=max_length,
            long_texts=self.long_texts,
            stride=default_stride(max_length, num_special),
            languages=languages,
            precision=precision,
            normalise=folder.normalise,
            lower_case=folder.lower_case,
            width=model.width,
        )
        self.width = model.width
        self._source, self._model, self._reader = source, model.eval(), reader
        self._config = network_config(backbone)
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode texts in batches of about equal length; see `Encoder.encode`."""
        settings = self._fitted()
        features = np.zeros((len(cells), self.width), dtype=np.float32)
        observed = np.zeros(len(cells), dtype=np.bool_)
        self.problems_ = self.remarks_ = ()
        if not any(read_texts(cells)):  # and the model need not be loaded
            return features, observed
        reader, model = self._ready()
        cut = settings.long_texts == "cut"
        reading = reader.read(cells, settings.max_length, settings.stride, cut=cut)
        vectors = self._vectors(model, reading.windows.tokens)
        means = reading.windows.means(vectors)
        if settings.normalise:
            several = reading.windows.counts() > 1
            means[several] /= np.linalg.norm(means[several], axis=1, keepdims=True)
        finite = np.isfinite(means).all(axis=1)  # float16 has no number above 65,504
        features[reading.rows[finite]] = means[finite]
        observed[reading.rows[finite]] = True
        broken = [CellProblem(row, NOT_FINITE) for row in reading.rows[~finite].tolist()]
        self.problems_ = tuple(sorted((*reading.problems, *broken), key=lambda p: p.row))
        self.remarks_ = tuple(remark for remark in reading.remarks if observed[remark.row])
        return features, observed

    def tokens(
        self, cells: Sequence[Cell], max_length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return texts as tokens for the network to be trained on; longer ones are cut.

        Args:
            cells: The raw cells, one an item.
            max_length: Tokens of a text at most, with the special ones.

        Returns:
            Tokens, items x length, padded on the right to the longest; and which items `encode`
            would observe. The others have the tokens of a text of no words.

        Raises:
            FeatureError: If the encoder is not fitted, or a cell is no text.
            ConfigError: If the network does not take as many tokens.
        """
        reader = self._reading()
        check_max_length(max_length, reader.parts.limit, reader.num_special)
        reading = reader.read(cells, max_length, 0, cut=True)
        rows: list[Tokens] = [reader.empty_text()] * len(cells)
        for row, tokens in zip(reading.rows.tolist(), reading.windows.tokens, strict=True):
            rows[row] = tokens
        observed = np.isin(np.arange(len(cells)), reading.rows)
        self.problems_, self.remarks_ = reading.problems, reading.remarks
        return padded(rows, reader.parts.pad), observed

    @property
    def pad(self) -> int:
        """The token that pads `tokens`."""
        return self._reading().parts.pad

    def network(self) -> TextModel:
        """Return the network, to be trained; it is the caller's own from now on.

        The encoder itself still encodes as before, until `replace_weights`.

        Raises:
            FeatureError: If the encoder is not fitted.
        """
        _, model = self._ready()
        self._model = None
        return model

    def replace_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Encode with these weights from now on, and keep all of the model in the state.

        Args:
            weights: The `state_dict` of what `network` returned.

        Raises:
            FeatureError: If the encoder is not fitted, or they are not this network's weights.
        """
        tokenizer = self._reading().parts
        copies = {name: weight.detach().cpu().clone() for name, weight in weights.items()}
        kept = KeptModel(self._config, tokenizer, copies)
        self._model = self._assemble(kept.backbone(pooler=self._with_pooler()), tokenizer)
        self._source = kept

    def move_to(self, model: str) -> None:
        """Take the model from another place from now on; it must be the very same model.

        Args:
            model: A name on the hub, or a local folder.

        Raises:
            ConfigError: If there is no such model.
            FeatureError: If the encoder is not fitted, or it is another model.
        """
        self._fitted()
        if isinstance(self._source, ModelSource):
            found, _ = ModelSource.find(model, self.resources.tell)
            self._source = self._source.moved_to(found)
        self.model = model

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return settings, the model's place and hashes; all of a model that was trained on."""
        settings = self._fitted().to_json()
        config: dict[str, Json] = {"name": self.name, "model": self.model, **settings}
        if isinstance(self._source, KeptModel):
            kept, arrays = self._source.state()
            return {**config, **kept}, arrays
        return {**config, **vars(self._source)}, {}

    def fingerprint(self) -> str:
        """Return 32 hex digits of all but the place where the model lies."""
        config, arrays = self.state()
        same = {key: value for key, value in config.items() if key not in _PLACE}
        digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode())
        for key in sorted(arrays):
            digest.update(f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode())
            digest.update(np.ascontiguousarray(arrays[key]).tobytes())
        return digest.hexdigest()[:32]

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder, whose model is loaded when it is needed.

        Raises:
            FeatureError: If the state is incomplete. When the model is loaded: if it is another
                one than the encoder was fitted with.
        """
        settings = TextSettings.from_json(config)
        values: Mapping[str, Any] = config
        try:
            source = (
                KeptModel.from_state(values, arrays)
                if "network" in values
                else ModelSource(**{key: values[key] for key in ModelSource.__dataclass_fields__})
            )
        except (KeyError, TypeError) as error:
            raise FeatureError(f"The state of the transformers encoder has no {error}.") from error
        encoder = cls(
            model=str(values["model"]),
            pooling=settings.pooling,
            max_length=settings.max_length,
            long_texts=settings.long_texts,
            languages=settings.languages or None,
            precision=settings.precision,
        )
        encoder.settings_, encoder.width, encoder._source = settings, settings.width, source
        return encoder

    def _fitted(self) -> TextSettings:
        if self.settings_ is None:
            raise FeatureError("This TransformersEncoder is not fitted; call fit(cells) first.")
        return self.settings_

    def _with_pooler(self) -> bool:
        return self._fitted().pooling == "pooler"

    def _reading(self) -> TextReader:
        """Return the reader, which stays when the network is given away."""
        self._fitted()
        if self._reader is None:
            self._load()
        assert self._reader is not None
        return self._reader

    def _ready(self) -> tuple[TextReader, TextModel]:
        """Return the reader and the network, loaded if need be, on the device."""
        self._fitted()
        if self._model is None:
            self._load()
        assert self._model is not None
        return self._reading(), self._model.to(self.resources.device)

    def _load(self) -> None:
        """Load the model that the encoder was fitted with."""
        settings = self._fitted()
        if isinstance(self._source, KeptModel):
            tokenizer = self._source.tokenizer
            backbone = self._source.backbone(pooler=self._with_pooler())
        else:
            assert self._source is not None
            folder = self._source.again(self.resources.tell)
            backbone, tokenizer = load_model(folder, pooler=self._with_pooler())
        self._reader = TextReader(
            tokenizer, lower_case=settings.lower_case, languages=settings.languages
        )
        self._model = self._assemble(backbone, tokenizer)
        self._config = network_config(backbone)

    def _assemble(self, backbone: nn.Module, tokenizer: TokenizerParts) -> TextModel:
        settings = self._fitted()
        model = TextModel(
            backbone, pad=tokenizer.pad, pooling=settings.pooling, normalise=settings.normalise
        )
        if model.width != settings.width:
            raise FeatureError(
                f"The state of the transformers encoder: the network has {model.width} features; "
                f"expected {settings.width}."
            )
        return model.eval()

    def _vectors(self, model: TextModel, windows: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return the network's vectors, windows x features."""
        device, size = self.resources.device, self.resources.batch_size
        precision = resolve_precision(self._fitted().precision, device)
        order, found = [], []
        with torch.inference_mode(), autocast(precision, device):
            for rows, tokens in batches(windows, size, model.pad):
                order.append(rows)
                found.append(model(torch.from_numpy(tokens).to(device)).float())
        vectors = np.zeros((len(windows), self.width), dtype=np.float32)
        if order:  # one copy, so that a GPU is never waited for in between
            vectors[np.concatenate(order)] = torch.cat(found).cpu().numpy()
        return vectors
