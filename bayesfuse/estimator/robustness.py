"""How far scores fall when items are moved a little: against the model, and at random."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call
from torch.nn import functional as F

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.stepwise import by_step, read_by_step
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.evaluate import evaluate
from bayesfuse.evaluation.text import aligned, json_safe

DRAWS, ITEMS_AT_ONCE = 16, 512
"""Posterior draws whose mean loss says where it rises, and items of a batch of these."""

Moves = dict[str, NDArray[np.float32]]
"""Modality to a direction an item, `items x features`: of length 1 over all modalities."""


@dataclass(frozen=True)
class MovedScores:
    """Scores of items that were moved.

    Attributes:
        length: How far, in typical lengths of an item's standardised features.
        nll: NLL a label, moved to where the loss rises most.
        macro_ap: Macro AP, likewise.
        nll_at_random: NLL a label, moved as far in a direction that was drawn at random.
        macro_ap_at_random: Macro AP, likewise.
    """

    length: float
    nll: float
    macro_ap: float
    nll_at_random: float
    macro_ap_at_random: float


@dataclass(frozen=True)
class Robustness:
    """A robustness curve; its first row is of items where they are.

    Attributes:
        rows: By how far items were moved, ascending from 0.
    """

    rows: tuple[MovedScores, ...]

    def to_dict(self) -> list[object]:
        """Return plain dicts for JSON."""
        return [json_safe(dataclasses.asdict(row)) for row in self.rows]

    def __str__(self) -> str:
        """Lay the curve out as a table."""
        header = ["items moved by", "NLL", "macro AP", "at random: NLL", "macro AP"]
        rows = [
            [f"{row.length:g}", *(f"{score:.4f}" for score in dataclasses.astuple(row)[1:])]
            for row in self.rows
        ]
        return aligned(header, rows)


def robustness(
    run: Run,
    lengths: Sequence[float],
    *,
    draws: int | None = None,
    seed: int | None = None,
    kind: str = "joint",
) -> Robustness:
    r"""Score a run on its labelled rows, as they are and moved.

    .. math:: x^{\text{moved}}_i = x_i + \varepsilon r_i u_i, \qquad
        u_i = \frac{g_i}{\lVert g_i \rVert_2}, \qquad
        g_i = \nabla_{x_i} \tfrac1S \sum_s L(y_i, \theta^{(s)})

    with the standardised features of all modalities of an item together, the length r that items of
    its modalities typically have in training, and up to `DRAWS` posterior draws; at random, u is
    normal in place of g. It is the attack of a first step: one of several could find worse.

    Args:
        run: A run and a catalogue, rows labelled.
        lengths: The :math:`\varepsilon`, > 0; 0 is added.
        draws: Posterior draws of the scores; the run's if None.
        seed: Their seed; the run's if None.
        kind: See `bayesfuse.FusionClassifier.sample_proba`.

    Raises:
        ConfigError: If a length is not > 0 and finite, or the run hears a graph.

    Reference: COIN (MAI workshop 2021), sec. 2.4; Goodfellow et al. 2015 (arXiv:1412.6572).
    """
    wrong = [length for length in lengths if not 0 < length < math.inf]
    if wrong or not lengths:
        raise ConfigError(
            f"--robustness: {wrong[0] if wrong else 'nothing'} is no length; expected numbers > 0, "
            "such as 0.05,0.1,0.2."
        )
    if run.classifier.links_ is not None:
        raise ConfigError(
            "--robustness: the run hears a graph, in which an item that is moved would be heard so "
            "by others. It is for runs without one (--graph none)."
        )
    if run.classifier.model_.network.transformer is not None:
        raise ConfigError(
            "--robustness: the run reads text word by word, and a word cannot be moved a little."
        )
    classifier, seed = run.classifier, run.classifier.seed if seed is None else seed
    labels = known_labels(classifier, run.catalog)[run.rows]
    table = classifier._table(run.catalog.features.take(run.rows))
    against = steepest(classifier, table, labels, seed)
    anywhere = at_random(against, table, seed)

    def scores(length: float, moves: Moves) -> tuple[float, float]:
        moved = table if length == 0 else move(classifier, table, moves, length)
        chunks = classifier.iter_proba(moved, draws, seed, kind=kind)
        mean = np.concatenate([chunk.mean(axis=0, dtype=np.float64) for chunk in chunks])
        found = evaluate(mean, labels, classifier.label_names_)
        return found.nll, found.average_precision.macro

    here = scores(0.0, against)
    rows = [MovedScores(0.0, *here, *here)]
    for length in sorted(set(lengths)):
        rows.append(MovedScores(length, *scores(length, against), *scores(length, anywhere)))
    return Robustness(tuple(rows))


def steepest(
    classifier: FusionClassifier, table: FeatureTable, labels: NDArray[np.float32], seed: int
) -> Moves:
    """Return for each item where its loss rises most; 0 of one whose loss has no slope.

    Args:
        classifier: A fitted classifier.
        table: Features as its network takes them.
        labels: `items x labels`.
        seed: Of the posterior draws.
    """
    predictive = classifier._predictive(seed)
    network = classifier.model_.network
    draws = 1 if predictive.lifted is None else min(DRAWS, classifier.draws)
    batches = Batches(table, labels, next(network.buffers()).device)
    parts: list[dict[str, torch.Tensor]] = []
    network.eval()
    for batch in batches.in_order(ITEMS_AT_ONCE):
        zero = {name: torch.zeros_like(x).requires_grad_() for name, x in batch.inputs.items()}
        total = {name: torch.zeros_like(x) for name, x in batch.inputs.items()}
        for draw in range(draws):
            weights = {} if predictive.lifted is None else predictive.weights(draw)
            given = (batch.inputs, batch.observed)
            logits = functional_call(network, weights, given, {"shift": zero})
            assert batch.labels is not None
            loss = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum")
            slopes = torch.autograd.grad(loss, list(zero.values()))
            for name, slope in zip(zero, slopes, strict=True):
                total[name] = total[name] + slope
        parts.append(total)
    return _of_length_1({n: _together([p[n] for p in parts]) for n in parts[0]})


def _together(parts: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    """Return what there is of all items; of sequences with 0 where others are longer."""
    if parts[0].ndim == 3:
        most = max(part.shape[1] for part in parts)
        parts = [F.pad(part, (0, 0, 0, most - part.shape[1])) for part in parts]
    found: NDArray[np.float64] = torch.cat(list(parts)).double().cpu().numpy()
    return found


def at_random(like: Moves, table: FeatureTable, seed: int) -> Moves:
    """Return a direction an item that is drawn at random, among the features that it has.

    Args:
        like: Of which the shapes are read.
        table: The items.
        seed: Of the directions.
    """
    rng, names = np.random.default_rng([seed, 9]), list(table.names)
    drawn = {name: rng.normal(size=move.shape) for name, move in like.items()}
    seen = {name: table.observed[:, [names.index(name)]] for name in like}
    for name in read_by_step(table):
        steps = table.select([name]).batch(slice(None))[0][name]
        seen[name] = ~np.isnan(steps[:, :, :1])
    return _of_length_1({name: np.where(seen[name], drawn[name], 0.0) for name in like})


def move(
    classifier: FusionClassifier, table: FeatureTable, moves: Moves, length: float
) -> FeatureTable:
    """Return a table whose items are moved so far, as features that are yet to be standardised.

    Args:
        classifier: Of whose network the standardising is.
        table: Features as its network takes them.
        moves: The directions.
        length: How far, in typical lengths of an item's standardised features.
    """
    standardise = classifier.model_.network.standardise
    device = next(standardise.buffers()).device
    values, observed = table.batch(slice(None))
    inputs = {name: torch.from_numpy(x).to(device) for name, x in values.items()}
    seen = torch.from_numpy(observed).to(device)
    shift = {n: length * torch.from_numpy(u).to(device) for n, u in moves.items()}
    here, there = standardise(inputs, seen), standardise(inputs, seen, shift)
    found = {}
    for name, x in inputs.items():
        gain, scale = standardise.gain.get_buffer(name), standardise.scale.get_buffer(name)
        # by how much, and not where to: a feature that hardly varies has no room for rounding
        found[name] = (x + (there[name] - here[name]) / gain * scale).cpu().numpy()
    masks = {name: observed[:, column] for column, name in enumerate(table.names)}
    lengths = {n: (~np.isnan(found[n][:, :, 0])).sum(axis=1) for n in read_by_step(table)}
    whole = {name: np.nan_to_num(x) if name in lengths else x for name, x in found.items()}
    return by_step(FeatureTable.from_arrays(whole, masks, lengths), lengths)


def _of_length_1(moves: dict[str, NDArray[np.float64]]) -> Moves:
    """Return directions of length 1 over all modalities of an item; 0 stays 0."""
    squares = [np.square(move).reshape(len(move), -1).sum(axis=1) for move in moves.values()]
    lengths = np.sqrt(np.stack(squares).sum(axis=0))
    whole = np.where(lengths > 0, lengths, 1.0)
    return {
        name: (value / whole.reshape(-1, *[1] * (value.ndim - 1))).astype(np.float32)
        for name, value in moves.items()
    }
