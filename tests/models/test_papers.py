from __future__ import annotations

import re

import pytest

from bayesfuse.models import FUSIONS
from bayesfuse.models.papers import FUSION_PAPERS, MODEL_PAPERS, Paper

EVERY = {**FUSION_PAPERS, **MODEL_PAPERS}


def test_every_rule_has_its_paper_and_no_other_name_has_one() -> None:
    assert list(FUSION_PAPERS) == list(FUSIONS)


@pytest.mark.parametrize("name", FUSION_PAPERS)
def test_the_docstring_of_a_rule_cites_its_paper(name: str) -> None:
    paper, said = FUSION_PAPERS[name], " ".join((FUSIONS[name].__doc__ or "").split())
    assert f"{paper.authors} {paper.year}" in said
    assert paper.arxiv is None or f"arXiv:{paper.arxiv}" in said


@pytest.mark.parametrize("name", EVERY)
def test_a_paper_is_told_in_whole(name: str) -> None:
    paper = EVERY[name]
    assert 1990 < paper.year < 2030
    assert paper.title
    assert paper.arxiv is None or re.fullmatch(r"\d{4}\.\d{5}", paper.arxiv)


def test_a_line_leaves_out_what_there_is_not() -> None:
    assert str(Paper("Seo et al.", 2022, "MM-GATBT")) == "Seo et al. 2022"
