"""The estimator: scikit-learn's contract over data, model, inference and evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesfuse.config import ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.stepwise import by_step
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator import inputs
from bayesfuse.estimator.checkpoints import Checkpoints
from bayesfuse.estimator.devices import choose_device, choose_precision
from bayesfuse.estimator.drawing import Draws, chunks_of, numbers_of
from bayesfuse.estimator.drift import Look, looks_of_fit
from bayesfuse.estimator.finetuning import Finetuning
from bayesfuse.estimator.inputs import Labels, TrainingData
from bayesfuse.estimator.joint_finetuning import JointFinetuning
from bayesfuse.estimator.links import Links, check_linked
from bayesfuse.estimator.parameters import ModelParameters
from bayesfuse.estimator.recalibrating import check_recalibrable, fit_recalibration
from bayesfuse.estimator.relations import check_relations
from bayesfuse.estimator.rules import rule_of
from bayesfuse.estimator.run_folder import load_run, save_run
from bayesfuse.estimator.training import train
from bayesfuse.estimator.training_data import catalog_data, hold_out, read_as
from bayesfuse.evaluation.decisions import DecisionRule
from bayesfuse.evaluation.recalibration import Recalibration
from bayesfuse.evaluation.thresholds import best_thresholds
from bayesfuse.evaluation.uncertainty import Predictive, summarise
from bayesfuse.inference.history import Epoch, Step, SVIResult
from bayesfuse.inference.predictive import DEFAULT_MEMORY_BUDGET, PosteriorPredictive


class FusionClassifier(ClassifierMixin, ModelParameters):  # type: ignore[misc]  # untyped bases
    """Multi-label classification from several modalities, with honest probabilities.

    A fusion network whose fusion layers have a prior and a posterior, beside a classifier; see the
    concepts page for the model. Every keyword is a field of `bayesfuse.config.ModelConfig`, which
    documents it; `modalities` alone is the estimator's own.

    Args:
        modalities: For a 2-D array X: which columns are whose, as
            `{"text": slice(0, 384), "image": slice(384, 1664)}`; one modality `features` if None.

    Attributes:
        label_names_: Names of the labels.
        classes_: The labels' names; the two classes, if y was one binary target.
        config_: The settings of the fit.
        model_: Network, lifted network and guide (`bayesfuse.estimator.model.BayesianModel`).
        results_: Of each member of the mixture, which epoch was kept, and why training ended.
        history_: One `Epoch` an epoch of training; of the first member.
        thresholds_: Thresholds that maximise F1 a label on the validation items, `labels`; 0.5
            where there were none.
        recalibration_: What `recalibrate` came to on the validation items; None for `"none"`.
        rule_: What `bayesfuse decide` chose for a run folder; None if nothing.
        label_counts_: Training items with each label, `labels`.
        links_: Whom items hear (`bayesfuse.estimator.links.Links`); None without a graph of people.
        n_features_in_: Columns of X, if X was an array.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = {"text": rng.normal(size=(80, 5)), "image": rng.normal(size=(80, 3))}
        >>> y = (X["text"][:, :2] + 0.1 * rng.normal(size=(80, 2)) > 0).astype(int)
        >>> classifier = FusionClassifier(hidden=8, epochs=3, annealing_epochs=1).fit(X, y)
        >>> classifier.predict_proba(X).shape
        (80, 2)
        >>> classifier.sample_proba(X, draws=7).shape
        (7, 80, 2)
    """

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
        on_step: Callable[[Step], None] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        finetuning: Finetuning | JointFinetuning | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Fit the posterior and the classifier.

        Args:
            X: A `Catalog` (then y stays None and its splits count), a `FeatureTable`, a mapping of
                modality to array (`items x features`, with `NAME_observed` masks if wanted), or one
                array.
            y: Indicator matrix, `items x labels`; or one binary target, `items`.
            validation: Items to choose the epoch and the thresholds by; `validation_fraction` of
                the items if None.
            on_step: Called after every training step.
            on_epoch: Called after every epoch.
            finetuning: Networks to be trained too, with the raw inputs of X, a `Catalog`.
            checkpoints: What is kept of the fit, and gone on from
                (`bayesfuse.estimator.checkpoints`); None to keep nothing.

        Raises:
            ConfigError: If a setting is not valid; all that are not are named at once.
            FeatureError: If X or y does not fit.
            TrainingError: If the loss is not finite.
        """
        config = self.config_ = self.config()
        for name in ("columns_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)  # of an earlier fit, perhaps on another kind of X
        self.links_: Links | None = None
        data = read_as(self._training_data(X, y, validation, config), config)
        check_recalibrable(data, config)
        self.label_counts_ = np.rint(data.train_labels.sum(axis=0)).astype(np.int64)
        trained = train(
            data,
            config,
            label_names=self.label_names_,
            finetuning=finetuning,
            on_step=on_step,
            on_epoch=on_epoch,
            checkpoints=checkpoints,
        )
        self.model_, validator = trained.model, trained.validator
        self.looks_: dict[str, Look] = looks_of_fit(data.val, self.model_.network)
        self.results_: tuple[SVIResult, ...] = trained.results
        self.history_ = self.result_.history
        self.n_iter_ = len(self.history_)
        self.thresholds_ = np.full(len(self.label_names_), 0.5)
        self.rule_: DecisionRule | None = None
        self.recalibration_: Recalibration | None = None
        if validator is not None and data.val_labels is not None:
            self.recalibration_, probability = fit_recalibration(validator, data.val_labels, config)
            self.thresholds_ = best_thresholds(probability, data.val_labels)
        return self

    @property
    def result_(self) -> SVIResult:
        """Which epoch was kept of the first member, usually the only one, and why it ended."""
        return self.results_[0]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the posterior-predictive probability of every label, the mean over `draws` draws.

        Returns:
            `items x labels`; `items x 2` if y was one binary target.
        """
        chunks = self.iter_proba(X)
        return self._as_classes(np.concatenate([c.mean(axis=0, dtype=np.float64) for c in chunks]))

    def sample_proba(
        self, X: Any, draws: Draws = None, seed: int | None = None, kind: str = "joint"
    ) -> NDArray[np.float32]:
        """Return posterior draws of the probabilities, joint over items and labels.

        Args:
            X: What `fit` accepts.
            draws: Number of draws, >= 1; the estimator's `draws` if None; `"auto"` for as many as
                `bayesfuse.estimator.drawing.enough_draws` finds enough; a range for these draws
                alone. A deterministic network (`elbo="none"`) has one.
            seed: Seed of the draws; the estimator's if None.
            kind: `"joint"`, or the cheap `"marginal"` of `bayesfuse.inference.marginal_draws`.

        Returns:
            `draws x items x labels`. For more items than fit in memory, see `iter_proba`.
        """
        return np.concatenate(list(self.iter_proba(X, draws, seed, kind=kind)), axis=1)

    def iter_proba(
        self,
        X: Any,
        draws: Draws = None,
        seed: int | None = None,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        prior: bool = False,
        recalibrated: bool = True,
        kind: str = "joint",
    ) -> Iterator[NDArray[np.float32]]:
        """Yield `sample_proba` for one chunk of items after the other, `draws x items x labels`.

        Args:
            X: What `fit` accepts.
            draws: As for `sample_proba`.
            seed: As for `sample_proba`.
            memory_budget: Bytes that a chunk may take; the numbers do not depend on it.
            prior: Draw the random weights from their prior; all others are as fitted.
            recalibrated: Whether draws of the posterior are recalibrated, if the fit was to be.
            kind: As for `sample_proba`.
        """
        table = self._table(X)
        numbers = numbers_of(self, table, self.draws if draws is None else draws, seed, kind)
        predictive = self._predictive(self.seed if seed is None else seed, prior, kind)
        change = self.recalibration_ if recalibrated and not prior else None
        chunks = chunks_of(predictive, table, self.device, numbers, memory_budget)
        yield from chunks if change is None else map(change, chunks)

    def uncertainty(self, X: Any, draws: Draws = None, seed: int | None = None) -> Predictive:
        """Return mean, spread, quantiles and total, aleatoric and epistemic uncertainty (nats)."""
        return summarise(self.sample_proba(X, draws, seed))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the tags: an indicator matrix, `items x labels`; classes for a binary target."""
        probability, binary = self.predict_proba(X), self.binary_classes_ is not None
        tags = rule_of(self)(probability[:, 1:] if binary else probability).astype(np.int64)
        if self.binary_classes_ is not None:
            chosen: NDArray[Any] = self.binary_classes_[tags[:, 0]]
            return chosen
        return tags

    def save(self, path: str | Path) -> Path:
        """Write the run folder: JSON and safetensors, never a pickle.

        Args:
            path: A folder that does not exist yet.

        Raises:
            RunFolderError: If it exists.
            StorageError: If the disk is full; nothing is left half-written.
        """
        check_is_fitted(self)
        return save_run(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> FusionClassifier:
        """Read a run folder; it loads on any device, whatever it was fitted on.

        Raises:
            RunFolderError: If a file is missing, truncated or does not fit the others.
        """
        return load_run(cls, Path(path), device)

    def link(self, catalog: Catalog, *, update_old: bool = False) -> Catalog:
        """Return a catalogue whose items hear those of the fit that share their people.

        `predict_proba` and its like do so by themselves; here are the warnings, too. Without a
        graph the catalogue comes back as it is. See `bayesfuse.estimator.links.Links.link`.
        """
        check_is_fitted(self)
        if self.links_ is not None:
            return self.links_.link(catalog, update_old=update_old)
        if update_old:
            raise ConfigError("--update-old: the run has no graph (--graph none); leave it out.")
        return catalog

    def _training_data(
        self, X: Any, y: Any, validation: tuple[Any, Any] | None, config: ModelConfig
    ) -> TrainingData:
        if isinstance(X, Catalog):
            if y is not None or validation is not None:
                raise FeatureError(
                    "A Catalog holds its labels and splits; leave y and validation out."
                )
            inputs.refuse_modalities(self.modalities)
            self._set_labels(Labels(X.labels, X.label_names))
            if config.graph != "none" and X.features.names:
                self.links_ = Links.of_catalog(X, config)
                X = dataclasses.replace(X, features=self.links_.training(X.features))
            return catalog_data(X, unlabelled=config.pretrain_fusion > 0)
        table: FeatureTable
        if inputs.is_table(X):
            inputs.refuse_modalities(self.modalities)
            table = inputs.as_table(X)
        else:
            if y is None:
                inputs.as_labels(y)
            X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
            self.columns_ = inputs.as_columns(self.modalities, X.shape[1])
            table = inputs.split_columns(X, self.columns_)
        labels = inputs.as_labels(y)
        self._set_labels(labels)
        if validation is not None:
            known = inputs.match_labels(validation[1], labels)
            val = self._matched(validation[0], table.widths)
            return TrainingData(table, labels.matrix, val, known.matrix)
        return hold_out(table, labels.matrix, config.validation_fraction, config.seed)

    def _set_labels(self, labels: Labels) -> None:
        self.label_names_ = labels.names
        self.binary_classes_ = labels.classes
        self.classes_ = np.array(labels.names) if labels.classes is None else labels.classes

    def _table(self, X: Any) -> FeatureTable:
        """Return the features of X in the shape that the network was fitted on."""
        check_is_fitted(self, "model_")
        network = self.model_.network
        table = check_relations(self._matched(X, network.standardise.widths), network.relations)
        return by_step(table, network.sequences)

    def _matched(self, X: Any, widths: Mapping[str, int]) -> FeatureTable:
        named = isinstance(X, Mapping) and inputs.is_table(X)
        return inputs.match_modalities(self._read(X), widths, ignore_others=not named)

    def _read(self, X: Any) -> FeatureTable:
        """Return the features of items that are not the training items."""
        if inputs.is_table(X):
            X = self.link(X) if isinstance(X, Catalog) else X
            return check_linked(inputs.as_table(X), self.config_)
        if not hasattr(self, "columns_"):
            raise FeatureError(
                "The model was fitted on named modalities; got one array. Give a mapping of "
                "modality to array."
            )
        return inputs.split_columns(
            validate_data(self, X, dtype=np.float64, reset=False), self.columns_
        )

    def _predictive(
        self, seed: int, prior: bool = False, kind: str = "joint"
    ) -> PosteriorPredictive:
        precision = choose_precision(self.config(), choose_device(self.device))
        return self.model_.predictive(seed, precision, prior, kind)

    def _as_classes(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.binary_classes_ is None:
            return probability
        return np.hstack([1 - probability, probability])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags
