"""What neighbours are worth: text and image with and without the graph, by number of neighbours.

    python examples/graph_gain.py CATALOG --seeds 3 --keep FOLDER

Everything is chosen on train and scored on val; the test split is never read. Prints a Markdown
table a stratum of items (all, then by how many neighbours they have): macro AP, NLL a label (nats)
and mutual information a label (nats), means over the seeds; beside each score the 95 % interval of
its difference to the first row, over 2,000 paired bootstrap resamples of the items (the seeds are
not resampled). `twin` rows are without priors; those of the graph are as well regularised as we
could make them. `--keep` keeps what has been fitted, so that a script that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesfuse import Catalog, FusionClassifier, summarise
from bayesfuse.graph.entity_graph import EntityGraph

GRAPH: dict[str, Any] = {"graph": "people", "graph_features": ("text", "image")}
REGULARISED: dict[str, Any] = {
    "elbo": "none",
    "dropout": 0.6,
    "graph_dropout": 0.6,
    "attention_dropout": 0.3,
    "neighbour_thinning": 0.3,
    "modality_dropout": 0.1,
    "weight_decay": 0.1,
    "classifier_learning_rate": 0.0005,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "text+image": {},
    "graph": GRAPH,
    "graph+labels": {**GRAPH, "neighbour_labels": True},
    "graph of images": {**GRAPH, "graph_features": ("image",)},
    "graph a relation": {**GRAPH, "graph_relations": "each"},
    "graph, self-loops": {**GRAPH, "self_loops": "isolated", "neighbour_shrinkage": 0.0},
    "graph, no shrinkage": {**GRAPH, "neighbour_shrinkage": 0.0},
    "twin": {"elbo": "none"},
    "graph twin, plain": {
        **GRAPH,
        "elbo": "none",
        "self_loops": "isolated",
        "neighbour_shrinkage": 0.0,
    },
    "graph twin": {**GRAPH, **REGULARISED},
    "graph+labels twin": {**GRAPH, **REGULARISED, "neighbour_labels": True},
}
STRATA = ((0, 0), (1, 5), (6, 20), (21, None))
RESAMPLES = 2000


class Scored(NamedTuple):
    """Probabilities of val, `seeds x items x labels`, and mutual information, `seeds x items`."""

    mean: NDArray[np.float64]
    information: NDArray[np.float64]


def predictions(
    catalog: Catalog, name: str, seed: int, keep: Path | None, epochs: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a variant, or read what an earlier call has kept."""
    kept = None if keep is None else keep / f"{name}-{seed}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            return file["mean"], file["information"]
    settings = {**VARIANTS[name], **({"epochs": epochs} if epochs else {})}
    fitted = FusionClassifier(**settings, seed=seed).fit(catalog)
    items = fitted.link(catalog).features.take(catalog.labelled_rows("val"))
    parts = [summarise(chunk) for chunk in fitted.iter_proba(items)]
    mean = np.concatenate([part.mean for part in parts]).astype(np.float64)
    information = np.concatenate([part.epistemic.mean(axis=1) for part in parts])
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, mean=mean, information=information)
        partial.rename(kept)
    return mean, information


def nll_of_items(mean: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the NLL of each item, nats a label, mean over seeds."""
    chance = np.where(labels, mean, 1 - mean).clip(1e-7)
    found: NDArray[np.float64] = -np.log(chance).mean(axis=(0, 2))
    return found


def macro_ap(
    mean: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return macro average precision, mean over seeds, under each row of weights of the items.

    Labels that no item has in a resample are left out of its mean.
    """
    found = []
    for seed in mean:
        for probability, has in zip(seed.T, labels.T, strict=True):
            if not has.any():
                continue
            order = np.argsort(-probability, kind="stable")
            weight = weights[:, order]
            positive = weight * has[order]
            total = np.maximum(np.cumsum(weight, axis=1), 1e-12)
            hits = (positive * np.cumsum(positive, axis=1) / total).sum(axis=1)
            with np.errstate(invalid="ignore"):
                found.append(hits / positive.sum(axis=1))
    scores: NDArray[np.float64] = np.nanmean(found, axis=0)
    return scores


def table(found: dict[str, Scored], labels: NDArray[np.bool_], rows: NDArray[np.bool_]) -> str:
    """Return the Markdown table of one stratum."""
    first = next(iter(found))
    labels = labels[rows]
    rng = np.random.default_rng(0)
    count = int(rows.sum())
    weights = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)
    once = np.ones((1, count))
    nll = {name: nll_of_items(scored.mean[:, rows], labels) for name, scored in found.items()}
    ap = {name: macro_ap(scored.mean[:, rows], labels, weights) for name, scored in found.items()}
    lines = ["| variant | macro AP | difference | NLL | difference | MI |", "|" + " --- |" * 6]
    for name, scored in found.items():
        own = macro_ap(scored.mean[:, rows], labels, once)[0]
        cells = [f"{own:.4f}", "", f"{nll[name].mean():.4f}", ""]
        if name != first:
            cells[1] = _interval(ap[name] - ap[first])
            cells[3] = _interval(weights @ (nll[name] - nll[first]) / count)
        cells.append(f"{scored.information[:, rows].mean():.4f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _interval(values: NDArray[np.float64]) -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{low:+.4f} to {high:+.4f}"


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("catalog")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--keep", type=Path, help="folder of what has been fitted")
    parser.add_argument("--epochs", type=int, help="for a quick look")
    arguments = parser.parse_args()
    catalog = Catalog.read(arguments.catalog)
    val = catalog.labelled_rows("val")
    labels = catalog.labels[val] > 0
    degrees = EntityGraph.from_people(catalog.people).degrees()[val]
    found = {}
    for name in arguments.variants:
        runs = [
            predictions(catalog, name, seed, arguments.keep, arguments.epochs)
            for seed in range(arguments.seeds)
        ]
        means, information = zip(*runs, strict=True)
        found[name] = Scored(np.stack(means), np.stack(information))
    everyone = np.ones(len(val), dtype=np.bool_)
    print(f"All, {len(val)} items\n\n{table(found, labels, everyone)}")
    for low, high in STRATA:
        rows = (degrees >= low) & (degrees <= (high if high is not None else degrees.max()))
        words = f"{low}" if low == high else f"{low} to {high}" if high else f"{low} or more"
        if rows.any():
            print(f"\n{words} neighbours, {rows.sum()} items\n\n{table(found, labels, rows)}")


if __name__ == "__main__":
    main()
