from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.findings import Findings
from bayesfuse.data.roles import (
    Labels,
    check_labels,
    hashed_split,
    make_labels,
    read_ids,
    read_split,
)


def labels_of(lists: list[list[str] | None], **options: object) -> tuple[Labels, Findings]:
    findings = Findings()
    settings = {"label_set": None, "empty_means_none": False} | options
    return make_labels(lists, findings=findings, **settings), findings


def test_ids_are_text_whatever_they_were() -> None:
    findings = Findings()
    assert read_ids(["a", 7, "007"], "id", findings).tolist() == ["a", "7", "007"]
    assert not findings.problems


def test_bad_ids_are_all_reported() -> None:
    findings = Findings()
    read_ids(["a", None, "b", "a", "", "a", 1.5, "b", "c", 1, "1", "c"], "key", findings)
    joined = "\n".join(findings.problems)
    assert '"key": 2 of 12 ids are empty (rows 1, 4' in joined
    assert "row 6 holds 1.5" in joined
    assert '4 ids come more than once ("a" in rows 0, 3, 5, "b" in rows 2, 7' in joined
    assert "and 1 more" in joined


def test_splits_and_their_other_names() -> None:
    findings = Findings()
    cells = ["train", "Validation", "dev", "TEST", "training"]
    assert read_split(cells, "split", findings).tolist() == ["train", "val", "val", "test", "train"]
    assert len(findings.warnings) == 4
    assert '"dev" is read as val' in findings.warnings[1]
    assert not findings.problems


def test_unknown_splits_are_counted() -> None:
    findings = Findings()
    read_split(["train", "tran", "tran", None, 3], "part", findings)
    (problem,) = findings.problems
    assert '"tran" in 2 rows' in problem
    assert '"" in 1 rows' in problem
    assert "expected train, val or test" in problem
    assert 'Did you mean "train"?' in problem


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True))
def test_a_hashed_split_depends_on_the_id_alone(ids: list[str]) -> None:
    # NumPy's text drops trailing NULs.
    ids = list(dict.fromkeys(name.rstrip("\0") for name in ids))
    split = dict(zip(ids, hashed_split(np.array(ids, dtype=np.str_), 3).tolist(), strict=True))
    moved = [*sorted(ids, reverse=True), "another"]
    again = hashed_split(np.array(moved, dtype=np.str_), 3).tolist()
    assert all(
        split[name] == part for name, part in zip(moved, again, strict=True) if name in split
    )


def test_a_hashed_split_is_80_10_10_and_its_seed_matters() -> None:
    ids = np.array([f"tt{i:07}" for i in range(20_000)])
    split = hashed_split(ids, 0)
    # Five standard errors: 5 sqrt(p (1 - p) / 20000) is at most 0.0142.
    for name, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert abs((split == name).mean() - share) < 0.0142
    assert (split != hashed_split(ids, 1)).mean() > 0.2


def test_labels_become_a_matrix() -> None:
    labels, findings = labels_of([["b", "a"], ["b"], [], None, ["c", "c"]])
    assert labels.names == ("a", "b", "c")
    assert labels.values.dtype == np.float32
    assert labels.values.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert labels.labelled.tolist() == [True, True, False, False, True]
    assert findings.warnings == ["labels: 1 items name a label twice; it counts once."]


def test_an_empty_list_may_mean_that_no_label_holds() -> None:
    labels, _ = labels_of([["a"], [], None], empty_means_none=True)
    assert labels.labelled.tolist() == [True, True, False]


def test_labels_outside_the_label_set_are_counted() -> None:
    labels, findings = labels_of([["Drama", "Dramma"], ["Dramma"]], label_set=("War", "Drama"))
    assert labels.names == ("War", "Drama")
    assert '1 outside the label set: "Dramma" (2 items)' in findings.problems[0]
    assert 'Did you mean "Drama"?' in findings.problems[0]


def test_train_and_val_need_labelled_items() -> None:
    labels, _ = labels_of([["a"], []])
    findings = Findings()
    check_labels(labels, np.array(["train", "train"]), findings)
    assert findings.problems[0].startswith("split: no item is in val")
    findings = Findings()
    check_labels(labels, np.array(["train", "val"]), findings)
    assert findings.problems[0].startswith("labels: none of the 1 items of val has labels")
    findings = Findings()
    check_labels(labels, np.array(["test", "val"]), findings)
    assert "no item is in train" in findings.problems[0]


def test_a_label_without_a_positive_in_train_is_kept_with_a_warning() -> None:
    labels, _ = labels_of([["a"], ["a", "b"], []])
    findings = Findings()
    check_labels(labels, np.array(["train", "val", "train"]), findings)
    assert not findings.problems
    assert findings.warnings == [
        "label 'b' has no positive among 1 train items: its base rate is predicted."
    ]


def test_many_labels_without_a_positive_are_counted_together() -> None:
    labels, _ = labels_of([["a"], [f"b{i}" for i in range(50)]])
    findings = Findings()
    check_labels(labels, np.array(["train", "val"]), findings)
    assert len(findings.warnings) == 21
    assert "30 more of 51 labels" in findings.warnings[-1]
