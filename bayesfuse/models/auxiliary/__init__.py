"""Auxiliary losses, one a file: what a fusion is trained by beside the labels' likelihood."""

from __future__ import annotations

from bayesfuse.models.auxiliary.base import Auxiliary, AuxiliaryLoss, Seen
from bayesfuse.models.auxiliary.contrastive import Contrastive
from bayesfuse.models.auxiliary.decoder import Decoder
from bayesfuse.models.auxiliary.modality_losses import ModalityLosses
from bayesfuse.models.auxiliary.multi_similarity import MultiSimilarity
from bayesfuse.models.auxiliary.reconstruction import Reconstruction
from bayesfuse.models.auxiliary.refiner import Refiner

__all__ = [
    "Auxiliary",
    "AuxiliaryLoss",
    "Contrastive",
    "Decoder",
    "ModalityLosses",
    "MultiSimilarity",
    "Reconstruction",
    "Refiner",
    "Seen",
]
