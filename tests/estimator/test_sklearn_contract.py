"""scikit-learn's own checks of an estimator."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from bayesfuse.estimator import FusionClassifier


def expected_failed_checks(_estimator):
    return {}


@parametrize_with_checks(
    [
        FusionClassifier(
            hidden=16,
            classifier_hidden=16,
            dropout=0.0,
            epochs=6,
            annealing_epochs=2,
            learning_rate=0.02,
            classifier_learning_rate=0.02,
            batch_size=64,
            draws=8,
            val_draws=4,
        )
    ],
    expected_failed_checks=expected_failed_checks,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
