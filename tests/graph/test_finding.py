from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.graph.finding import find_item

IDS = np.array(["tt1", "tt2", "tt3", "tt4", "TT1"])
TITLES = ["Jaws", "Amélie", "jaws", "The Fog", "tt2"]


@pytest.mark.parametrize(
    ("text", "row"),
    [("tt1", 0), ("TT1", 4), ("tt2", 1), ("Jaws", 0), ("jaws", 2), ("amelie", 1), ("the fog!", 3)],
)
def test_an_item_is_found(text: str, row: int) -> None:
    assert find_item(IDS, TITLES, text) == row


def test_several_of_one_title_are_listed() -> None:
    with pytest.raises(ConfigError, match=r'2 items are called "JAWS": tt1, tt3. Give the id'):
        find_item(IDS, TITLES, "JAWS")
    with pytest.raises(ConfigError, match=r"2 items are called .*Give the id"):
        find_item(["a", "b"], ["The Fog", "The Fog"], "The Fog")


def test_what_is_not_there_is_told_with_what_is_near() -> None:
    with pytest.raises(ConfigError, match=r'No item has the id or title "Jawz".*mean "Jaws"'):
        find_item(IDS, TITLES, "Jawz")
    with pytest.raises(ConfigError, match="Titles that hold it: 'The Fog'"):
        find_item(IDS, TITLES, "fog")
    with pytest.raises(ConfigError, match=r'the id "tt9".*mean "tt'):
        find_item(["tt1", "tt2"], None, "tt9")


@pytest.mark.parametrize("text", ["", " ", "xyzzy"])
def test_nothing_is_nobody(text: str) -> None:
    with pytest.raises(ConfigError, match="No item"):
        find_item(["1", "2"], ["", " "], text)
