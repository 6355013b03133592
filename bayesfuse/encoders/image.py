"""Pictures as vectors of a timm backbone, by name, from a folder or with weights from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayesfuse.encoders.augmentation import training_transform
from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind, Setting
from bayesfuse.encoders.decoding import Batch, Decoder
from bayesfuse.encoders.decoding_worker import decode
from bayesfuse.encoders.image_model import ImageModel
from bayesfuse.encoders.image_network import check_model_args
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing, check_overrides
from bayesfuse.encoders.image_source import (
    ImageSource,
    KeptNetwork,
    source_from_state,
    state_of,
)
from bayesfuse.encoders.pictures import UnreadableError, open_picture
from bayesfuse.encoders.precision import PRECISIONS, autocast, resolve_precision
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, FeatureError, unknown_option

NOT_FINITE = "the network's vector is not finite"

_AT_ONCE = 16  # pictures on a CPU, whose caches hold no more; up to twice as quick as 64
_PLACE = ("config", "model", "revision", "timm", "weights")  # which changes no feature


@final
class TimmEncoder(Encoder):
    """Image features of any backbone of timm: what it hands to its classifier.

    Pictures are read upright as RGB (see `open_picture`), scaled and cropped as the backbone's own
    preprocessing says, by worker processes ahead of the network. A cell that is `None` is
    unobserved; so is a picture that cannot be read, and that one is listed in `problems_`.

    Args:
        model: A name of timm's; or a folder that timm has saved, or such a one's name on the hub.
        weights: A file of weights (.safetensors, .pth); the hub's pretrained ones if None.
        model_args: Arguments of the network, as `{"num_classes": 10}`; needed where the weights
            are not of timm's usual network of this name.
        preprocessing: In place of the backbone's own; see `ImagePreprocessing`.
        precision: `auto`, `float32`, `bfloat16` or `float16`; see `resolve_precision`.

    Raises:
        ConfigError: If a setting is none of these.
    """

    name: ClassVar[str] = "timm"
    kind: ClassVar[Kind] = "image"
    costly: ClassVar[bool] = True

    def __init__(
        self,
        model: str = "efficientnet_b4",
        weights: str | None = None,
        model_args: Mapping[str, Setting] | None = None,
        preprocessing: Mapping[str, Setting] | None = None,
        precision: str = "auto",
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(unknown_option("precision", str(precision), PRECISIONS))
        check_model_args(model_args or {})
        check_overrides(preprocessing or {})
        self.model = str(model)
        self.weights = None if weights is None else str(weights)
        self.model_args = dict(model_args or {})
        self.preprocessing = dict(preprocessing or {})
        self.precision = precision
        self.preprocessing_: ImagePreprocessing | None = None
        self.precision_ = precision
        self._source: ImageSource | KeptNetwork | None = None
        self._model: ImageModel | None = None  # None until it is needed, or if it was given away
        self._decoder: Decoder | None = None

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Load the network and resolve what is left open; the cells are not even read.

        Raises:
            ConfigError: If there is no such model, or a setting does not suit it; the message says
                what to do.
            FeatureError: If the weights are broken or another model's.
        """
        self.precision_ = resolve_precision(self.precision, self.resources.device)
        import_timm()
        from timm.data import resolve_model_data_config

        source, network = ImageSource.find(
            self.model, self.weights, self.model_args, self.resources.tell
        )
        own = resolve_model_data_config(network)
        self.preprocessing_ = ImagePreprocessing.resolve(own, self.preprocessing)
        self._source, self._model = source, self._assemble(network)
        self.width = self._try_out(self._model.to(self.resources.device))
        self._end_workers()
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode pictures while the next ones are decoded; see `Encoder.encode`."""
        self._fitted()
        features = np.zeros((len(cells), self.width), dtype=np.float32)
        observed = np.zeros(len(cells), dtype=np.bool_)
        broken: list[CellProblem] = []
        for rows, vectors in self.outputs(cells, ImageModel.forward):
            values = vectors.cpu().numpy()
            finite = np.isfinite(values).all(axis=1)  # float16 has no number above 65,504
            features[rows[finite]] = values[finite]
            observed[rows[finite]] = True
            broken += [CellProblem(row, NOT_FINITE) for row in rows[~finite].tolist()]
        self.problems_ = tuple(sorted((*self.problems_, *broken), key=lambda problem: problem.row))
        return features, observed

    def outputs(
        self, cells: Sequence[Cell], look: Callable[[ImageModel, Tensor], Tensor]
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Yield rows and what a function makes of network and pixels; in the end, `problems_`."""
        problems: list[CellProblem] = []
        batches = self._decoding().batches(cells, self.resources.batch_size)
        with closing(batches):
            yield from self._vectors(batches, problems, look)
        self.problems_ = tuple(sorted(problems, key=lambda problem: problem.row))

    def pixel_reader(
        self, augment: Mapping[str, Setting] | None = None
    ) -> Callable[[Cell, int], NDArray[np.uint8]]:
        """Return what reads a picture for the network to be trained on; threads may share it.

        Args:
            augment: Settings of `Augmentation`, by which pictures are changed at random; None for
                the very pixels that `encode` would read.

        Returns:
            A function of a cell and a seed, which gives the pixels, 3 x height x width; all 0
            where `encode` would not observe the cell.

        Raises:
            FeatureError: If the encoder is not fitted.
            ConfigError: If a setting is unknown or out of range.
        """
        preprocessing = self._fitted()
        change = None if augment is None else training_transform(preprocessing, augment)

        def read(cell: Cell, seed: int) -> NDArray[np.uint8]:
            try:
                if cell is None:
                    raise UnreadableError
                if change is None:
                    return decode(cell, preprocessing)
                with open_picture(cell) as (image, _):
                    return change(image, seed)
            except UnreadableError:
                return np.zeros(preprocessing.input_size, dtype=np.uint8)

        return read

    def network(self) -> ImageModel:
        """Return the network, to be trained; it is the caller's own from now on.

        The encoder itself still encodes as before, until `replace_weights`.

        Raises:
            FeatureError: If the encoder is not fitted.
        """
        model = self.ready()
        self._model = None
        return model

    def replace_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Encode with these weights from now on, and keep them in the state.

        Args:
            weights: The `state_dict` of what `network` returned.

        Raises:
            FeatureError: If the encoder is not fitted, or they are not this network's weights.
        """
        self._fitted()
        assert self._source is not None
        kept = {
            name.removeprefix("network."): weight.detach().cpu().contiguous().clone()
            for name, weight in weights.items()
        }
        source = KeptNetwork(
            self._source.architecture, self._source.args, self._source.config, kept
        )
        self._model = self._assemble(source.again(self.resources.tell))
        self._source = source

    def move_to(self, weights: str) -> None:
        """Take the weights from another file from now on; they must be the very same.

        Raises:
            FeatureError: If the encoder is not fitted, or they are other weights.
        """
        self._fitted()
        if isinstance(self._source, ImageSource):
            self._source = self._source.moved_to(weights)

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return settings, the weights' place and hash; weights that were trained themselves."""
        preprocessing = self._fitted()
        assert self._source is not None
        source, arrays = state_of(self._source)
        config: dict[str, Json] = {
            "name": self.name,
            "model": self.model,
            **source,
            "preprocessing": preprocessing.to_json(),
            "precision": self.precision_,
            "width": self.width,
            "timm": str(import_timm().__version__),
        }
        return config, arrays

    def fingerprint(self) -> str:
        """Return 32 hex digits of all but the place where the weights lie."""
        config, _ = self.state()  # which has the hash of the arrays, too
        same = {key: value for key, value in config.items() if key not in _PLACE}
        same["architecture"] = str(same["architecture"]).partition(".")[0]  # the tag names weights
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:32]

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder, whose network is loaded when it is needed.

        Raises:
            FeatureError: If the state is incomplete. When the network is loaded: if its weights
                are others than the encoder was fitted with.
        """
        values: Mapping[str, Any] = config
        try:
            encoder = cls(
                model=str(values["model"]),
                weights=None if values["revision"] else values["weights"],
                model_args=values["model_args"],
                preprocessing=values["preprocessing"],
                precision=str(values["precision"]),
            )
            encoder._source = source_from_state(values, arrays)
            encoder.preprocessing_ = ImagePreprocessing.resolve(values["preprocessing"], {})
            encoder.width = int(values["width"])
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise FeatureError(
                f"The state of the timm encoder is incomplete: {error!r}."
            ) from error
        return encoder

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoder": None}  # its processes cannot be copied

    def _fitted(self) -> ImagePreprocessing:
        if self.preprocessing_ is None:
            raise FeatureError("This TimmEncoder is not fitted; call fit(cells) first.")
        return self.preprocessing_

    def ready(self) -> ImageModel:
        """Return the network, loaded if need be, on the device; it stays the encoder's own."""
        self._fitted()
        if self._model is None:
            assert self._source is not None
            self._model = self._assemble(self._source.again(self.resources.tell))
        return self._model.to(self.resources.device)

    def _assemble(self, network: nn.Module) -> ImageModel:
        preprocessing = self._fitted()
        model = ImageModel(network, preprocessing.mean, preprocessing.std).eval()
        # convolutions are quicker so
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _try_out(self, model: ImageModel) -> int:
        """Return how many features a picture has, after making sure that it can be read."""
        size = self._fitted().input_size
        try:
            with torch.inference_mode():
                shape = model(torch.zeros(1, *size, device=self.resources.device)).shape
        except (AssertionError, RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(
                f"The image model {self.model} cannot read pictures of {size[1]} x {size[2]} "
                f"pixels (height x width): {error}. Leave input_size of the preprocessing out, or "
                "pass the network's size in model_args, as img_size."
            ) from error
        if len(shape) != 2 or not shape[1]:
            raise ConfigError(
                f"The image model {self.model} makes {tuple(shape)[1:]} numbers of a picture; "
                "expected one vector. Leave global_pool out of model_args."
            )
        return int(shape[1])

    def _decoding(self) -> Decoder:
        workers = self.resources.workers
        if self._decoder is None or self._decoder.asked != workers:
            self._end_workers()
            self._decoder = Decoder(self._fitted(), workers, self.resources.tell)
        return self._decoder

    def _end_workers(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = None

    def _vectors(
        self,
        batches: Iterator[Batch],
        problems: list[CellProblem],
        look: Callable[[ImageModel, Tensor], Tensor],
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Yield rows and vectors of batches; a GPU has its next batch before one is fetched."""
        device = self.resources.device
        precision = resolve_precision(self.precision_, device)
        at_once = self.resources.batch_size
        if torch.device(device).type == "cpu":
            at_once = min(at_once, max(_AT_ONCE, torch.get_num_threads()))
        model: ImageModel | None = None
        before: tuple[NDArray[np.int64], Tensor] | None = None
        for batch in batches:
            problems += batch.problems
            if not len(batch.rows):
                continue
            model = model or self.ready()
            pixels = torch.from_numpy(batch.pixels)
            if torch.device(device).type == "cuda":
                pixels = pixels.pin_memory().to(device, non_blocking=True)
            with torch.inference_mode(), autocast(precision, device):
                parts = torch.split(pixels.to(device), at_once)
                now = batch.rows, torch.cat([look(model, part) for part in parts])
            if before is not None:
                yield before
            before = now
        if before is not None:
            yield before
