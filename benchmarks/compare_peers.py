"""A Bayesian training step beside those of other libraries, in multiples of a plain network's.

    python benchmarks/compare_peers.py [--hidden 1024] [--rounds 15]

All train the same network on the same batch of 512 items: text (300 features) and image (4,096)
into the three gated layers of PM+MO (`mixing`) and a maxout classifier with 23 labels, the fusion's
weights random. They take turns, so that a machine whose speed drifts drifts for all; the median of
the ratios to the plain step of the same round is printed, after the median seconds of that.

Peers are bayesian-torch and BLiTZ (`pip install '.[bench]'`), left out with a line where they are
not installed, and Pyro as one writes it by hand. All have the best optimiser that they can be
given: torch's fused Adam, or Pyro's own. Their priors and guides are normal where they know no
Laplace, which is the cheaper.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro import infer
from pyro.distributions import constraints
from pyro.optim import ClippedAdam
from torch import Tensor, nn
from torch.func import functional_call

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import BayesianModel, build_model, set_data_statistics, svi_settings
from bayesfuse.inference.svi import SVI, TrainingRun

WIDTHS = {"text": 300, "image": 4096}
NUM_LABELS, NUM_ITEMS, BATCH_SIZE = 23, 2048, 512
Step = Callable[[], None]


def make_batches() -> Batches:
    """Return random items."""
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=(NUM_ITEMS, w)).astype(np.float32) for n, w in WIDTHS.items()}
    labels = (rng.random((NUM_ITEMS, NUM_LABELS)) < 0.1).astype(np.float32)
    return Batches(FeatureTable.from_arrays(arrays), labels)


class Setting:
    """The batch, and networks of the same kind, each with weights of its own."""

    def __init__(self, hidden: int) -> None:
        self.hidden, self.batches = hidden, make_batches()
        self.batch = self.batches.read(np.arange(BATCH_SIZE))

    def model(self, **settings: Any) -> tuple[BayesianModel, ModelConfig]:
        """Return a model of ours."""
        config = ModelConfig(fusion="mixing", hidden=self.hidden, device="cpu", **settings)
        model = build_model(WIDTHS, NUM_LABELS, NUM_ITEMS, config)
        positives = torch.full((NUM_LABELS,), NUM_ITEMS // 10)
        set_data_statistics(model.network, self.batches.features, positives, config.feature_norm)
        model.network.train()
        return model, config

    def nll(self, logits: Tensor) -> Tensor:
        """Return the loss of a batch without its KL, in nats an item."""
        assert self.batch.labels is not None
        bce = nn.functional.binary_cross_entropy_with_logits
        return bce(logits, self.batch.labels, reduction="sum") / BATCH_SIZE


def ours(setting: Setting, **settings: Any) -> Step:
    """Return a step of bayesfuse."""
    model, config = setting.model(**settings)
    training = svi_settings(config, torch.device("cpu"))
    run = TrainingRun(SVI(model.network, model.lifted, model.guide, training), setting.batches)

    def step() -> None:
        run.take_step(setting.batch, beta=1.0, epoch=0)

    return step


def with_layers(
    setting: Setting, make: Callable[[nn.Linear], nn.Module], kl: Callable[[nn.Module], Tensor]
) -> Step:
    """Return a step of a library that replaces linear layers."""
    network = setting.model(elbo="none")[0].network
    fusion = network.fusion
    for name, layer in list(fusion.named_children()):
        if isinstance(layer, nn.Linear):
            setattr(fusion, name, make(layer))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = setting.nll(network(setting.batch.inputs, setting.batch.observed))
        (loss + kl(fusion) / NUM_ITEMS).backward()
        optimiser.step()

    return step


def bayesian_torch(setting: Setting, flipout: bool) -> Step:
    """Return a step of bayesian-torch."""
    from bayesian_torch.layers import LinearFlipout, LinearReparameterization
    from bayesian_torch.models.dnn_to_bnn import get_kl_loss

    kind = LinearFlipout if flipout else LinearReparameterization

    def make(layer: nn.Linear) -> nn.Module:
        made = kind(layer.in_features, layer.out_features)
        made.dnn_to_bnn_flag = True  # as its own converter sets it: the output without the KL
        return made

    return with_layers(setting, make, get_kl_loss)


def blitz(setting: Setting) -> Step:
    """Return a step of BLiTZ."""
    from blitz.losses import kl_divergence_from_nn
    from blitz.modules import BayesianLinear

    return with_layers(
        setting,
        lambda layer: BayesianLinear(layer.in_features, layer.out_features),
        kl_divergence_from_nn,
    )


def plain_pyro(setting: Setting, elbo: Any) -> Step:
    """Return a step of Pyro, as its tutorials write it."""
    network = setting.model(elbo="none")[0].network
    sites = {f"fusion.{n}": p.detach().clone() for n, p in network.fusion.named_parameters()}
    inputs, observed, labels, _ = setting.batch
    assert labels is not None

    def model() -> None:
        pyro.module("network", network.classifier)
        weights = {
            name: pyro.sample(
                name, dist.Laplace(0.0, 0.1).expand(value.shape).to_event(value.dim())
            )
            for name, value in sites.items()
        }
        logits = functional_call(network, weights, (inputs, observed))
        with (
            pyro.plate("items", NUM_ITEMS, subsample_size=BATCH_SIZE, dim=-2),
            pyro.plate("labels", NUM_LABELS, dim=-1),
        ):
            pyro.sample("y", dist.Bernoulli(logits=logits), obs=labels)

    def guide() -> None:
        for name, value in sites.items():
            loc = pyro.param(f"{name}.loc", value.clone)
            scale = pyro.param(
                f"{name}.scale",
                lambda value=value: torch.full_like(value, 0.003),
                constraint=constraints.softplus_positive,
            )
            pyro.sample(name, dist.Laplace(loc, scale).to_event(value.dim()))

    store = pyro.get_param_store()
    own: dict[str, Any] = {}
    svi = infer.SVI(model, guide, ClippedAdam({"lr": 1e-3}), elbo)

    @contextmanager
    def apart() -> Iterator[None]:
        """Keep this one's parameters out of the others' way."""
        with store.scope(own.get("state")) as state:
            yield
        own["state"] = state

    def step() -> None:
        with apart(), pyro.validation_enabled(False):
            svi.step()

    return step


MAKERS: dict[str, Callable[[Setting], Step]] = {
    "plain network": lambda s: ours(s, elbo="none"),
    "bayesfuse, laplace, compiled": lambda s: ours(s, compile="on"),
    "bayesfuse, laplace, by torch": lambda s: ours(s, compile="off"),
    "bayesian-torch, reparameterised": lambda s: bayesian_torch(s, flipout=False),
    "bayesian-torch, flipout": lambda s: bayesian_torch(s, flipout=True),
    "BLiTZ": blitz,
    "Pyro, Trace_ELBO": lambda s: plain_pyro(s, infer.Trace_ELBO()),
    "Pyro, TraceMeanField_ELBO": lambda s: plain_pyro(s, infer.TraceMeanField_ELBO()),
}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    setting, steps = Setting(arguments.hidden), {}
    for name, make in MAKERS.items():
        try:
            steps[name] = make(setting)
        except ImportError as error:
            print(f"{name}: left out, {error}")
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(arguments.rounds + 2):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number >= 2:  # the first ones warm up
                times[name].append(time.perf_counter() - started)
    plain = times["plain network"]
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, hidden {arguments.hidden}, "
        f"batch {BATCH_SIZE}, {arguments.rounds} rounds; a plain step takes "
        f"{1000 * statistics.median(plain):.0f} ms\n"
    )
    print("| step of | times a plain one |\n| --- | --- |")
    for name, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(own, plain, strict=True))
        print(f"| {name} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
