"""Students as ONNX files, which run without Python; what they say there is held against torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import UserError
from bayesfuse.estimator.inputs import match_modalities
from bayesfuse.estimator.student import Student

OBSERVED = "observed"
"""The input that says which modalities of an item were observed, `items x modalities`, bool."""

OUTPUTS = ("probability", "epistemic_share")

TOLERANCE = 1e-5
"""How far a probability may be from torch's: both round in float32, each in its own order."""

_ITEMS = 256


def export_onnx(student: Student, path: Path, items: FeatureTable) -> float:
    """Write a student as ONNX, and run it on some items there and here.

    Its inputs are the modalities by name, each `items x features` in float32, and `OBSERVED`; its
    outputs are `OUTPUTS`, each `items x labels`. Labels, thresholds and the order of the modalities
    are in the file's metadata.

    Args:
        student: The student.
        path: The file.
        items: Items with the student's modalities, on which both are compared.

    Returns:
        The largest difference of a probability or share.

    Raises:
        UserError: If a package is missing, or they differ by more than `TOLERANCE`.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {error.name}: pip install 'bayesfuse[onnx]', or leave --onnx "
            "out."
        ) from error
    network = _Flat(student).cpu().eval()
    table = match_modalities(items, student.widths)
    batch = Batches(table).read(np.arange(min(len(table), _ITEMS)))
    arguments = (*(batch.inputs[name] for name in student.widths), batch.observed)
    several = torch.export.Dim("items", min=1)
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            network,
            tuple(value[:2] if len(value) > 1 else value.repeat(2, 1) for value in arguments),
            dynamo=True,
            dynamic_shapes=(tuple({0: several} for _ in arguments),),
            input_names=[*student.widths, OBSERVED],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    told = {
        "labels": list(student.label_names),
        "thresholds": [float(value) for value in student.thresholds],
        "modalities": student.widths,
    }
    for name, value in told.items():
        model.metadata_props.add(key=name, value=json.dumps(value))
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = dict(zip([*student.widths, OBSERVED], (a.numpy() for a in arguments), strict=True))
    there = session.run(list(OUTPUTS), given)
    with torch.no_grad():
        here = network(*arguments)
    apart = max(
        float(np.abs(one - other.numpy()).max()) for one, other in zip(there, here, strict=True)
    )
    if not apart <= TOLERANCE:
        raise UserError(
            f"What {path} says differs by {apart:.2g} from what torch says; expected {TOLERANCE:g} "
            "at most. Do not use it; please report this with the versions of torch and onnx."
        )
    return apart


class _Flat(nn.Module):
    """The student with one argument a modality, and probabilities out."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.names = tuple(student.widths)
        self.network = student.network

    def forward(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        *values, observed = arguments
        said = self.network(dict(zip(self.names, values, strict=True)), observed)
        return torch.sigmoid(said.logits), torch.sigmoid(said.share_logits)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have the exporter log nothing but errors."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
