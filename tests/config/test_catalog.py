from __future__ import annotations

from bayesfuse.config import CatalogConfig, TableConfig


def test_lists_of_columns_are_read_from_text() -> None:
    made = TableConfig.parse({"tabular": "year, brand", "people": "maker", "categories": "code"})
    assert made.tabular == ("year", "brand")
    assert (made.people, made.categories) == (("maker",), ("code",))


def test_only_fitting_names_a_column_of_the_split() -> None:
    assert set(CatalogConfig.model_fields) - set(TableConfig.model_fields) == {"split"}
