from __future__ import annotations

import dataclasses

import pytest

from bayesfuse.report import ReportData
from bayesfuse.report.statistics import Statistics, pictures_of


def test_no_section_has_no_picture() -> None:
    assert not any(pictures_of(Statistics()).values())


def test_every_section_has_its_pictures(report_data: ReportData) -> None:
    found = pictures_of(report_data.statistics)
    counts = {name: len(pictures) for name, pictures in found.items()}
    expected = {"strata": 4, "competitors": 3, "check": 4, "risk": 2, "risk_labels": 21}
    assert counts == {**expected, "robustness": 1}
    pictures = [picture for some in found.values() for picture in some]
    assert len({picture.name for picture in pictures}) == len(pictures)
    assert all(picture.alt and picture.caption for picture in pictures)


@pytest.mark.slow
def test_a_section_can_be_left_out(report_data: ReportData) -> None:
    found = dataclasses.replace(report_data.statistics, strata=[], competitors=None)
    assert pictures_of(found)["strata"] == []
    assert pictures_of(found)["competitors"] == []
    assert pictures_of(found)["risk"]
