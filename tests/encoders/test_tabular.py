"""Tables as features: from a file to arrays, missing and odd cells, keeping the state."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.catalogues import apply_encoders, encode_catalog
from bayesfuse.encoders.names import make_encoder
from bayesfuse.encoders.saving import load_encoders, save_encoders
from bayesfuse.encoders.tabular import UNUSABLE, TabularEncoder
from bayesfuse.encoders.tabular_columns import NEW_CATEGORY, NO_NUMBER
from bayesfuse.errors import ConfigError, FeatureError

ROWS = [
    {"year": 1990 + i % 7, "country": ("NO", "SE", "DK")[i % 3], "good": bool(i % 2)}
    for i in range(60)
]


def items(path: Path, num_rows: int = 200) -> Path:
    """Write a table in Parquet and the same in CSV; return the Parquet."""
    rng = np.random.default_rng(0)
    years = rng.integers(1950, 2020, num_rows)
    columns = {
        "id": [f"i{row}" for row in range(num_rows)],
        "year": [int(y) if rng.random() < 0.9 else None for y in years],
        "code": [int(c) for c in rng.integers(1, 4, num_rows)],
        "country": [("NO", "SE", "DK", None)[c] for c in rng.integers(0, 4, num_rows)],
        "genre": ["Drama" if y > 1985 else "War" for y in years],
        "split": ["train"] * (num_rows - 40) + ["val"] * 20 + ["test"] * 20,
    }
    table = pa.table(columns)
    pq.write_table(table, path / "items.parquet", row_group_size=64)
    table.to_pandas().to_csv(path / "items.csv", index=False)
    return path / "items.parquet"


FLAGS = {
    "id": "id",
    "tabular": ["year", "code", "country"],
    "categories": ["code"],
    "labels": "genre",
    "split": "split",
}


def test_a_catalogue_has_the_same_features_from_every_format(tmp_path):
    stored = Catalog.read(items(tmp_path), **FLAGS)
    catalog, encoders = encode_catalog(stored)
    assert encoders["tabular"].feature_names_ == (
        "year", "year missing", "code=1", "code=2", "code=3",
        "country missing", "country=DK", "country=NO", "country=SE",
    )  # fmt: skip
    values, observed = catalog.features.batch(slice(None))
    assert values["tabular"].shape == (200, 9)
    assert observed.all()
    assert np.abs(values["tabular"][:, 0]).max() < 3
    # pandas wrote 1999 as 1999.0, since other cells of the column are empty.
    assert "1999.0" in (tmp_path / "items.csv").read_text()
    from_csv, again = encode_catalog(Catalog.read(tmp_path / "items.csv", **FLAGS))
    np.testing.assert_array_equal(
        from_csv.features.batch(slice(None))[0]["tabular"], values["tabular"]
    )
    assert again["tabular"].fingerprint() == encoders["tabular"].fingerprint()
    # And a fitted encoder reads new rows, whose columns may look otherwise by themselves.
    new = tmp_path / "new.csv"
    new.write_text("id,year,code,country\na,1999,2.0,NO\nb,?,2,7\nc,,,\n", encoding="utf-8")
    new_flags = {"id": "id", "tabular": FLAGS["tabular"], "require_labels": False}
    made = apply_encoders(Catalog.read(new, **new_flags), encoders)
    values, observed = made.features.batch(slice(None))
    assert observed[:, 0].tolist() == [True, True, False]
    assert values["tabular"][:, 2:5].tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert values["tabular"][:2, 1].argmax() == 1
    (told,) = [warning for warning in made.warnings if "1 of 3 cells" in warning]
    assert f"year: {NO_NUMBER}; country: {NEW_CATEGORY}" in told


def test_only_the_training_rows_teach(tmp_path):
    catalog = Catalog.read(items(tmp_path), **FLAGS)
    before = encode_catalog(catalog)[1]["tabular"].fingerprint()
    columns = pq.read_table(tmp_path / "items.parquet").to_pydict()

    def changed(row: int) -> str:
        moved = copy.deepcopy(columns)
        moved["year"][row], moved["country"][row] = 3000, "XX"
        pq.write_table(pa.table(moved), tmp_path / "moved.parquet")
        made = encode_catalog(Catalog.read(tmp_path / "moved.parquet", **FLAGS))
        return made[1]["tabular"].fingerprint()

    assert changed(-1) == before
    assert changed(0) != before  # the control


def test_a_column_that_is_missing_is_named(tmp_path):
    _, encoders = encode_catalog(Catalog.read(items(tmp_path), **FLAGS))
    new = tmp_path / "new.csv"
    new.write_text("id,year,code,mood\na,1999,2,sad\n", encoding="utf-8")
    read = Catalog.read(new, id="id", tabular=["year", "code", "mood"], require_labels=False)
    with pytest.raises(
        FeatureError, match=r"tabular: .*no column country and an unknown column mood"
    ):
        apply_encoders(read, encoders)


def test_plain_rows_are_learned_from_too():
    encoder = make_encoder("tabular", "table", {}).fit(ROWS)
    assert encoder.feature_names_ == (
        "year", "country=DK", "country=NO", "country=SE", "good=False", "good=True",
    )  # fmt: skip
    features, observed = encoder.encode(ROWS)
    np.testing.assert_allclose(features[:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_array_equal(features[:, 1:].sum(axis=1), 2)
    assert observed.all()
    assert features.dtype == np.float32
    for bad in ([{"year": 1}], [{**ROWS[0], "x": 1}], ["a text"]):
        with pytest.raises(FeatureError):
            encoder.encode(bad)
        with pytest.raises(FeatureError):
            TabularEncoder().fit([*ROWS, *bad])


def test_rows_without_a_usable_cell_are_unobserved():
    rows = [{**row, "note": None} for row in ROWS]
    encoder = TabularEncoder().fit([None, *rows, dict.fromkeys(rows[0])])
    assert any('"note" is left out' in note for note in encoder.notes_)
    blank = dict.fromkeys(rows[0])
    cells = [None, blank, {**blank, "note": "here"}, {**blank, "year": "?"}, {**blank, "year": 1}]
    features, observed = encoder.encode(cells)
    assert observed.tolist() == [False, False, False, False, True]
    assert not features[:4].any()
    assert [(p.row, p.reason) for p in encoder.problems_] == [(2, UNUSABLE), (3, UNUSABLE)]
    assert [remark.row for remark in encoder.remarks_] == [4]  # that year is far off
    encoder.encode(rows)
    assert encoder.problems_ == encoder.remarks_ == ()
    features, observed = encoder.encode([])
    assert (features.shape, observed.shape) == ((0, encoder.width), (0,))


def test_columns_that_were_left_out_may_hold_anything():
    encoder = TabularEncoder().fit([{**row, "note": None} for row in ROWS])
    plain = encoder.encode([{**ROWS[0], "note": None}])[0]
    np.testing.assert_array_equal(encoder.encode([{**ROWS[0], "note": "new"}])[0], plain)
    assert encoder.remarks_ == ()


def test_rare_categories_count_as_one_and_small_tables_have_few():
    rows = [{"a": f"c{i % 4}"} for i in range(600)] + [{"a": f"r{i}"} for i in range(30)]
    encoder = TabularEncoder().fit(rows)
    assert encoder.feature_names_ == ("a=c0", "a=c1", "a=c2", "a=c3", "a rare")
    assert "30 rare categories" in encoder.notes_[0]
    assert TabularEncoder(max_categories=3).fit(rows).width == 3
    assert TabularEncoder(min_frequency=1, max_categories=99).fit(rows).width == 34
    assert TabularEncoder().fit([{"a": "x"}, {"a": "y"}] * 2).width == 2


def test_settings_are_checked():
    for wrong in ({"min_frequency": 0}, {"max_categories": 1}, {"min_frequency": 0.1},
                  {"max_categories": True}, {"numbers": 3}, {"numbers": [3]}):  # fmt: skip
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is"):
            TabularEncoder(**wrong)
    with pytest.raises(ConfigError, match=r'Unknown column "yaer".*Did you mean "year"'):
        TabularEncoder(numbers=("yaer",)).fit(ROWS)
    rows = [{"year": year} for year in ("1999", "N/A", "2001", None)]
    assert TabularEncoder(numbers="year").fit(rows).feature_names_ == ("year", "year missing")


def test_there_must_be_something_to_learn():
    with pytest.raises(FeatureError, match=r"all 2 rows are blank"):
        TabularEncoder().fit([None, {"a": " "}])
    with pytest.raises(FeatureError, match=r'2 rows\. Column "a" is left out: it is 1'):
        TabularEncoder().fit([{"a": 1}, {"a": 1}])
    with pytest.raises(FeatureError, match="not fitted"):
        TabularEncoder().encode(ROWS)
    with pytest.raises(FeatureError, match="not fitted"):
        TabularEncoder().state()


def test_the_state_gives_the_very_same_features(tmp_path):
    rng = np.random.default_rng(2)
    rows = [
        {
            "x": float(rng.lognormal()) if rng.random() < 0.8 else None,
            "c": f"\u00e9 {rng.geometric(0.2)}",
        }
        for _ in range(300)
    ]
    encoder = TabularEncoder(min_frequency=4, numbers=["x"]).fit(rows[:200])
    assert "c rare" in encoder.feature_names_
    save_encoders(tmp_path, {"facts": encoder})
    again = load_encoders(tmp_path)["facts"]
    np.testing.assert_array_equal(again.encode(rows)[0], encoder.encode(rows)[0])
    assert again.remarks_ == encoder.remarks_
    assert len(again.remarks_) > 0
    assert again.fingerprint() == encoder.fingerprint()
    assert again.numbers == ("x",)
    assert TabularEncoder(min_frequency=5).fit(rows[:200]).fingerprint() != encoder.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"columns": None},
        {"columns": []},
        {"columns": [{"column": "a", "kind": "number"}]},
        {"columns": [{"column": "a", "kind": "left out"}] * 2},
        {"width": 3},
        {"min_frequency": 0},
        {"numbers": 3},
    ],
)
def test_a_state_that_does_not_fit_is_refused(change):
    config, arrays = TabularEncoder().fit(ROWS).state()
    assert TabularEncoder.from_state(config, arrays).width == 6
    with pytest.raises(FeatureError, match="The state of the tabular encoder"):
        TabularEncoder.from_state({**config, **change}, arrays)
    (key,) = change
    del config[key]
    with pytest.raises(FeatureError, match="The state of the tabular encoder"):
        TabularEncoder.from_state(config, arrays)


any_cell = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", " ", "1", "2014-01-01", "a", "b", "nan", "1e999"])
    | st.text(max_size=4)
)
any_rows = st.lists(
    st.fixed_dictionaries(
        {"a": any_cell, "b": st.floats() | st.none(), "c": st.sampled_from("xyz")}
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150)
@given(any_rows, any_rows, st.sampled_from([None, ("a",), ("a", "b"), ()]))
def test_features_are_finite_for_any_mix(train, new, numbers):
    encoder = TabularEncoder(numbers=numbers)
    try:
        encoder.fit(train)
    except FeatureError:  # no column has two different values
        reject()
    features, observed = encoder.encode([*train, *new, None])
    assert features.shape == (len(train) + len(new) + 1, encoder.width)
    assert np.isfinite(features).all()
    assert np.abs(features).max(initial=0) <= 10
    assert not features[~observed].any()
    assert len(encoder.feature_names_) == len(set(encoder.feature_names_)) == encoder.width
    again = TabularEncoder.from_state(*encoder.state())
    np.testing.assert_array_equal(again.encode([*train, *new, None])[0], features)
    # A row is encoded alike whatever rows stand beside it.
    alone = [encoder.encode([row])[0][0] for row in new]
    np.testing.assert_array_equal(np.stack(alone), features[len(train) : -1])


def test_a_modality_beside_others_keeps_its_settings(tmp_path):
    catalog = Catalog.read(items(tmp_path), **FLAGS)
    with_settings = dataclasses.replace(
        catalog, encoder_settings={"tabular": {"min_frequency": 150}}
    )
    _, encoders = encode_catalog(with_settings)
    assert encoders["tabular"].min_frequency == 150
