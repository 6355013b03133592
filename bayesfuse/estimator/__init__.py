"""`FusionClassifier`: the scikit-learn contract over data, models, inference and evaluation."""

from bayesfuse.estimator.classifier import FusionClassifier

__all__ = ["FusionClassifier"]
