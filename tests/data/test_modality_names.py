from __future__ import annotations

import pytest
from torch import nn

from bayesfuse.data.modality_names import RESERVED_MODALITY_NAMES, modality_name_problems


def test_good_names_pass() -> None:
    assert modality_name_problems(["text", "image", "poster_2", "a"]) == []


@pytest.mark.parametrize("name", ["Text", "2nd", "a-b", "", "a b", "_x", "naïve", "text\n"])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    (problem,) = modality_name_problems([name])
    assert "small letter" in problem


@pytest.mark.parametrize(
    "name", ["gate", "fused", "type", "train", "to", "keys", "hidden", "class"]
)
def test_reserved_names_are_refused(name: str) -> None:
    (problem,) = modality_name_problems([name])
    assert "reserved" in problem


def test_no_attribute_of_a_torch_module_is_left_free() -> None:
    public = {
        name
        for kind in (nn.Module, nn.ModuleDict)
        for name in [*dir(kind), *vars(kind())]
        if not name.startswith("_") and name.islower()
    }
    taken = {name for name in public if not modality_name_problems([name])}
    assert taken == set()
    assert "text" not in RESERVED_MODALITY_NAMES


def test_whatever_a_network_refuses_a_catalogue_refuses() -> None:
    from bayesfuse.models.inputs import RESERVED_NAMES

    usable = {name for name in RESERVED_NAMES if name.isidentifier() and name[0].islower()}
    refused = {name for name in usable if modality_name_problems([name])}
    assert refused == usable
