"""Tags for catalogues, with honest probabilities: Bayesian multimodal fusion on Pyro.

The public names are loaded when they are first used, so that `import bayesfuse` is quick.

Example:
    >>> import bayesfuse as bf
    >>> classifier = bf.FusionClassifier(fusion="gmu", prior="laplace", prior_scale=0.1)
    >>> classifier.prior
    'laplace'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayesfuse.errors import BayesfuseError, UserError

if TYPE_CHECKING:
    from bayesfuse.data.catalog import Catalog
    from bayesfuse.data.demo import make_demo, write_demo
    from bayesfuse.data.features import FeatureTable
    from bayesfuse.encoders.catalogues import encode_catalog
    from bayesfuse.estimator.classifier import FusionClassifier
    from bayesfuse.estimator.student import Student
    from bayesfuse.evaluation.evaluate import evaluate
    from bayesfuse.evaluation.uncertainty import summarise
    from bayesfuse.inference.annealing import AnnealingSchedule
    from bayesfuse.inference.guides import make_guide
    from bayesfuse.inference.lifting import lift
    from bayesfuse.inference.priors import Prior
    from bayesfuse.models.network import FusionNetwork

_WHERE = {
    "AnnealingSchedule": "bayesfuse.inference.annealing",
    "Catalog": "bayesfuse.data.catalog",
    "FeatureTable": "bayesfuse.data.features",
    "FusionClassifier": "bayesfuse.estimator.classifier",
    "FusionNetwork": "bayesfuse.models.network",
    "Prior": "bayesfuse.inference.priors",
    "Student": "bayesfuse.estimator.student",
    "encode_catalog": "bayesfuse.encoders.catalogues",
    "evaluate": "bayesfuse.evaluation.evaluate",
    "lift": "bayesfuse.inference.lifting",
    "make_demo": "bayesfuse.data.demo",
    "make_guide": "bayesfuse.inference.guides",
    "summarise": "bayesfuse.evaluation.uncertainty",
    "write_demo": "bayesfuse.data.demo",
}

__all__ = [
    "AnnealingSchedule",
    "BayesfuseError",
    "Catalog",
    "FeatureTable",
    "FusionClassifier",
    "FusionNetwork",
    "Prior",
    "Student",
    "UserError",
    "encode_catalog",
    "evaluate",
    "lift",
    "make_demo",
    "make_guide",
    "summarise",
    "write_demo",
]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'bayesfuse' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
