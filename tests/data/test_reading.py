from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayesfuse.data.findings import Findings
from bayesfuse.data.reading import Reading, spec_of_flags
from bayesfuse.data.tables import open_table
from bayesfuse.errors import CatalogError


def reading(tmp_path: Path, content: str, require_labels: bool = True, **given: object) -> Reading:
    path = tmp_path / "items.csv"
    path.write_text(content, encoding="utf-8")
    table, findings = open_table(path), Findings()
    spec = spec_of_flags(path, {"id": "id", "text": "plot", **given}, table.names, findings)
    return Reading(table, spec, [tmp_path], require_labels, 0, findings)


def test_flags_become_modalities(tmp_path: Path) -> None:
    flags = {
        "id": "id",
        "text": "plot",
        "image": "poster",
        "features": {"text": "f.npz:text", "sound": "s.npy"},
        "people": ["director"],
        "people_separator": "|",
        "labels": "g",
    }
    spec = spec_of_flags(tmp_path / "items.csv", flags, ("id",), Findings())
    assert list(spec.modalities) == ["text", "image", "sound"]
    assert spec.modalities["text"].features == "f.npz:text"
    assert spec.modalities["image"].kind == "image"
    assert spec.graph.people == ("director",)
    assert spec.graph.people_separator == "|"
    assert (spec.table, spec.labels) == ("items.csv", ("g",))


def test_flags_become_a_tabular_modality(tmp_path: Path) -> None:
    flags = {"id": "id", "tabular": ["year", "code"], "categories": ["code"]}
    findings = Findings()
    spec = spec_of_flags(tmp_path / "items.csv", flags, ("id",), findings)
    assert list(spec.modalities) == ["tabular"]
    assert spec.modalities["tabular"].columns == ("year", "code")
    assert spec.modalities["tabular"].categories == ("code",)
    assert not findings.problems
    flags = {"id": "id", "text": "plot", "categories": ["code"]}
    spec_of_flags(tmp_path / "items.csv", flags, ("id",), findings)
    assert findings.problems == ["--categories needs --tabular, the columns that they are among."]


def test_an_id_is_needed(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no id: name its column with --id; .* has key, plot"):
        spec_of_flags(tmp_path / "items.csv", {"text": "plot"}, ("key", "plot"), Findings())


def test_without_a_split_the_ids_decide_and_it_is_said(tmp_path: Path) -> None:
    made = reading(tmp_path, "id,plot,g\na,x,A\nb,y,B\n", labels="g")
    assert set(made.split(np.array(["a", "b"])).tolist()) <= {"train", "val", "test"}
    assert "no split column" in made.findings.warnings[0]
    made = reading(tmp_path, "id,plot\na,x\n", require_labels=False)
    assert made.split(np.array(["a"])).tolist() == ["test"]
    assert "every item is in test" in made.findings.warnings[0]


def test_a_split_that_could_not_be_read_causes_no_further_problem(tmp_path: Path) -> None:
    made = reading(tmp_path, "id,plot,g,split\na,x,A,trian\n", labels="g", split="split")
    made.labels(made.split(made.ids()))
    assert len(made.findings.problems) == 1
    made = reading(tmp_path, "id,plot,g\na,x,A\n", labels="g", split="part")
    made.labels(made.split(made.ids()))
    assert len(made.findings.problems) == 1


def test_labels_may_be_left_out_where_nothing_is_learned(tmp_path: Path) -> None:
    made = reading(tmp_path, "id,plot\na,x\n", require_labels=False)
    labels, joined = made.labels(np.array(["test"]))
    assert joined is None
    assert (labels.names, labels.values.shape) == ((), (1, 0))
    assert not made.findings.problems
    made = reading(tmp_path, "id,plot\na,x\n")
    made.labels(np.array(["test"]))
    assert "--labels" in made.findings.problems[0]


def test_titles_and_people_are_lists_of_text(tmp_path: Path) -> None:
    content = "id,plot,t,d\na,x,One,Ann|Bob\nb,y,,\n"
    made = reading(tmp_path, content, title="t", people=["d"], people_separator="|")
    assert made.titles() == ["One", ""]
    assert made.people() == {"d": [["Ann", "Bob"], []]}
    made = reading(tmp_path, content, people=["d", "q"])
    assert made.people() == {"d": [["Ann|Bob"], []]}
    assert "--people-separator '|'" in made.findings.problems[0]
    assert "people: " in made.findings.problems[1]
