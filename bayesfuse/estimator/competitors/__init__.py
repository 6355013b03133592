"""What one would use in place of a Bayesian network: one method a file, all fitted alike."""

from __future__ import annotations

from bayesfuse.estimator.competitors import (
    bayesian,
    ensemble,
    laplace,
    logistic,
    mc_dropout,
    temperature,
    twin,
)
from bayesfuse.estimator.competitors.bench import Bench, Fit, Fitted

COMPETITORS: dict[str, Fit] = {
    "bayesian": bayesian.fit,
    "twin": twin.fit,
    "temperature": temperature.fit,
    "temperature-by-label": temperature.fit_by_label,
    "mc-dropout": mc_dropout.fit,
    "ensemble": ensemble.fit,
    "laplace": laplace.fit,
    "logistic": logistic.fit,
}
"""Name to how it is fitted; the first is what the others are held against."""

__all__ = ["COMPETITORS", "Bench", "Fit", "Fitted"]
