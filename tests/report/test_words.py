from __future__ import annotations

import dataclasses

from bayesfuse.report import ReliabilityCurve, ReportData
from bayesfuse.report.words import summary


def test_the_summary_says_only_what_is_known(report_data: ReportData) -> None:
    assert summary(report_data) == (
        "855 items of the val split and 21 labels; each probability is the mean over 64 posterior "
        "draws. Macro average precision is 0.520. Probabilities are off by 0.008 on average. 41 "
        "items are too unsure to tag without a look and are left to a person."
    )
    less = dataclasses.replace(
        report_data,
        metrics={},
        reliability=ReliabilityCurve("all labels", [], [], []),
        num_left_to_person=None,
    )
    assert summary(less).endswith("64 posterior draws.")
