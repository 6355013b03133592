"""A distilled classifier: one deterministic network that says how likely a label is, and how sure.

It needs no posterior, no graph and no encoders of its own: it reads the features that its teacher
read. See `bayesfuse.estimator.distilling` for how it learns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bayesfuse.config.distilling import DistillConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import RunFolderError
from bayesfuse.estimator import inputs
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.files import FORMAT, read_json, read_tensors, write_json
from bayesfuse.evaluation.uncertainty import binary_entropy
from bayesfuse.models.student import Said, StudentNetwork

FILES = ("student.json", "student.safetensors", "student.onnx")
"""What a student's folder holds; the last only where it was exported."""

_ITEMS_AT_ONCE = 4096


@dataclass(frozen=True)
class StudentPrediction:
    """What a student says of items; every array is `items x labels`.

    Attributes:
        mean: Probability of the label.
        epistemic_share: Which share of its uncertainty is epistemic, 0 to 1.
    """

    mean: NDArray[np.float32]
    epistemic_share: NDArray[np.float32]

    @property
    def epistemic(self) -> NDArray[np.float64]:
        """Epistemic uncertainty (mutual information) in nats: the share of the total."""
        return self.epistemic_share * binary_entropy(self.mean)


class Student:
    """A distilled classifier.

    Args:
        network: The network.
        label_names: Names of the labels.
        thresholds: Thresholds of the tags, `labels`.
        config: How it was distilled.
        fusion: Its fusion rule.
        about: What its file tells of where it comes from, and of what is left of the teacher.

    Example:
        >>> import tempfile
        >>> network = StudentNetwork({"text": 3}, num_labels=2, fusion="concat", hidden=4)
        >>> student = Student(network, ("Drama", "War"), np.array([0.5, 0.5]), DistillConfig(),
        ...                   fusion="concat", about={})
        >>> said = student.predict({"text": np.zeros((5, 3))})
        >>> said.mean.shape, said.epistemic_share.shape
        ((5, 2), (5, 2))
    """

    def __init__(
        self,
        network: StudentNetwork,
        label_names: tuple[str, ...],
        thresholds: NDArray[np.float64],
        config: DistillConfig,
        *,
        fusion: str,
        about: Mapping[str, Any],
    ) -> None:
        self.network, self.label_names, self.thresholds = network, label_names, thresholds
        self.config, self.fusion, self.about = config, fusion, dict(about)

    @property
    def widths(self) -> dict[str, int]:
        """Modality to its number of features."""
        return dict(self.network.network.standardise.widths)

    @property
    def num_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def predict(self, X: Any) -> StudentPrediction:
        """Return probabilities and epistemic shares.

        Args:
            X: A `Catalog`, a `FeatureTable`, or a mapping of modality to array
                (`items x features`, with `NAME_observed` masks if wanted).

        Raises:
            FeatureError: If a modality has another width than the teacher read, or X none of them.
        """
        table: FeatureTable = X.features if isinstance(X, Catalog) else inputs.as_table(X)
        named = isinstance(X, Mapping)
        table = inputs.match_modalities(table, self.widths, ignore_others=not named)
        network, found = self.network, []
        device = next(network.parameters()).device
        network.eval()
        with torch.no_grad():
            for batch in Batches(table, device=device).in_order(_ITEMS_AT_ONCE):
                said: Said = network(batch.inputs, batch.observed)
                pair = torch.stack([said.logits, said.share_logits])
                found.append(torch.sigmoid(pair).cpu().numpy())
        empty = np.zeros((2, 0, len(self.label_names)), np.float32)
        mean, share = np.concatenate([empty, *found], axis=1)
        return StudentPrediction(mean, share)

    def tags(self, X: Any) -> NDArray[np.bool_]:
        """Return the tags, `items x labels`: where the probability reaches the threshold."""
        return np.asarray(self.predict(X).mean >= self.thresholds)

    def write(self, folder: Path) -> None:
        """Write `student.json` and `student.safetensors` into a folder."""
        told = {
            "labels": list(self.label_names),
            "widths": self.widths,
            "fusion": self.fusion,
            "thresholds": [float(value) for value in self.thresholds],
            "config": self.config.model_dump(mode="json"),
            **self.about,
        }
        write_json(folder / FILES[0], told)
        tensors = {name: value.contiguous().cpu() for name, value in self._tensors().items()}
        kind = json.dumps({"kind": "student", "labels": len(self.label_names)})
        save_file(tensors, folder / FILES[1], {FORMAT: kind})

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Student:
        """Read what `bayesfuse distill` wrote.

        Raises:
            RunFolderError: If a file is missing or truncated, or does not fit the other.
        """
        folder = Path(path)
        for name in FILES[:2]:
            if not (folder / name).is_file():
                raise RunFolderError(
                    f"{folder} holds no {name}; expected a folder that bayesfuse distill wrote."
                )
        told = read_json(folder / FILES[0])
        tensors, _ = read_tensors(folder / FILES[1])
        try:
            own = ("labels", "widths", "fusion", "thresholds", "config")
            labels, widths, fusion, thresholds, config = (told.pop(name) for name in own)
            made = DistillConfig.parse(config, source=str(folder / FILES[0]))
            network = build_student(widths, len(labels), fusion, made)
            network.load_state_dict(tensors)
            cuts = np.array(thresholds, np.float64)
        except (
            *(LookupError, TypeError, ValueError, RuntimeError),
            *(AttributeError, ArithmeticError),
        ) as error:
            reason = " ".join(str(error).split())
            raise RunFolderError(
                f"{folder / FILES[0]} does not describe what {FILES[1]} holds ({reason}). Was one "
                "of them edited or exchanged?"
            ) from error
        network.to(choose_device(device)).eval()
        return cls(network, tuple(labels), cuts, made, fusion=fusion, about=told)

    def _tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.network.state_dict())


def build_student(
    widths: Mapping[str, int], num_labels: int, fusion: str, config: DistillConfig
) -> StudentNetwork:
    """Return a new student network.

    Args:
        widths: Modality to its number of features.
        num_labels: Number of labels.
        fusion: Its fusion rule.
        config: Its sizes.
    """
    return StudentNetwork(
        widths,
        num_labels,
        fusion=fusion,
        hidden=config.hidden,
        classifier_hidden=config.classifier_hidden,
        pieces=config.pieces,
        dropout=config.dropout,
    )
