"""What tells each label, over all items of a catalogue that have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.estimator.contributions import modality_draws
from bayesfuse.estimator.gate_means import ITEMS_AT_ONCE, iter_gates
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.text import aligned, json_safe
from bayesfuse.models.gates import gated_modalities

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ByLabel:
    """A number for each label and modality, with its interval over draws.

    Attributes:
        modalities: The modalities.
        mean: Mean over draws, `labels x modalities`; NaN of a label that no item has.
        low: 5 % quantile over draws, `labels x modalities`.
        high: 95 % quantile over draws, `labels x modalities`.
    """

    modalities: tuple[str, ...]
    mean: Array
    low: Array
    high: Array

    @classmethod
    def of_draws(cls, modalities: Sequence[str], draws: Array) -> ByLabel:
        """Summarise draws, `draws x labels x modalities`."""
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        return cls(tuple(modalities), draws.mean(axis=0), low, high)


@dataclass(frozen=True, eq=False)
class ExplainedLabels:
    """What each modality does for each label; prints as tables.

    Attributes:
        labels: The labels.
        num_items: Items that have each label, `labels`.
        contributions: What a modality adds to the log-odds of a label, the mean over items that
            have it (Shapley values).
        gates: How far the gates let a modality through, the mean over items that have the label;
            None of a fusion without gates.
    """

    labels: tuple[str, ...]
    num_items: NDArray[np.int64]
    contributions: ByLabel
    gates: ByLabel | None

    def to_dict(self) -> dict[str, object]:
        """Return label -> kind -> modality -> `mean`, `q05`, `q95`; None where no item has it."""
        kinds = {"contributions": self.contributions, "gates": self.gates}
        found = {
            label: {
                "items": int(self.num_items[row]),
                **{kind: _row(part, row) for kind, part in kinds.items() if part is not None},
            }
            for row, label in enumerate(self.labels)
        }
        plain = json_safe(found)
        assert isinstance(plain, dict)
        return plain

    def __str__(self) -> str:
        """Return a table of contributions and, if there are gates, one of these."""
        blocks = [
            "what each modality adds to the log-odds of a label, mean over the items that have it "
            "(90 % interval over draws)\n" + self._table(self.contributions, "+.2f")
        ]
        if self.gates is not None:
            blocks.append(
                "mean gate of each modality over the same items (90 % interval over draws)\n"
                + self._table(self.gates, ".3f")
            )
        return "\n\n".join(blocks)

    def _table(self, found: ByLabel, digits: str) -> str:
        rows = []
        for row, label in enumerate(self.labels):
            cells = [
                f"{mean:{digits}} ({low:{digits}} to {high:{digits}})"
                if self.num_items[row]
                else ""
                for mean, low, high in zip(
                    found.mean[row], found.low[row], found.high[row], strict=True
                )
            ]
            rows.append([label, f"{self.num_items[row]:,}", *cells])
        return aligned(["label", "items", *found.modalities], rows)


def explain_labels(
    run: Run,
    labels: Sequence[str] = (),
    *,
    draws: int,
    seed: int,
    items_at_once: int = ITEMS_AT_ONCE,
) -> ExplainedLabels:
    r"""Explain labels over the items of a run that have them.

    .. math:: \bar\phi_{cm}^{(s)} = \frac{1}{|I_c|} \sum_{i \in I_c} \phi_{icm}^{(s)}

    with the items :math:`I_c` that have label c, and a Shapley value (`modality_contributions`) or
    mean gate (`bayesfuse.models.gates`) of modality m under draw s.

    Args:
        run: A run and a catalogue; unlabelled rows are left out.
        labels: The labels; all if empty.
        draws: Posterior draws.
        seed: Their seed.
        items_at_once: Items that are looked at together; only memory depends on it.

    Raises:
        ConfigError: If a label is unknown.
        UserError: If no row is labelled.

    Reference: Rodríguez-Bribiesca et al. 2021 (MulT-GMU), the figure of mean gates by genre.
    """
    classifier, names = run.classifier, run.classifier.label_names_
    unknown = [unknown_option("label", name, names) for name in labels if name not in names]
    if unknown:
        raise ConfigError(" ".join(unknown))
    rows = run.rows[run.catalog.labelled[run.rows]]
    if not len(rows):
        raise UserError(
            f"{run.catalog.source} has no labelled items here, of which the mean could be taken. "
            "Choose another --split, or explain single items."
        )
    columns = [names.index(name) for name in dict.fromkeys(labels)] or list(range(len(names)))
    truth = known_labels(classifier, run.catalog)[rows][:, columns].astype(np.float64)
    features, total = run.catalog.features, np.zeros(())
    parts: tuple[str, ...] = ()
    for start in range(0, len(rows), items_at_once):
        some = slice(start, start + items_at_once)
        parts, added = modality_draws(classifier, features.take(rows[some]), draws, seed)
        total = total + np.einsum("mdic,ic->dcm", added[..., columns], truth[some])
    counts = truth.sum(axis=0)
    shares = np.where(counts > 0, counts, np.nan)[:, None]
    gated = gated_modalities(classifier.model_.network)
    gates = None
    if gated:
        let_through, start = np.zeros((draws, len(columns), len(gated))), 0
        chunks = iter_gates(classifier, features.take(rows), draws, seed, items_at_once)
        for chunk in chunks:
            here = truth[start : start + chunk.shape[1]]
            let_through += np.einsum("dim,ic->dcm", chunk, here)
            start += chunk.shape[1]
        gates = ByLabel.of_draws(gated, let_through / shares)
    return ExplainedLabels(
        tuple(names[column] for column in columns),
        counts.astype(np.int64),
        ByLabel.of_draws(parts, total / shares),
        gates,
    )


def _row(found: ByLabel, row: int) -> Mapping[str, object]:
    arrays = {"mean": found.mean, "q05": found.low, "q95": found.high}
    return {
        modality: {name: float(array[row, column]) for name, array in arrays.items()}
        for column, modality in enumerate(found.modalities)
    }
