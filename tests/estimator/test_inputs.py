"""What scikit-learn calls X and y, turned into feature tables and label matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator.inputs import (
    as_columns,
    as_labels,
    as_table,
    is_table,
    match_labels,
    match_modalities,
    split_columns,
)


@given(y=arrays(int, st.tuples(st.integers(1, 5), st.integers(2, 4)), elements=st.integers(0, 1)))
def test_an_indicator_matrix_stays_as_it_is(y):
    for form in (y, y.astype(bool), y.astype(float), y.tolist()):
        labels = as_labels(form)
        assert labels.matrix.dtype == np.float32
        np.testing.assert_array_equal(labels.matrix, y)
        assert labels.names == tuple(f"label_{c}" for c in range(y.shape[1]))
        assert labels.classes is None


def test_a_data_frame_names_the_labels():
    labels = as_labels(pd.DataFrame({"Drama": [0, 1], 7: [1, 1]}))
    assert labels.names == ("Drama", "7")
    assert labels.matrix.tolist() == [[0, 1], [1, 1]]


def test_a_data_frame_of_one_label_is_not_a_binary_target():
    labels = as_labels(pd.DataFrame({"Drama": [0, 1]}))
    assert labels.classes is None
    assert labels.matrix.shape == (2, 1)


@pytest.mark.parametrize(
    "y", [["b", "a", "b"], [True, False, True], [7, -1, 7], np.array(["b", "a", "b"], object)]
)
def test_one_target_of_two_classes(y):
    labels = as_labels(y)
    assert labels.classes.tolist() == sorted(set(y))
    assert labels.matrix.tolist() == [[1], [0], [1]]
    assert labels.names == (str(max(y)),)


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_is_one_target():
    assert as_labels(np.array([["b"], ["a"]])).matrix.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0.1, 0.2, 0.7], "Unknown label type: continuous"),
        ([0, 1, 2], "3 classes.*indicator matrix"),
        (["a", "a"], "only one class is present: y is 'a'|only one class.*a"),
        ([0.0, np.nan], "NaN"),
        ([[0.0, np.nan], [1, 1]], "NaN"),
        ([[0, 2], [1, 1]], r"holds? \[0, 1, 2\].*indicator matrix"),
        ([[0.5, 1], [1, 1]], "indicator matrix"),
        ([["a", "b"], ["a", "a"]], "indicator matrix.*MultiLabelBinarizer"),
        ([["a", "b"], ["a"]], "lists of different lengths.*MultiLabelBinarizer|list of lists"),
        (sparse.csr_matrix([[0, 1], [1, 1]]), "toarray"),
        (np.zeros((2, 2, 2)), "dim"),
        (pd.DataFrame([[0, 1], [1, 0]], columns=["a", "a"]), "label twice: a, a"),
    ],
)
def test_targets_that_are_neither(y, message):
    with pytest.raises(ValueError, match=message):  # FeatureError, or scikit-learn's own
        as_labels(y)


def test_validation_labels_are_those_of_training():
    labels = as_labels(pd.DataFrame({"a": [0, 1], "b": [1, 0]}))
    assert match_labels(pd.DataFrame({"a": [1], "b": [0]}), labels).matrix.tolist() == [[1, 0]]
    for other in (pd.DataFrame({"b": [0], "a": [1]}), [[0, 1]], [[0, 1, 1]], [0, 1]):
        with pytest.raises(FeatureError, match=r"expected those of the training items.*a, b"):
            match_labels(other, labels)


def test_validation_of_a_binary_target_may_have_one_class_and_no_third():
    labels = as_labels(["no", "yes"])
    assert match_labels(["no", "no"], labels).matrix.tolist() == [[0], [0]]
    assert match_labels(["yes"], labels).matrix.tolist() == [[1]]
    with pytest.raises(FeatureError, match=r"\['maybe'\].*\['no', 'yes'\]"):
        match_labels(["no", "maybe"], labels)


def test_all_columns_are_one_modality_by_default():
    assert as_columns(None, 3) == {"features": [0, 1, 2]}


@pytest.mark.parametrize(
    "image", [slice(2, None), [2, 3], (2, 3), range(2, 4), np.array([2, 3]), [-2, -1]]
)
def test_columns_by_slice_and_number(image):
    assert as_columns({"text": slice(0, 2), "image": image}, 4) == {"text": [0, 1], "image": [2, 3]}


def test_columns_by_mask():
    mask = np.array([True, False, True])
    assert as_columns({"text": mask, "image": ~mask}, 3) == {"text": [0, 2], "image": [1]}


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        ({"text": [0, 1], "image": [1, 2, 3]}, r"taken twice: \[1\]"),
        ({"text": [0, 0, 1, 2, 3]}, r"taken twice: \[0\]"),
        ({"text": slice(0, 2)}, r"of no modality: \[2, 3\].*drop them"),
        ({}, r"of no modality: \[0, 1, 2, 3\]"),
        ({"text": slice(0, 4), "image": [4]}, r'"image" has columns outside 0..3'),
        ({"text": [True, False]}, '"text" has columns outside'),
        ({"text": slice(0, 4), "image": []}, '"image" has no columns'),
        ({"text": slice(0, 4), "image": slice(9, 12)}, '"image" has no columns'),
        ({"text": [0.5, 1]}, '"text" got .*expected a slice, a list of column numbers'),
        ({"text": ["plot"]}, '"text" got .*expected a slice'),
        ({"text": 3}, '"text" got 3'),
        ({"Text": slice(0, 4)}, "small letter"),
        ({"gate": slice(0, 4)}, "reserved"),
    ],
)
def test_columns_that_do_not_fit(modalities, message):
    with pytest.raises(ConfigError, match=message):
        as_columns(modalities, 4)


def test_every_mistake_in_the_columns_is_named_at_once():
    with pytest.raises(ConfigError, match=r"outside.*no columns.*twice"):
        as_columns({"a": [9], "b": [], "c": [0, 0]}, 4)


def test_columns_are_cut_out():
    table = split_columns(np.array([[1.0, 2, 3]]), {"b": [2, 0], "a": [1]})
    values, observed = table.batch([0])
    assert {name: value.tolist() for name, value in values.items()} == {"b": [[3, 1]], "a": [[2]]}
    assert observed.all()


@pytest.mark.parametrize("X", [np.zeros((2, 2)), [[0.0]], pd.DataFrame({"a": [1]})])
def test_one_array_is_no_table(X):
    assert not is_table(X)


def test_sparse_matrices_are_no_tables_though_some_are_mappings():
    assert not is_table(sparse.dok_matrix((2, 2)))


def test_a_mapping_may_hold_masks():
    table = as_table({"text": [[1.0], [2.0]], "image": [[3.0], [4.0]], "image_observed": [1, 0]})
    assert table.names == ("text", "image")
    assert table.observed.tolist() == [[True, True], [True, False]]


def test_a_mask_of_nothing_is_a_mistake():
    with pytest.raises(FeatureError, match=r'"imge" is not a modality.*"image"'):
        as_table({"image": [[1.0]], "imge_observed": [True]})


def test_modalities_in_the_order_and_number_of_the_network():
    table = FeatureTable.from_arrays({"a": [[1.0]], "b": [[2.0, 3.0]], "other": [[4.0]]})
    matched = match_modalities(table, {"b": 2, "c": 4, "a": 1})
    assert matched.widths == {"b": 2, "c": 4, "a": 1}
    assert matched.observed.tolist() == [[True, False, True]]
    assert matched.batch([0])[0]["c"].tolist() == [[0, 0, 0, 0]]


def test_a_modality_that_the_network_does_not_know_may_be_a_mistake():
    table = FeatureTable.from_arrays({"text": [[1.0]], "imge": [[2.0]]})
    with pytest.raises(FeatureError, match=r'Unknown modality "imge".*"image"'):
        match_modalities(table, {"text": 1, "image": 1}, ignore_others=False)


@pytest.mark.parametrize(
    ("arrays_", "message"),
    [
        ({"a": [[1.0]], "b": [[1.0]]}, 'modality "a" has 1 features; expected 2.*"b"'),
        ({"other": [[1.0]]}, "none of the modalities a, b is there; got other"),
        ({"a": np.zeros((0, 2))}, "0 samples"),
    ],
)
def test_features_that_do_not_fit_the_network(arrays_, message):
    with pytest.raises(FeatureError, match=message):
        match_modalities(FeatureTable.from_arrays(arrays_), {"a": 2, "b": 3})
