"""From the results of a run to pictures and one self-contained page; computes nothing."""

from __future__ import annotations

from bayesfuse.report.data import (
    ItemRow,
    KnownTruth,
    LabelRow,
    ReliabilityCurve,
    ReportData,
    TagRow,
)
from bayesfuse.report.html import render, write

__all__ = [
    "ItemRow",
    "KnownTruth",
    "LabelRow",
    "ReliabilityCurve",
    "ReportData",
    "TagRow",
    "render",
    "write",
]
