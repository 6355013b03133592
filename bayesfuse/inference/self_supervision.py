"""Training by auxiliary losses alone: what a network can learn of items without labels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from bayesfuse.data.batches import Batches, drop_modalities, num_batches
from bayesfuse.errors import TrainingError
from bayesfuse.inference.auxiliary import request, total
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.optimisers import TwoOptimisers
from bayesfuse.inference.seeding import seeded


def train_without_labels(
    network: nn.Module, items: Batches, settings: SVISettings
) -> tuple[float, ...]:
    """Train a network, in place, by those of its auxiliary losses that read no labels.

    Args:
        network: A deterministic network with such a loss.
        items: The items; labels that they have are not looked at.
        settings: How: epochs, batch size, and the learning rate, decay, warm-up and weight decay of
            the classifier; no epoch is chosen, and the last one stays.

    Returns:
        The loss of each epoch, the mean over items.

    Raises:
        TrainingError: If it is not finite.

    Reference: Sankaran et al. 2021 (ReFNet), algorithm 1, "Pretraining (optional)".
    """
    steps = num_batches(len(items), settings.batch_size)
    optimisers = TwoOptimisers(
        [],
        list(network.parameters()),
        learning_rate=settings.learning_rate,
        classifier_learning_rate=settings.classifier_learning_rate,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        total_steps=steps * settings.epochs,
        warmup_steps=round(settings.warmup_epochs * steps),
        decay=settings.learning_rate_decay,
    )
    order = np.random.default_rng(settings.seed)
    masks = torch.Generator().manual_seed(settings.seed)
    mixed = settings.precision != torch.float32
    history = []
    network.train()
    with seeded(settings.seed, items.device):
        for epoch in range(settings.epochs):
            seen = 0.0
            for batch in items.shuffled(settings.batch_size, order):
                observed = batch.observed
                if settings.modality_dropout > 0:
                    observed = drop_modalities(observed, settings.modality_dropout, masks)
                linked = () if batch.blocks is None else (batch.blocks,)
                optimisers.zero_grad()
                with torch.autocast(items.device.type, dtype=settings.precision, enabled=mixed):
                    asked = request(network, None)
                    logits = network(batch.inputs, observed, *linked, **asked)
                    loss = total(asked, logits)
                loss.backward()  # type: ignore[no-untyped-call]  # torch's
                optimisers.step()
                seen += float(loss.detach()) * len(observed)
            history.append(seen / len(items))
            if not math.isfinite(history[-1]):
                raise TrainingError(
                    f"The loss of pretraining is {history[-1]} in epoch {epoch + 1}. Try a lower "
                    "learning rate (half of it), and check the features for extreme values."
                )
    return tuple(history)
