"""From the results of a run to pictures and one self-contained page; computes nothing."""

from __future__ import annotations

from bayesfuse.report.data import (
    KnownTruth,
    LabelRow,
    ReliabilityCurve,
    ReportData,
)
from bayesfuse.report.html import render, write
from bayesfuse.report.item_rows import (
    ItemRow,
    LabelRanking,
    RankedGroup,
    RankedRow,
    SurpriseRow,
    TagRow,
)

__all__ = [
    "ItemRow",
    "KnownTruth",
    "LabelRanking",
    "LabelRow",
    "RankedGroup",
    "RankedRow",
    "ReliabilityCurve",
    "ReportData",
    "SurpriseRow",
    "TagRow",
    "render",
    "write",
]
