from __future__ import annotations

from bayesfuse.report.item_rows import LabelRanking, RankedGroup, RankedRow, TagRow


def test_a_ranking_counts_the_rows_that_are_shown_not_those_that_are_tied() -> None:
    tag = TagRow("Horror", 0.5, 0.4, 0.6, decision=True)
    rows = [RankedRow(place, f"id-{place}", None, tag, 1, 9) for place in (1, 2, 3)]
    ranking = LabelRanking("Horror", [RankedGroup(1, 1, rows[:1]), RankedGroup(2, 40, rows[1:])])
    assert ranking.num_rows == 3
    assert tag.truth is None
