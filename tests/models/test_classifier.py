from __future__ import annotations

import pytest
import torch

from bayesfuse.errors import ConfigError
from bayesfuse.models import (
    CLASSIFIERS,
    LinearClassifier,
    Maxout,
    MaxoutClassifier,
    apply_max_norm_,
)

OPTIONS = {"hidden": 4, "pieces": 3, "dropout": 0.5}


def test_maxout_is_the_largest_of_its_pieces():
    layer = Maxout(3, units=2, pieces=4).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    by_hand = torch.empty(5, 2, dtype=torch.float64)
    for item in range(5):
        for unit in range(2):
            rows = range(unit * 4, unit * 4 + 4)
            by_hand[item, unit] = max(layer.weight[r] @ x[item] + layer.bias[r] for r in rows)
    torch.testing.assert_close(layer(x), by_hand)


def test_maxout_of_one_piece_is_linear():
    layer = Maxout(3, units=2, pieces=1)
    x = torch.randn(5, 3)
    torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)


def test_maxout_classifier_in_eval_by_hand():
    torch.manual_seed(0)
    classifier = MaxoutClassifier(3, 2, hidden=4, pieces=2).double()
    classifier(torch.randn(50, 3, dtype=torch.float64))  # moves the running statistics
    classifier.eval()
    x = torch.randn(5, 3, dtype=torch.float64)

    def normed(x, norm):
        scaled = (x - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
        return scaled * norm.weight + norm.bias

    maxout = classifier.maxout[0]
    pieces = normed(x, classifier.norm[0]) @ maxout.weight.T + maxout.bias
    hidden = torch.maximum(pieces[:, 0::2], pieces[:, 1::2])
    logits = normed(hidden, classifier.norm[1]) @ classifier.output.weight.T
    torch.testing.assert_close(classifier(x), logits + classifier.output.bias)


def test_linear_classifier_in_eval_by_hand():
    classifier = LinearClassifier(3, 2).eval()
    x = torch.randn(5, 3)
    by_hand = x @ classifier.output.weight.T + classifier.output.bias
    torch.testing.assert_close(classifier(x), by_hand)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_dropout_acts_in_training_only(kind):
    classifier = CLASSIFIERS[kind].from_options(8, 3, **OPTIONS)
    x = torch.randn(6, 8)
    assert not torch.equal(classifier(x), classifier(x))
    classifier.eval()
    assert torch.equal(classifier(x), classifier(x))


def test_parameter_names():
    classifier = MaxoutClassifier(8, 3, hidden=4, num_layers=2)
    assert [name for name, _ in classifier.named_parameters() if "weight" in name] == [
        "norm.0.weight",
        "norm.1.weight",
        "norm.2.weight",
        "maxout.0.weight",
        "maxout.1.weight",
        "output.weight",
    ]
    assert classifier.eval()(torch.zeros(2, 8)).shape == (2, 3)


def test_one_item_in_training_mode_raises_as_documented():
    with pytest.raises(ValueError, match="more than 1 value"):
        MaxoutClassifier(8, 3)(torch.zeros(1, 8))


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_base_rates_are_what_a_zero_weight_predicts(kind):
    classifier = CLASSIFIERS[kind].from_options(8, 3, **OPTIONS).double().eval()
    rates = torch.tensor([0.5, 0.01, 0.9], dtype=torch.float64)
    classifier.set_base_rates(rates)
    torch.nn.init.zeros_(classifier.output.weight)
    torch.testing.assert_close(torch.sigmoid(classifier(torch.randn(4, 8).double()))[2], rates)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.5, 0.5], r"shape \(2,\); expected \(3,\)"),
        ([0.5, 0.0, 0.5], "strictly between"),
        ([0.5, 1.0, 0.5], "strictly between"),
        ([0.5, float("nan"), 0.5], "strictly between"),
    ],
)
def test_impossible_base_rates(rates, message):
    with pytest.raises(ConfigError, match=message):
        LinearClassifier(8, 3).set_base_rates(torch.tensor(rates))


def test_max_norm_projects_long_rows_and_leaves_the_rest():
    classifier = MaxoutClassifier(8, 3, hidden=4, pieces=2)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.normal_()
        classifier.maxout[0].weight[0] *= 100
        classifier.maxout[0].weight[1] *= 0.01
    before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    apply_max_norm_(classifier, 1.5)
    after = dict(classifier.named_parameters())
    for name in ("maxout.0.weight", "output.weight"):
        norms = before[name].norm(dim=1)
        assert (after[name].norm(dim=1) <= 1.5 * (1 + 1e-6)).all()
        factor = torch.clamp(1.5 / norms, max=1.0)
        torch.testing.assert_close(after[name].detach(), before[name] * factor[:, None])
        short = norms <= 1.5
        assert torch.equal(after[name][short], before[name][short])
    assert (before["maxout.0.weight"].norm(dim=1) <= 1.5).any()
    for name in set(before) - {"maxout.0.weight", "output.weight"}:
        assert torch.equal(after[name], before[name])


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan")])
def test_max_norm_must_be_positive(max_norm):
    with pytest.raises(ConfigError, match="number > 0"):
        apply_max_norm_(LinearClassifier(8, 3), max_norm)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_labels": 0}, "num_labels=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"hidden": 0}, "units=0"),
        ({"pieces": 0}, "pieces=0"),
        ({"num_layers": 0}, 'num_layers=0; expected at least 1 \\(or classifier "linear"\\)'),
    ],
)
def test_options_out_of_range(arguments, message):
    with pytest.raises(ConfigError, match=message):
        MaxoutClassifier(**{"in_features": 8, "num_labels": 3, **arguments})
