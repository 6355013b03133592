from __future__ import annotations

from types import SimpleNamespace

import pytest

from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.evaluation.recalibration import Recalibration


def trained(**changes: object) -> SimpleNamespace:
    result = {"stopped": "finished", "annealed": True, "notes": (), "best_epoch": 4}
    own = {"temperature": 1.0, "elbo": "annealed", "links_": None}
    result |= {name: value for name, value in changes.items() if name in result}
    own |= {"loss": "bce", "label_smoothing": 0.0}
    own |= {"graph_relations": "union", "model_": None, "recalibration_": None}
    own |= {name: value for name, value in changes.items() if name in own}
    members = changes.get("members", 1)
    config = SimpleNamespace(
        beside_likelihood=changes.get("beside", ()),
        members=members,
        weighting=changes.get("weighting", "none"),
        reads_steps=changes.get("reads_steps", False),
    )
    before = {**result, "stopped": "early", "annealed": True, "best_epoch": 9}
    results = [before] * (members > 1) + [result]
    return SimpleNamespace(
        results_=[SimpleNamespace(**each) for each in results], config_=config, **own
    )


def found(**changes: object) -> list[str]:
    return training_warnings(trained(**changes))  # type: ignore[arg-type]


def test_what_went_as_it_should_is_no_warning() -> None:
    assert found() == []
    assert found(elbo="none", temperature=0.5) == []
    assert found(elbo="none", beside=("refiner",)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stopped": "interrupted"}, "interrupted; the model of epoch 5 is kept"),
        ({"stopped": "interrupted", "best_epoch": -1}, "the first steps"),
        ({"annealed": False}, "before the annealing has ended"),
        ({"annealed": False, "members": 2}, "before the annealing has ended"),
        ({"notes": ("Once.",), "members": 2}, "Once."),
        ({"notes": ("Draws were not compiled.",)}, "Draws were not compiled."),
        ({"temperature": 0.5}, "colder"),
        ({"temperature": 2.0}, "warmer"),
        ({"recalibration_": Recalibration(2.0)}, "recalibrated (temperature) on the val items"),
        ({"weighting": "positive"}, "about as common as not"),
        ({"weighting": "balanced"}, "about as common as not"),
        ({"weighting": "given by label"}, "class weights given by label the posterior"),
        ({"loss": "focal"}, "loss focal with label smoothing 0 is no likelihood"),
        ({"label_smoothing": 0.1}, "label smoothing 0.1 is no likelihood"),
        ({"beside": ("refiner", "contrastive")}, "With refiner and contrastive beside"),
        ({"weighting": "inverse"}, "class weights inverse the posterior"),
    ],
)
def test_what_did_not_is_told(changes: dict[str, object], words: str) -> None:
    (warning,) = found(**changes)
    assert words in warning


def test_a_rule_that_reads_steps_says_if_there_are_none() -> None:
    told = trained(reads_steps=True)
    told.fusion = "mult-gmu"
    told.model_ = SimpleNamespace(network=SimpleNamespace(sequences=()))
    (warning,) = training_warnings(told)  # type: ignore[arg-type]
    assert "--fusion mult-gmu: no modality is a sequence" in warning
    told.model_.network.sequences = ("text",)
    assert training_warnings(told) == []  # type: ignore[arg-type]


def test_members_that_were_not_begun_are_told() -> None:
    kept, fewer = found(stopped="interrupted", members=3)
    assert "the model of epoch 5 is kept" in kept
    assert fewer == "The mixture has 2 of the 3 members asked for."


def test_what_the_graph_left_out_is_told() -> None:
    graph = SimpleNamespace(warnings=("1 name joins nobody.",))
    assert found(links_=SimpleNamespace(graph=graph)) == ["1 name joins nobody."]


def test_a_relation_that_nothing_was_learned_of_is_told() -> None:
    graph = SimpleNamespace(warnings=(), relation_names=("director", "writer"))
    model = SimpleNamespace(network=SimpleNamespace(relations=("director",)))
    given = {"links_": SimpleNamespace(graph=graph), "graph_relations": "each", "model_": model}
    (warning,) = found(**given)
    assert "No training item has a neighbour by writer" in warning
