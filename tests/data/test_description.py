from __future__ import annotations

import json

from bayesfuse.data.description import CatalogDescription, LabelCount, ModalityDescription

MADE = CatalogDescription(
    source="items.csv",
    num_items=1200,
    splits={"train": {"items": 1000, "labelled": 900}, "val": {"items": 200, "labelled": 0}},
    labels=(LabelCount("Drama", 450, 0, 0.5, None),),
    labels_an_item=1.5,
    modalities=(
        ModalityDescription("text", 384, "float16", 0.25, "text", None),
        ModalityDescription("image", None, None, 1.0, "bytes", "statistics"),
        ModalityDescription(
            "facts", None, None, 1.0, "table", None, {"year": "number", "code": "category"}
        ),
    ),
    people={"director": {"items": 7, "names": 5}},
    warnings=("beware",),
)


def test_it_prints_aligned() -> None:
    assert (
        str(MADE)
        == """\
items.csv: 1,200 items

split  items  labelled
train  1,000       900
val      200         0

modality  features    dtype  observed    raw     encoder
text           384  float16     25.0%   text           -
image            -        -    100.0%  bytes  statistics
facts            -        -    100.0%  table           -

table  column     holds
facts    year    number
facts    code  category

label  train   rate  val  rate
Drama    450  50.0%    0     -

1.50 labels a labelled item

people    items with  names
director           7      5

warning: beware"""
    )


def test_it_is_plain_for_json() -> None:
    plain = json.loads(json.dumps(MADE.to_dict(), allow_nan=False))
    assert plain["labels"][0]["val_rate"] is None
    assert plain["modalities"][1]["encoder"] == "statistics"
    assert plain["modalities"][2]["columns"] == {"year": "number", "code": "category"}
    assert set(plain) == set(MADE.to_dict())
    assert plain["warnings"] == ["beware"]
