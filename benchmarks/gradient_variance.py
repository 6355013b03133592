"""How much the gradients of a guide vary, by layer, under each ELBO and each place of the noise.

    python benchmarks/gradient_variance.py [CATALOG] [--guide laplace] [--epochs 12] [--draws 100]

Fits a network for some epochs (on a catalogue whose items have features, or without one on random
items of the movies' widths with labels that can be learned), and then takes gradients of the loss
of one minibatch again and again: what changes is the noise of the weights alone, for dropout is
off. With g a gradient of a layer's parameters (locations, or scales), n of them and S their
variances, summed, the signal-to-noise ratio is

    sqrt(max(0, |mean g|^2 - S / n) / S)

which is 1 where the gradient of one draw is as much signal as noise: without the S / n, it would
never be less than 1 / sqrt(n). A KL in closed form is signal without noise, so the second table
tells the noise alone: sqrt(S) in multiples of that of `meanfield`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pyro
import torch
from setting import WIDTHS
from torch import Tensor

from bayesfuse import FeatureTable, FusionClassifier
from bayesfuse.config import FitConfig
from bayesfuse.data.batches import Batch, Batches
from bayesfuse.estimator.catalogs import read_catalog
from bayesfuse.inference.elbo import MultiLabelModel, Objective
from bayesfuse.inference.output_noise import OutputNoise

WAYS = {
    "trace": ("trace", "weights"),
    "rao-blackwell": ("rao-blackwell", "weights"),
    "meanfield": ("meanfield", "weights"),
    "meanfield, flipout": ("meanfield", "flipout"),
    "meanfield, local": ("meanfield", "local"),
}
"""Name to ELBO and noise."""

Layers = dict[tuple[str, str], Tensor]
"""Layer, and `loc` or `scale`, to the gradient of those parameters, flattened."""


def make_items(num_items: int = 2048, num_labels: int = 21) -> tuple[FeatureTable, np.ndarray]:
    """Return random items whose labels are those of a linear teacher, with noise."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(num_items, width)) for name, width in WIDTHS.items()}
    said = np.zeros((num_items, num_labels))
    for values in arrays.values():
        said += values @ rng.normal(size=(values.shape[1], num_labels)) / values.shape[1] ** 0.5
    noisy = said + rng.normal(size=said.shape)
    return FeatureTable.from_arrays(arrays), (noisy > 1.5).astype(np.float32)


def fitted(arguments: argparse.Namespace) -> tuple[FusionClassifier, Batch]:
    """Return a classifier that is fitted, and a minibatch of what it was fitted on."""
    classifier = FusionClassifier(
        guide=arguments.guide,
        hidden=arguments.hidden,
        epochs=arguments.epochs,
        patience=arguments.epochs,
        device="cpu",
    )
    if arguments.catalog is None:
        features, labels = make_items()
        classifier.fit(features, labels)
    else:
        catalog = read_catalog(arguments.catalog, FitConfig())
        rows = catalog.labelled_rows("train")
        features, labels = catalog.features.take(rows), catalog.labels[rows].astype(np.float32)
        classifier.fit(catalog)
    return classifier, Batches(features, labels).read(np.arange(arguments.batch_size))


def gradients(classifier: FusionClassifier, batch: Batch, way: str, draws: int) -> Iterator[Layers]:
    """Yield the gradients of each layer's weights, of one draw after the other."""
    model = classifier.model_
    assert model.lifted is not None
    assert model.guide is not None
    assert batch.labels is not None
    elbo, kind = WAYS[way]
    objective = Objective(MultiLabelModel(model.lifted, model.num_items), model.guide, elbo)
    noise = OutputNoise(kind, model.lifted, model.guide, elbo)
    for _ in range(draws):
        model.guide.zero_grad()
        with pyro.validation_enabled(False), noise.applied(batch.inputs, batch.observed):
            objective.loss(batch.inputs, batch.observed, batch.labels).backward()
        found: dict[tuple[str, str], list[Tensor]] = {}
        for site in model.guide.site_guides:
            if site.loc.dim() < 2:
                continue
            for name, parameter in site._parameters.items():
                key = (site.site_name, "loc" if name.startswith("loc") else "scale")
                found.setdefault(key, []).append(parameter.grad.flatten())
        yield {key: torch.cat(parts) for key, parts in found.items()}


def measure(
    classifier: FusionClassifier, batch: Batch, way: str, draws: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the signal-to-noise ratio and the noise of gradients, by layer and kind."""
    total: Layers = {}
    squares: dict[tuple[str, str], float] = {}
    torch.manual_seed(0)
    for found in gradients(classifier, batch, way, draws):
        for key, gradient in found.items():
            exact = gradient.double()
            total[key] = total.get(key, torch.zeros_like(exact)) + exact
            squares[key] = squares.get(key, 0.0) + float(exact.square().sum())
    ratios = {}
    for key, summed in total.items():
        mean = float((summed / draws).square().sum())
        variance = (squares[key] - draws * mean) / (draws - 1)
        ratio = (max(0.0, mean - variance / draws) / variance) ** 0.5
        ratios[key] = (ratio, variance**0.5)
    return ratios


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("catalog", nargs="?")
    parser.add_argument("--guide", default="laplace")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    classifier, batch = fitted(arguments)
    classifier.model_.network.eval()
    found = {way: measure(classifier, batch, way, arguments.draws) for way in WAYS}
    print(
        f"torch {torch.__version__}, guide {arguments.guide}, hidden {arguments.hidden}, batch "
        f"{arguments.batch_size}, {arguments.draws} gradients after {arguments.epochs} epochs"
    )
    print("\nsignal-to-noise ratio:\n")
    table({way: {key: one[0] for key, one in ratios.items()} for way, ratios in found.items()})
    print("\nnoise, in multiples of that of meanfield:\n")
    whole = {key: one[1] for key, one in found["meanfield"].items()}
    table({w: {key: one[1] / whole[key] for key, one in r.items()} for w, r in found.items()})


def table(numbers: dict[str, dict[tuple[str, str], float]]) -> None:
    """Print a row a layer and kind, and a column a way."""
    header = ["layer", "gradient of", *numbers]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for layer, kind in sorted(numbers["meanfield"], key=lambda key: key[1]):
        cells = [f"{column[layer, kind]:.3g}" for column in numbers.values()]
        print(f"| `{layer}` | {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
