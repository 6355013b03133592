"""Texts as their tokens' vectors and pictures as a grid of patches' vectors: steps, kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayesfuse.data.sequences import Ragged
from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind, Setting
from bayesfuse.encoders.image import TimmEncoder
from bayesfuse.encoders.image_model import ImageModel
from bayesfuse.encoders.precision import autocast, resolve_precision
from bayesfuse.encoders.text import TransformersEncoder
from bayesfuse.encoders.text_cells import read_texts
from bayesfuse.encoders.text_model import TextModel
from bayesfuse.encoders.windows import Tokens, batches
from bayesfuse.errors import ConfigError, FeatureError

NOT_FINITE = "a vector of the network is not finite in float16"

Inner = TransformersEncoder | TimmEncoder


@final
class SequenceEncoder(Encoder):
    r"""What another encoder's network says of each step of a cell, in place of one vector.

    Of a text the steps are its tokens, the special ones too, and their vectors the last hidden
    states :math:`h_1, \dots, h_T`; a text of more than `max_length` tokens is cut. Of a picture
    they are the places of the last map of features, row by row, which is what timm's
    `forward_features` returns, without class tokens. With a grid of `r x c`, the map is averaged
    into so many parts first.

    Steps are kept in float16: of a network's vectors, numbers of a few units, that is three
    decimals. Where one vector an item is wanted, it is the mean over the steps.

    Args:
        inner: The encoder, fitted or not; its network is this one's from `fit` on.
        grid: Rows and columns of a picture's steps, or one number for both; those of the network's
            own last map if None.

    Attributes:
        steps: The most steps that an item can have.

    Raises:
        ConfigError: If settings of the inner encoder are for one vector a cell, or the grid is not
            usable.

    Reference: Kiela et al. 2020 (MMBT, arXiv:1909.02950), sec. 3.1, for the pooled grid.
    """

    name: ClassVar[str] = "sequence"
    costly: ClassVar[bool] = True

    def __init__(self, inner: Inner, grid: Setting | None = None) -> None:
        self.inner = inner
        self.kind: Kind = inner.kind  # type: ignore[misc]  # of two kinds, by what is inside
        self.grid = _read_grid(grid, inner.kind)
        self._network: TextModel | None = None
        if isinstance(inner, TransformersEncoder) and inner.settings_ is not None:
            self.width, self.steps = inner.width, inner.settings_.max_length

    @classmethod
    def around(
        cls, made: type[Encoder], settings: Mapping[str, Setting], grid: Setting | None
    ) -> Self:
        """Return one around a new encoder of a class and its settings.

        Raises:
            ConfigError: If that encoder has no steps, or a setting is for one vector a cell.
        """
        if not issubclass(made, Inner):
            raise ConfigError(
                f"--keep-sequence: the encoder {made.name} makes one vector of a cell and knows no "
                "steps. Name a transformers or timm model: --text-encoder, --image-encoder."
            )
        given: dict[str, Any] = dict(settings)
        if made is TransformersEncoder:
            for key, value in (("long_texts", "cut"), ("pooling", "mean")):
                if given.setdefault(key, value) != value:
                    raise ConfigError(
                        f"{key} is {given[key]}, which is for one vector a text; with "
                        f"--keep-sequence a text is its tokens' vectors, cut after --max-length. "
                        f"Leave it out, or say {value}."
                    )
        return cls(made(**given), grid)

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Fit the inner encoder, and find out how many steps there are.

        Raises:
            ConfigError: As the inner encoder; or if the network has no map of features.
        """
        self.inner.resources = self.resources
        self.inner.fit(cells)
        self.notes_ = self.inner.notes_
        if isinstance(self.inner, TransformersEncoder):
            assert self.inner.settings_ is not None
            self.width, self.steps = self.inner.width, self.inner.settings_.max_length
        else:
            assert self.inner.preprocessing_ is not None
            size = self.inner.preprocessing_.input_size
            pixels = torch.zeros(1, *size, device=self.resources.device)
            with torch.inference_mode():
                _, self.steps, self.width = self._look(self.inner.ready(), pixels).shape
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the means over the steps; see `Encoder.encode`."""
        steps, observed = self.encode_steps(cells)
        means = np.zeros((len(cells), self.width), dtype=np.float32)
        for row in np.flatnonzero(observed).tolist():
            own = slice(steps.starts[row], steps.starts[row] + steps.lengths[row])
            means[row] = steps.flat[own].astype(np.float32).mean(axis=0, dtype=np.float64)
        return means, observed

    def encode_steps(self, cells: Sequence[Cell]) -> tuple[Ragged, NDArray[np.bool_]]:
        """Encode cells step by step; see `Encoder.encode_steps`."""
        self.inner.resources = self.resources
        self.problems_ = self.remarks_ = ()
        if isinstance(self.inner, TimmEncoder):
            found = self._pictures(self.inner, cells)
        else:
            found = self._texts(self.inner, cells)
        lengths, starts = np.zeros((2, len(cells)), dtype=np.int64)
        broken = []
        parts: list[NDArray[np.float16]] = []
        total = 0
        for row in sorted(found):
            part = found[row]
            if not np.isfinite(part).all():  # float16 has no number above 65,504
                broken.append(CellProblem(row, NOT_FINITE))
                continue
            starts[row], lengths[row] = total, len(part)
            parts.append(part)
            total += len(part)
        observed = lengths > 0
        self.problems_ = tuple(sorted((*self.inner.problems_, *broken), key=lambda p: p.row))
        self.remarks_ = tuple(r for r in self.inner.remarks_ if observed[r.row])
        flat = np.concatenate(parts) if parts else np.zeros((0, self.width), dtype=np.float16)
        return Ragged(flat, starts, lengths), observed

    def network(self) -> GridModel:
        """Return the network of pictures, to be trained; see `TimmEncoder.network`.

        Raises:
            FeatureError: If the encoder reads texts, or is not fitted.
        """
        if not isinstance(self.inner, TimmEncoder):
            raise FeatureError("The network of token vectors stays as it is.")
        return GridModel(self.inner.network(), self.grid)

    def replace_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Encode with these weights from now on; see `TimmEncoder.replace_weights`.

        Args:
            weights: The `state_dict` of what `network` returned.
        """
        own = {name.removeprefix("model."): weight for name, weight in weights.items()}
        self.inner.replace_weights(own)

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return the inner encoder's state, the grid and the sizes."""
        inner, arrays = self.inner.state()
        config: dict[str, Json] = {"name": self.name, "inner": inner}
        grid: Json = None if self.grid is None else list(self.grid)
        assert self.steps is not None
        return {**config, "grid": grid, "width": self.width, "steps": self.steps}, arrays

    def fingerprint(self) -> str:
        """Return 32 hex digits of the inner encoder's fingerprint and the grid."""
        same = f"sequence {self.inner.fingerprint()} {self.grid}"
        return hashlib.sha256(same.encode()).hexdigest()[:32]

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder, whose network is loaded when it is needed.

        Raises:
            FeatureError: If the state is incomplete.
        """
        values: Mapping[str, Any] = config
        kinds: dict[str, type[Inner]] = {c.name: c for c in (TransformersEncoder, TimmEncoder)}
        try:
            inner = kinds[values["inner"]["name"]].from_state(values["inner"], arrays)
            encoder = cls(inner, values["grid"] and tuple(values["grid"]))
            encoder.width, encoder.steps = int(values["width"]), int(values["steps"])
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise FeatureError(
                f"The state of the sequence encoder is incomplete: {error!r}."
            ) from error
        return encoder

    def _look(self, model: ImageModel, pixels: Tensor) -> Tensor:
        return model.grid(pixels, self.grid)

    def _pictures(
        self, inner: TimmEncoder, cells: Sequence[Cell]
    ) -> dict[int, NDArray[np.float16]]:
        found: dict[int, NDArray[np.float16]] = {}
        for rows, grids in inner.outputs(cells, self._look):
            found.update(zip(rows.tolist(), _half(grids), strict=True))
        return found

    def _texts(
        self, inner: TransformersEncoder, cells: Sequence[Cell]
    ) -> dict[int, NDArray[np.float16]]:
        assert self.steps is not None
        inner.problems_ = inner.remarks_ = ()
        if not any(read_texts(cells)):  # and the model need not be loaded
            return {}
        tokens, observed = inner.tokens(cells, self.steps)
        if self._network is None:
            self._network = inner.network()
        model = self._network.to(self.resources.device)
        assert inner.settings_ is not None
        device = self.resources.device
        precision = resolve_precision(inner.settings_.precision, device)
        places = np.flatnonzero(observed)
        counts = (tokens != model.pad).sum(axis=1)
        texts: list[Tokens] = [tokens[p, : counts[p]].astype(np.int32) for p in places.tolist()]
        found: dict[int, NDArray[np.float16]] = {}
        for rows, some in batches(texts, self.resources.batch_size, model.pad):
            with torch.inference_mode(), autocast(precision, device):
                states = _half(model.states(torch.from_numpy(some).to(device)))
            for row, own in zip(rows.tolist(), states, strict=True):
                found[int(places[row])] = own[: len(texts[row])].copy()
        return found


@final
class GridModel(nn.Module):
    """A backbone of timm that gives places in place of one vector, to be trained.

    Args:
        model: The backbone.
        size: Rows and columns; those of its own last map if None.
    """

    def __init__(self, model: ImageModel, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, pixels: Tensor) -> Tensor:
        """Return `items x places x features`; see `ImageModel.grid`."""
        return self.model.grid(pixels, self.size)

    @property
    def blocks(self) -> list[nn.Module]:
        """See `ImageModel.blocks`."""
        return self.model.blocks

    @property
    def parts(self) -> dict[str, nn.Module]:
        """See `ImageModel.parts`."""
        return self.model.parts

    def enable_gradient_checkpointing(self) -> None:
        """See `ImageModel.enable_gradient_checkpointing`."""
        self.model.enable_gradient_checkpointing()


def _half(values: Tensor) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return values.float().cpu().numpy().astype(np.float16)


def _read_grid(grid: Setting | None, kind: Kind) -> tuple[int, int] | None:
    """Return rows and columns of a grid."""
    if grid is None:
        return None
    parts = grid if isinstance(grid, tuple) else (grid, grid)
    numbers = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    if kind != "image" or len(numbers) != 2 or len(parts) != 2 or min(numbers) < 1:
        raise ConfigError(
            f"grid is {grid}; expected rows and columns of a picture's steps, as 3x3, or one "
            "number for both."
        )
    return numbers[0], numbers[1]
