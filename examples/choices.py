"""What each choice is worth: fits variants of the default settings and prints their val scores.

    python examples/choices.py CATALOG --seeds 3 --variants default twin ensemble

Everything is chosen on train and scored on val; the test split is never read. `twin` is the same
network without priors; `ensemble` averages five of these. Prints one Markdown row a variant: macro
AP, NLL a label (nats), ECE (15 bins of equal width), macro F1 at thresholds chosen on val, the mean
mutual information (nats), epochs kept, and seconds a fit; means over the seeds.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from bayesfuse import Catalog, FusionClassifier, evaluate, summarise
from bayesfuse.config import PRESETS
from bayesfuse.evaluation.thresholds import best_thresholds

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "twin": {"elbo": "none"},
    "ensemble": {"elbo": "none"},
    "guide=normal": {"guide": "normal"},
    "guide=lowrank": {"guide": "lowrank"},
    "prior=normal": {"prior": "normal"},
    "prior=horseshoe": {"prior": "horseshoe"},
    "prior_scale=0.05": {"prior_scale": 0.05},
    "prior_scale=0.2": {"prior_scale": 0.2},
    "prior_scale=fan-in": {"prior_scale": "fan-in"},
    "prior_scale=learned": {"prior_scale": "learned"},
    "elbo=meanfield": {"elbo": "meanfield"},
    "elbo=trace": {"elbo": "trace"},
    "elbo=rao-blackwell": {"elbo": "rao-blackwell"},
    "init_scale=0.001": {"init_scale": 0.001},
    "init_scale=0.01": {"init_scale": 0.01},
    "init_scale=0.02": {"init_scale": 0.02},
    "init_scale=0.05": {"init_scale": 0.05},
    "init_scale=0.1": {"init_scale": 0.1},
    "prior_scale=0.02, init_scale=prior": {"prior_scale": 0.02, "init_scale": "prior"},
    "feature_norm=6": {"feature_norm": 6.0},
    "feature_norm=none": {"feature_norm": None},
    "dropout=0.2": {"dropout": 0.2},
    "dropout=0.5": {"dropout": 0.5},
    "learning_rate=0.001": {"learning_rate": 0.001, "classifier_learning_rate": 0.001},
    "learning_rate=0.004": {"learning_rate": 0.004, "classifier_learning_rate": 0.004},
    "learning_rate_decay=constant": {"learning_rate_decay": "constant"},
    "epochs=80": {"epochs": 80},
    "modality_dropout=0.2": {"modality_dropout": 0.2},
    "fusion=concat": {"fusion": "concat"},
    "fusion=mixing": {"fusion": "mixing"},
    "classifier=linear": {"classifier": "linear"},
    "hidden=512": {"hidden": 512},
    "temperature=0.1": {"temperature": 0.1, "beta_start": 0.1},
    "preset=pm-mo": PRESETS["pm-mo"],
}
ENSEMBLE_SIZE = 5


def scores(catalog: Catalog, settings: dict[str, Any], seed: int, members: int) -> dict[str, float]:
    """Fit `members` networks, average their probabilities on val, and score them."""
    val = catalog.labelled_rows("val")
    items, labels = catalog.features.take(val), catalog.labels[val]
    draws, kept, started = [], [], time.perf_counter()
    for member in range(members):
        classifier = FusionClassifier(**settings, seed=seed * members + member).fit(catalog)
        kept.append(classifier.result_.best_epoch + 1)
        draws.append(classifier.sample_proba(items))
    seconds = time.perf_counter() - started
    found = summarise(np.concatenate(draws))
    thresholds = best_thresholds(found.mean, labels)
    result = evaluate(found.mean, labels, catalog.label_names, thresholds)
    assert result.f1_at_thresholds is not None
    return {
        "macro AP": result.average_precision.macro,
        "NLL": result.nll,
        "ECE": result.ece.equal_width,
        "macro F1": result.f1_at_thresholds.macro,
        "MI": float(found.epistemic.mean()),
        "epoch": float(np.mean(kept)),
        "seconds": seconds,
    }


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("catalog")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, help="for a quick look")
    arguments = parser.parse_args()
    catalog = Catalog.read(arguments.catalog)
    header = ["variant", "macro AP", "NLL", "ECE", "macro F1", "MI", "epoch", "seconds"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
    for name in arguments.variants:
        settings = dict(VARIANTS[name])
        if arguments.epochs:
            settings["epochs"] = arguments.epochs
        members = ENSEMBLE_SIZE if name == "ensemble" else 1
        rows = [scores(catalog, settings, seed, members) for seed in range(arguments.seeds)]
        means = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
        cells = [f"{means[key]:.{5 if key == 'MI' else 4}f}" for key in header[1:6]]
        cells += [f"{means['epoch']:.0f}", f"{means['seconds']:.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
