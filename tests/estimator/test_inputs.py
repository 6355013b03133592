"""What scikit-learn calls X and y, turned into feature tables and label matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator import inputs
from bayesfuse.estimator.classifier import FusionClassifier
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


def test_a_mapping_may_hold_sequences_and_their_lengths():
    sound = np.arange(12.0).reshape(2, 3, 2)
    table = as_table({"sound": sound, "sound_lengths": [3, 1], "sound_observed": [1, 0]})
    assert table.names == ("sound",)
    assert table.is_sequence("sound")
    assert table.observed.tolist() == [[True], [False]]
    assert table.batch([0, 1])[0]["sound"].tolist() == [[2, 3], [0, 0]]
    assert as_table({"sound": sound, "sound_lengths": [2, 0]}).batch([0])[0]["sound"].tolist() == [
        [1, 2]
    ]


@pytest.mark.parametrize("what", ["observed", "lengths"])
def test_what_belongs_to_nothing_is_a_mistake(what):
    with pytest.raises(FeatureError, match=rf'{what}: "imge" is not a modality.*"image"'):
        as_table({"image": [[1.0]], f"imge_{what}": [1]})


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


# ---- sequences and files, fitted ----

RNG = np.random.default_rng(5)
NUM_ITEMS = 60
SOUND = RNG.normal(size=(NUM_ITEMS, 6, 3)).astype(np.float16)
LENGTHS = RNG.integers(0, 7, size=NUM_ITEMS)
USED = np.arange(6) < LENGTHS[:, None]
MEANS = np.zeros((NUM_ITEMS, 3), np.float32)
for _item in np.flatnonzero(LENGTHS):
    _steps = SOUND[_item, : LENGTHS[_item]].astype(np.float32)
    MEANS[_item] = sum(_steps, np.zeros(3)) / len(_steps)  # added up in float64
TEXT = RNG.normal(size=(NUM_ITEMS, 4)).astype(np.float32)
LABELS = np.stack([MEANS[:, 0] > 0, TEXT[:, 1] > 0], axis=1).astype(int)


def classifier() -> FusionClassifier:
    return FusionClassifier(hidden=8, epochs=2, annealing_epochs=1, batch_size=16, draws=4)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """The probabilities of a fit on vectors that were averaged before."""
    X = {"text": TEXT, "sound": MEANS, "sound_observed": LENGTHS > 0}
    return classifier().fit(X, LABELS).predict_proba(X)


def test_a_fit_on_sequences_is_the_fit_on_their_means(expected):
    junk = np.where(USED[:, :, None], SOUND, np.float16(np.inf))
    X = {"text": TEXT, "sound": junk, "sound_lengths": LENGTHS}
    fitted = classifier().fit(X, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    # the control: one step more or less is another fit
    other = {**X, "sound": SOUND, "sound_lengths": np.maximum(LENGTHS - 1, 0)}
    assert not np.array_equal(classifier().fit(other, LABELS).predict_proba(other), expected)


def write_hdf5(folder: Path, **options: Any) -> str:
    with h5py.File(folder / "f.h5", "w") as file:
        file.create_dataset("encoded/sound", data=SOUND, **options)
        file["encoded/sound_lengths"] = LENGTHS
        file["encoded/id"] = [f"i{item}" for item in range(NUM_ITEMS)]
        text_options = {**options, "chunks": (7, 4)} if options else {}
        file.create_dataset("encoded/text", data=TEXT, **text_options)
    return 'text = "f.h5:encoded/text"\nsound = "f.h5:encoded/sound"'


def write_parquet(folder: Path) -> str:
    table = {
        "id": [f"i{item}" for item in range(NUM_ITEMS)],
        "text": list(TEXT),
        "sound": pa.array(
            [list(map(list, SOUND[item, :length])) for item, length in enumerate(LENGTHS)],
            pa.list_(pa.list_(pa.float16())),
        ),
    }
    pq.write_table(pa.table(table), folder / "f.parquet", row_group_size=25)
    return 'text = "f.parquet:text"\nsound = "f.parquet:sound"'


@pytest.mark.parametrize(
    "write",
    [
        write_hdf5,
        lambda folder: write_hdf5(folder, chunks=(7, 2, 3), compression="gzip", shuffle=True),
        write_parquet,
    ],
    ids=["hdf5", "hdf5 in chunks", "parquet"],
)
def test_a_catalogue_with_features_in_any_file_reads_and_fits(
    tmp_path: Path, write: Callable[[Path], str]
) -> None:
    places = [line.split(" = ") for line in write(tmp_path).splitlines()]
    pq.write_table(
        pa.table(
            {
                "id": [f"i{item}" for item in range(NUM_ITEMS)],
                "tags": [
                    [name for name, on in zip("ab", row, strict=True) if on] for row in LABELS
                ],
                "split": ["train"] * 45 + ["val"] * 15,
            }
        ),
        tmp_path / "items.parquet",
    )
    (tmp_path / "catalog.toml").write_text(
        'table = "items.parquet"\nid = "id"\nlabels = "tags"\nsplit = "split"\n'
        'label_set = ["a", "b"]\nempty_labels = "none"\n'
        + "".join(f"[modalities.{name}]\nfeatures = {place}\n" for name, place in places),
        encoding="utf-8",
    )
    read = Catalog.read(tmp_path)
    assert read.features.widths == {"text": 4, "sound": 3}
    assert read.features.steps("sound") == 6
    assert read.describe().modalities[1].width == 3
    values, observed = read.features.batch(slice(None))
    np.testing.assert_array_equal(values["sound"], MEANS)
    np.testing.assert_array_equal(values["text"], TEXT)
    np.testing.assert_array_equal(observed[:, 1], LENGTHS > 0)
    whole = classifier().fit(read).predict_proba(read)
    X = {"text": TEXT, "sound": MEANS, "sound_observed": LENGTHS > 0}
    train, val = ({name: x[part] for name, x in X.items()} for part in (slice(45), slice(45, None)))
    fitted = classifier().fit(train, LABELS[:45], validation=(val, LABELS[45:]))
    np.testing.assert_array_equal(fitted.predict_proba(X), whole)


def test_columns_are_of_no_use_where_modalities_have_names():
    inputs.refuse_modalities(None)
    with pytest.raises(ConfigError, match="got text, image; X names its modalities itself"):
        inputs.refuse_modalities({"text": slice(0, 2), "image": slice(2, 4)})
