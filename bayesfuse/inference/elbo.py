r"""The objective: Pyro's ELBOs, in nats an item, with β on the KL.

.. math:: \mathrm{loss} = -\frac1B \sum_{i,c} \log \mathrm{Bernoulli}(y_{ic} \mid
    \mathrm{logit}_{ic}(\theta, \phi)) + \beta_t\, \mathrm{KL}(q \| p) / N

N is the number of training items: Pyro's loss, which is in nats for the whole training set, over N.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor
from torch.distributions import constraints, kl_divergence

from bayesfuse.data.blocks import Blocks
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.adversarial import Shift
from bayesfuse.inference.auxiliary import request, total
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.fused import FusedDistribution
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.low_rank import LowRankNormal


def _has_closed_form(guide: Any) -> bool:
    """Return whether the KL of a guide's distribution to every prior here is in closed form."""
    # only out of its event dimensions: a LogNormal has a normal `base_dist` too, and no closed form
    base = guide.base_dist if isinstance(guide, torch.distributions.Independent) else guide
    return isinstance(base, dist.Laplace | dist.Normal | FusedDistribution | LowRankNormal)


class _RecordsNLL:
    """Keeps −log density of the sites `y` and `auxiliary` that an estimate sees, a particle."""

    nlls: list[Tensor]
    auxiliary: list[Tensor]

    def record(self, model_trace: Any) -> None:
        """Compute what the model's trace says of labels and auxiliary losses, and keep it."""
        kept = {"y": self.nlls, "auxiliary": self.auxiliary}
        model_trace.compute_log_prob(lambda name, _: name in kept)
        for name, values in kept.items():
            if name in model_trace.nodes:
                values.append(-model_trace.nodes[name]["log_prob_sum"].detach())

    def _get_trace(self, *args: Any) -> Any:
        traces = super()._get_trace(*args)  # type: ignore[misc]  # a mixin before a Pyro ELBO
        self.record(traces[0])
        return traces


class TraceELBO(_RecordsNLL, Trace_ELBO):  # type: ignore[misc]  # Pyro ships no types
    """Pyro's `Trace_ELBO`: a single draw of log p − log q."""


class MeanFieldELBO(_RecordsNLL, TraceMeanField_ELBO):  # type: ignore[misc]  # Pyro ships no types
    """Pyro's `TraceMeanField_ELBO`: KL in closed form wherever there is one.

    It computes log densities only of the sites that need them: the observed one, and latent ones
    without a closed form. Pyro computes all, which is half of the time of a step here.
    """

    def _get_trace(self, model: Any, guide: Any, args: Any, kwargs: Any) -> Any:
        if is_validation_enabled():
            return super()._get_trace(model, guide, args, kwargs)
        guide_trace = poutine.trace(guide).get_trace(*args, **kwargs)
        replayed = poutine.replay(model, trace=guide_trace)
        model_trace = prune_subsample_sites(poutine.trace(replayed).get_trace(*args, **kwargs))
        for name, site in guide_trace.nodes.items():
            if site["type"] == "sample" and not _has_closed_form(site["fn"]):
                parts = site["fn"].score_parts(site["value"])
                site["score_parts"] = parts.scale_and_mask(site["scale"], site["mask"])
                model_trace.compute_log_prob(lambda found, _, name=name: found == name)
        self.record(model_trace)
        return model_trace, guide_trace


class RaoBlackwellELBO(_RecordsNLL, TraceGraph_ELBO):  # type: ignore[misc]  # Pyro ships no types
    """Pyro's `TraceGraph_ELBO` with the `differentiable_loss` that its siblings have."""

    def differentiable_loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Tensor:
        """Return −ELBO with the gradients of the Rao-Blackwellised surrogate, in nats."""
        elbo, surrogate = self._loss_and_surrogate_loss(model, guide, args, kwargs)
        loss: Tensor = surrogate - surrogate.detach() - elbo.detach()
        return loss


ELBOS: dict[str, type[TraceELBO] | type[MeanFieldELBO] | type[RaoBlackwellELBO]] = {
    "trace": TraceELBO,
    "rao-blackwell": RaoBlackwellELBO,
    "meanfield": MeanFieldELBO,
    "annealed": MeanFieldELBO,
}
"""Name to Pyro's estimator. `annealed` is `meanfield` with β_t; with the others β is constant."""

MIN_BETA = 1e-8
"""Pyro refuses to scale by 0, so a schedule that starts at 0 starts here."""


class BernoulliShares(dist.Bernoulli):  # type: ignore[misc]  # Pyro ships no types
    """A Bernoulli whose log density takes shares y in [0, 1], too: y log p + (1 - y) log(1 - p).

    That is the mean log-likelihood over sources of which a share y says that the label holds.
    """

    support = constraints.unit_interval


