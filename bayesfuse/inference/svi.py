r"""The training loop: two objectives, one backward pass.

A step draws the weights once, takes the gradient of

.. math:: -\frac1B \sum_{i,c} \log \mathrm{Bernoulli}(y_{ic} \mid \mathrm{logit}_{ic})
    + \beta_t\, \mathrm{KL}(q \| p) / N + (\lambda_1 \|loc\|_1 + \lambda_2 \|loc\|_2^2) / N

plus the network's auxiliary losses, if it has any,
and steps clipped Adam on the variational parameters (their −ELBO, in nats an item) and AdamW on
the classifier (its binary cross-entropy: the only term that it is in).

Reference: Armitage et al. 2020 (PM+MO), sec. 3.1–3.2; the penalties are its λKL+L1 and λKL+L2.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from torch import Tensor, nn

from bayesfuse.data.batches import Batch, Batches, drop_modalities, num_batches
from bayesfuse.errors import TrainingError
from bayesfuse.inference.adversarial import Shift, adversary
from bayesfuse.inference.auxiliary import mean_term, request, total
from bayesfuse.inference.checkpointing import Keep, restore_training
from bayesfuse.inference.choosing import BestEpoch
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.compiling import choose_kernels
from bayesfuse.inference.data_parallel import DataParallel
from bayesfuse.inference.diagnosis import diagnosis
from bayesfuse.inference.distributed import from_first, own_seed
from bayesfuse.inference.elbo import MultiLabelModel, Objective
from bayesfuse.inference.front import Front
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.history import Epoch, Step, SVIResult, SVISettings, Validation
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.optimisers import TwoOptimisers
from bayesfuse.inference.output_noise import OutputNoise
from bayesfuse.inference.penalty import penalty_of
from bayesfuse.inference.seeding import seeded
from bayesfuse.models.classifier import apply_max_norm_


class _Scored(NamedTuple):
    """A loss with gradients, and what of it is −log likelihood and what auxiliary losses."""

    loss: Tensor
    nll: Tensor
    beside: float


class SVI:
    """Trains a network whose chosen parts have a posterior, in place.

    Args:
        network: `(inputs, observed) -> logits`; with a third argument `blocks`, if items hear
            others.
        lifted: The same network lifted, or None to train it deterministically (`elbo="none"`).
        guide: The guide of `lifted`.
        settings: How.
        front: What turns a batch's raw inputs into features, and is trained with the classifier;
            None if the inputs are features.
        weights: What the terms of the log-likelihood count for; 1 each if None.
    """

    def __init__(
        self,
        network: nn.Module,
        lifted: LiftedModule | None,
        guide: Guide | None,
        settings: SVISettings,
        front: Front | None = None,
        weights: ClassWeights | None = None,
    ) -> None:
        self.network, self.lifted, self.guide, self.settings = network, lifted, guide, settings
        self.front, self.weights = front, weights

    def fit(
        self,
        train: Batches,
        validate: Callable[[], Validation] | None = None,
        *,
        on_step: Callable[[Step], None] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        keep: Keep | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> SVIResult:
        """Train; afterwards the network and the guide hold the best model found.

        The best model is the one with the best posterior-predictive score on the validation items
        (NLL, unless another is monitored) among the epochs after the annealing has ended. Ctrl-C
        ends the training there and keeps the best model so far. Several processes train one model
        together (`bayesfuse.inference.data_parallel`).

        Args:
            train: The labelled training items, at least 2.
            validate: Scores the model as it stands; None trains for all epochs and keeps the last.
            on_step: Called after every step.
            on_epoch: Called after every epoch.
            keep: Called before the first epoch and after every one, with the epochs done and the
                run, whose state `bayesfuse.inference.checkpointing.training_state` tells.
            start: Such a state, to go on from.

        Returns:
            History, which epoch was kept, and why training ended.

        Raises:
            TrainingError: If the loss is not finite; it names the step, the site and what to try.
        """
        run = TrainingRun(self, train)
        with seeded(own_seed(self.settings.seed), train.device), run.together.normalising():
            if start is not None:
                restore_training(run, start)
            try:
                stopped = run.epochs(validate, on_step, on_epoch, keep)
            except KeyboardInterrupt:
                stopped = "interrupted"
                # of several processes each is somewhere else in its step
                if run.step == 0 or run.together.size > 1:
                    raise
        run.restore_best()
        if self.lifted is not None and self.guide is not None:
            self.lifted.set_point_({k: v.detach() for k, v in self.guide.locations().items()})
        kept = run.best.epoch
        annealed = run.annealing_has_ended(kept)
        return SVIResult(tuple(run.history), kept, stopped, annealed, run.notes)


class TrainingRun:
    """The state of one training: what a step needs and what it changes."""

    def __init__(self, svi: SVI, train: Batches) -> None:
        self.network, self.settings, self.train = svi.network, svi.settings, train
        self.lifted, self.guide, self.front = svi.lifted, svi.guide, svi.front
        self.weights = svi.weights
        self.objective: Objective | None = None
        variational, deterministic = list[nn.Parameter](), list(self.network.parameters())
        if self.lifted is not None and self.guide is not None:
            model = MultiLabelModel(self.lifted, len(train), self.weights)
            settings = self.settings
            self.objective = Objective(model, self.guide, settings.elbo, settings.num_particles)
            self.noise = OutputNoise(settings.noise, self.lifted, self.guide, settings.elbo)
            variational = [*self.guide.parameters(), *self.lifted.prior_parameters()]
            deterministic = self.lifted.free_parameters()
        groups = self.front.parameter_groups() if self.front is not None else []
        # a front may train a part of the network, at rates of its own
        apart = {id(parameter) for group in groups for parameter in group["params"]}
        deterministic = [p for p in deterministic if id(p) not in apart]
        self.steps_an_epoch = num_batches(len(train), self.settings.batch_size)
        self.total_steps = self.steps_an_epoch * self.settings.epochs
        scales = [] if self.guide is None else self.guide.scale_parameters()
        self.optimisers = TwoOptimisers.by(
            self.settings, variational, deterministic, scales, groups, self.steps_an_epoch
        )
        self.trained = [*variational, *deterministic, *(p for g in groups for p in g["params"])]
        self.together = DataParallel(self.modules(), len(train), self.settings.batch_size)
        self.step, self.history = 0, list[Epoch]()
        self.num_items = 0  # of the last batch, over all processes
        self.best = BestEpoch.by(self.settings)
        draws = self.total_steps * self.settings.num_particles
        chosen = choose_kernels(self.settings.compile, self.guide, draws, self.settings.noise)
        self.kernels, self.notes = chosen.guide, chosen.notes
        if self.objective is not None:
            self.noise.kernels = chosen.noise
        self.order = np.random.default_rng(self.settings.seed)
        self.masks = torch.Generator().manual_seed(own_seed(self.settings.seed))

    def epochs(
        self,
        validate: Callable[[], Validation] | None,
        on_step: Callable[[Step], None] | None,
        on_epoch: Callable[[Epoch], None] | None,
        keep: Keep | None = None,
    ) -> str:
        settings = self.settings
        val = Validation(self.history[-1].val_nll if self.history else math.nan, math.nan)
        if keep and not self.history:
            keep(0, self)
        for epoch in range(len(self.history), settings.epochs):
            started = time.perf_counter()
            for module in (self.network, self.front):
                if module is not None:
                    module.train()
            nlls: list[float] = []
            kl = beta = 0.0
            for batch in self.train.shuffled(settings.batch_size, self.order, self.together.share):
                beta = self.beta()
                nll, kl = self.take_step(batch, beta, epoch)
                nlls.append(nll * self.num_items)
                if on_step:
                    on_step(Step(self.step, self.total_steps, epoch, nll, kl, beta, val.nll))
            nll = sum(nlls) / len(self.train)
            kl = self.together.mean(self.kl())
            if not math.isfinite(nll + kl):
                raise TrainingError(
                    diagnosis(self.step, epoch, nll + kl, nll, self.lifted, self.guide)
                )
            if validate is not None:
                # one machine's scores, so that all choose the same epoch and end in the same one
                val = Validation(*from_first(tuple(validate())))
            took = time.perf_counter() - started
            scores = (val.nll, val.macro_ap, took, val.macro_f1)
            row = Epoch(epoch, nll, kl, beta, -nll - kl, *scores)
            # a model from before β has reached its end is a model of another posterior
            eligible = validate is not None and self.annealing_has_ended(epoch)
            better = eligible and self.best.is_better(val)
            # copied first, so that Ctrl-C meets an epoch that is told and kept, or neither
            state = copy.deepcopy(self.state()) if better else None
            self.history.append(row)
            if better:
                self.best.keep(epoch, val, state)
            if on_epoch:
                on_epoch(row)
            if eligible and self.best.is_over(epoch):
                return "early"
            if eligible and epoch + 1 > settings.warmup_epochs:
                self.optimisers.after_epoch(self.best.score(val))
            if keep:
                keep(epoch + 1, self)
        return "finished"

    def take_step(self, batch: Batch, beta: float, epoch: int) -> tuple[float, float]:
        """Take one optimiser step; return nll and an estimate of kl, in nats an item."""
        settings = self.settings
        labels, observed = batch.labels, batch.observed
        assert labels is not None
        if settings.modality_dropout > 0:
            observed = drop_modalities(observed, settings.modality_dropout, self.masks)
        self.optimisers.zero_grad()
        mixed = settings.precision != torch.float32
        with torch.autocast(observed.device.type, dtype=settings.precision, enabled=mixed):
            if self.front is not None:
                batch = batch._replace(inputs=self.front(batch.inputs))
            batch = batch._replace(observed=observed)
            passes: list[_Scored] = []

            def loss_of(shift: Shift | None) -> Tensor:
                passes.append(self.scored(batch, beta, shift))
                return passes[-1].loss

            if settings.adversarial > 0:
                # their mean and not their sum: the items are not seen twice
                here, moved = adversary(loss_of, batch.inputs, settings.adversarial)
                loss = (here + moved) / 2
            else:
                loss = loss_of(None)
        first, penalty = passes[0], penalty_of(self.guide, self.lifted, settings, len(self.train))
        told = [float(n) for n in (loss.detach(), first.nll, first.loss.detach(), first.beside)]
        whole = self.together.step(
            loss if penalty is None else loss + penalty, self.trained, len(observed), told
        )
        self.num_items = whole.num_items
        value, nll, own, beside = whole.means
        if not math.isfinite(value):
            raise TrainingError(diagnosis(self.step, epoch, value, nll, self.lifted, self.guide))
        self.optimisers.step()
        if settings.max_norm is not None:
            apply_max_norm_(self.network.get_submodule("classifier"), settings.max_norm)
        self.step += 1
        return nll, (own - nll - beside) / beta if beta > 0 else math.nan

    def scored(self, batch: Batch, beta: float, shift: Shift | None) -> _Scored:
        """Return the loss of a batch whose items are moved so far, and its parts."""
        inputs, observed, labels, blocks = batch
        assert labels is not None
        if self.objective is not None:
            loss = self.loss(self.objective, batch, beta, shift)
            return _Scored(loss, self.objective.nll, self.objective.auxiliary)
        asked: dict[str, Any] = request(self.network, labels, self.settings.loss, self.weights)
        moved = {} if shift is None else {"shift": shift}
        linked = () if blocks is None else (blocks,)
        logits = self.network(inputs, observed, *linked, **asked, **moved).float()
        loss = mean_term(self.settings.loss, logits, labels, self.weights)
        nll = mean_term(Loss(), logits, labels, self.weights).detach()
        return _Scored(loss + total(asked, logits), nll, 0.0)

    def loss(
        self, objective: Objective, batch: Batch, beta: float, shift: Shift | None = None
    ) -> Tensor:
        """Return the loss; Pyro checks supports and shapes on the first step, and only there."""
        inputs, observed, labels, blocks = batch
        assert labels is not None
        assert self.guide is not None
        assert self.lifted is not None
        linked = () if blocks is None else (blocks,)
        how: dict[str, Any] = {"beta": beta, "shift": shift}
        try:
            with (
                # one process alone could not end here: the others would wait for it
                pyro.validation_enabled(self.step == 0 and self.together.size == 1),
                self.noise.applied(inputs, observed, *linked),
                self.guide.drawn_by(self.kernels, self.lifted),
            ):
                return objective.loss(inputs, observed, labels, blocks, **how)
        except ValueError:
            # its checks refuse a NaN first, in words about distributions: `diagnosis` knows more
            with pyro.validation_enabled(False):
                loss = objective.loss(inputs, observed, labels, blocks, **how)
            if math.isfinite(loss.detach()):
                raise
            return loss

    def beta(self) -> float:
        """Return β for the step about to be taken."""
        if self.objective is None:
            return 0.0
        schedule = self.settings.annealing
        if self.settings.elbo != "annealed":
            return schedule.end
        return schedule(self.step / self.steps_an_epoch)

    def annealing_has_ended(self, epoch: int) -> bool:
        """Return whether β had reached its end in the last step of that epoch."""
        annealed = self.objective is not None and self.settings.elbo == "annealed"
        last_step = max(0, (epoch + 1) * self.steps_an_epoch - 1)
        return not annealed or self.settings.annealing.has_ended(last_step / self.steps_an_epoch)

    def kl(self) -> float:
        if self.objective is None:
            return 0.0
        # unchecked: a scale that has collapsed to 0 is for `diagnosis` to tell
        with torch.no_grad(), pyro.validation_enabled(False):
            return float(self.objective.kl())

    def modules(self) -> list[nn.Module]:
        """Return all that training changes."""
        priors = self.lifted.priors if self.lifted else None
        found = [self.network, self.guide, priors, self.front]
        return [module for module in found if module is not None]

    def state(self) -> list[dict[str, Tensor]]:
        """Return every tensor that training changes (shared, not copied)."""
        return [module.state_dict() for module in self.modules()]

    def restore_best(self) -> None:
        """Load the best state; the last one if none was chosen."""
        if not self.best.restore(self.state()):
            self.best.epoch = len(self.history) - 1


__all__ = ["SVI", "Epoch", "SVIResult", "SVISettings", "Step", "Validation"]