class MultiLabelModel:
    """The generative model: weights from their priors, labels from Bernoullis; a Pyro program.

    Plates: `labels` (dim −1) and `items` (dim −2), the latter subsampled to the minibatch, so that
    Pyro scales the minibatch's log-likelihood to the `num_items` of the training set. Auxiliary
    losses of the network, if it has any, are a factor of −N times their sum.

    Args:
        lifted: The lifted network: `(inputs, observed) -> logits`, items x labels; with a third
            argument `blocks`, if items hear others.
        num_items: N, the number of training items.
        weights: What the terms of the log-likelihood count for; 1 each if None.
    """

    def __init__(
        self, lifted: LiftedModule, num_items: int, weights: ClassWeights | None = None
    ) -> None:
        self.lifted = lifted
        self.num_items = num_items
        self.weights = weights

    def __call__(
        self,
        inputs: dict[str, Tensor],
        observed: Tensor,
        labels: Tensor | None = None,
        blocks: Blocks | None = None,
        *,
        beta: float = 1.0,
        shift: Shift | None = None,
    ) -> Tensor:
        """Draw weights, then the labels at the site `y`; return the logits, items x labels."""
        linked = () if blocks is None else (blocks,)
        module, weights = self.lifted.module, self.weights
        asked = {} if labels is None else request(module, labels, weights=weights)
        moved = {} if shift is None else {"shift": shift}
        logits: Tensor = self.lifted(inputs, observed, *linked, beta=beta, **asked, **moved)
        if asked:
            pyro.factor("auxiliary", -self.num_items * total(asked, logits))
        num_items, num_labels = logits.shape
        # only the number of rows in `subsample` counts: the batch holds these rows already
        rows = torch.arange(num_items, device=logits.device)
        with (
            pyro.plate("items", self.num_items, subsample=rows, dim=-2),
            pyro.plate("labels", num_labels, dim=-1),
            self._weighted(labels),
        ):
            if labels is not None and weights is not None:
                labels = weights.targets(labels)
            pyro.sample("y", BernoulliShares(logits=logits), obs=labels)
        return logits

    def _weighted(self, labels: Tensor | None) -> Any:
        """Return what weighs the terms of the likelihood; labels that are drawn have none."""
        if self.weights is None or labels is None:
            return nullcontext()
        return poutine.scale(scale=self.weights.of(labels))


class Objective:
    """loss = −ELBO / N of a model and a guide, in nats an item.

    Args:
        model: The generative model.
        guide: Its guide.
        elbo: `"trace"`, `"rao-blackwell"`, `"meanfield"` or `"annealed"`.
        num_particles: Draws of the weights a step.

    Raises:
        ConfigError: If the name of the ELBO is unknown.
    """

    def __init__(
        self, model: MultiLabelModel, guide: Guide, elbo: str = "annealed", num_particles: int = 1
    ) -> None:
        if elbo not in ELBOS:
            raise ConfigError(unknown_option("ELBO", elbo, ELBOS))
        self.model, self.guide = model, guide
        self._elbo = ELBOS[elbo](num_particles=num_particles)

    @with_local_params
    def loss(
        self,
        inputs: dict[str, Tensor],
        observed: Tensor,
        labels: Tensor,
        blocks: Blocks | None = None,
        *,
        beta: float = 1.0,
        shift: Shift | None = None,
    ) -> Tensor:
        """Return −ELBO / N of a minibatch, a scalar with gradients, in nats an item.

        Args:
            inputs: Modality to values, items x features.
            observed: items x modalities, bool.
            labels: items x labels, 0 or 1.
            blocks: Whom the items hear, if there is a graph.
            beta: β_t, what the KL counts for.
            shift: How far the items are moved (see `bayesfuse.inference.adversarial`).
        """
        self._elbo.nlls, self._elbo.auxiliary = [], []
        loss: Tensor = self._elbo.differentiable_loss(
            self.model,
            self.guide,
            inputs,
            observed,
            labels,
            blocks,
            beta=max(beta, MIN_BETA),
            shift=shift,
        )
        return loss / self.model.num_items

    @property
    def nll(self) -> Tensor:
        """−log-likelihood of the last `loss`'s minibatch, mean over particles, in nats an item."""
        return torch.stack(self._elbo.nlls).mean() / self.model.num_items

    @property
    def auxiliary(self) -> float:
        """Auxiliary losses of the last `loss`'s minibatch, mean over particles, in nats an item."""
        terms = self._elbo.auxiliary
        return float(torch.stack(terms).mean()) / self.model.num_items if terms else 0.0

    def kl(self) -> Tensor:
        """Return KL(q‖p) of all random weights, a scalar with gradients, in nats an item.

        In closed form where there is one; otherwise one draw's log ratio.
        """
        by_site = kl_by_site(self.model.lifted, self.guide)
        return torch.stack(list(by_site.values())).sum() / self.model.num_items


@with_local_params
def kl_by_site(lifted: LiftedModule, guide: Guide) -> dict[str, Tensor]:
    """Return KL(q‖p) of each latent site, site name to scalar, in nats.

    In closed form where there is one (given the draws of the prior's hyper-parameters, for a
    hierarchical prior); otherwise the log ratio at one draw.
    """
    guide_trace = poutine.trace(guide).get_trace()
    replayed = poutine.replay(lifted.draw_weights, trace=guide_trace)
    model_trace = poutine.trace(replayed).get_trace()
    found: dict[str, Tensor] = {}
    for name in lifted.latent:
        q, p = guide_trace.nodes[name]["fn"], model_trace.nodes[name]["fn"]
        try:
            found[name] = kl_divergence(q, p).sum()
        except NotImplementedError:
            value = guide_trace.nodes[name]["value"]
            found[name] = (q.log_prob(value) - p.log_prob(value)).sum()
    return found
