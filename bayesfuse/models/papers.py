"""Which paper each fusion rule and each model is after."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes:
        authors: Family names; "et al." after the first if there are more than two.
        year: When it appeared.
        title: Its title.
        arxiv: Its number on arXiv, or None if it is not there.

    Example:
        >>> print(FUSION_PAPERS["gmu"])
        Arevalo et al. 2017, arXiv:1702.01992
    """

    authors: str
    year: int
    title: str
    arxiv: str | None = None

    def __str__(self) -> str:
        """Return how it is cited in a line."""
        cited = f"{self.authors} {self.year}"
        return cited if self.arxiv is None else f"{cited}, arXiv:{self.arxiv}"


_GMU = Paper("Arevalo et al.", 2017, "Gated Multimodal Units for Information Fusion", "1702.01992")
_TOOLKIT = Paper(
    "Gu and Budhkar",
    2021,
    "A Package for Learning on Tabular and Text Data with Transformers",
)
_PM_MO = Paper(
    "Armitage et al.",
    2020,
    "Training Multimodal Systems for Classification with Multiple Objectives",
    "2008.11450",
)
_MM_GATBT = Paper(
    "Seo et al.",
    2022,
    "MM-GATBT: Enriching Multimodal Representation Using Graph Attention Network",
)

_MMBT = Paper(
    "Kiela et al.",
    2020,
    "Supervised Multimodal Bitransformers for Classifying Images and Text",
    "1909.02950",
)

_REFNET = Paper("Sankaran et al.", 2021, "Multimodal Fusion Refiner Networks", "2104.03435")
_SWIGLU = Paper(
    "Supkhankulov",
    2025,
    "Multimodal Movie Genre Classification using Image Posters and Plot Summaries",
)

FUSION_PAPERS: dict[str, Paper] = {
    "attention": _TOOLKIT,
    "autoencoder": Paper(
        "Zeng", 2021, "Multi Task Learning based Framework for Multimodal Classification"
    ),
    "bitransformer": _MMBT,
    "centralnet": Paper(
        "Vielzeuf et al.",
        2018,
        "CentralNet: a Multilayer Approach for Multimodal Fusion",
        "1808.07275",
    ),
    "concat": _GMU,
    "concat-mlp": _TOOLKIT,
    "fast-ma": Paper(
        "Cascante-Bonilla et al.",
        2019,
        "Moviescope: Large-scale Analysis of Movies using Multiple Modalities",
        "1908.03180",
    ),
    "gating": _TOOLKIT,
    "gmu": _GMU,
    "linear-sum": _GMU,
    "mixing": _PM_MO,
    "mlp-concat": _TOOLKIT,
    "mmbt": _MMBT,
    "moe": _GMU,
    "mult-concat": Paper(
        "Tsai et al.",
        2019,
        "Multimodal Transformer for Unaligned Multimodal Language Sequences",
        "1906.00295",
    ),
    "mult-gmu": Paper(
        "Rodríguez-Bribiesca et al.",
        2021,
        "Multimodal Weighted Fusion of Transformers for Movie Genre Classification",
    ),
    "swiglu": _SWIGLU,
    "weighted-sum": _TOOLKIT,
}
"""Fusion rule to the paper that it is after; its docstring says what differs."""

MODEL_PAPERS: dict[str, Paper] = {
    "gat": _MM_GATBT,
    "mm-gatbt": _MM_GATBT,
    "mmbt": _MMBT,
    "pm-mo": _PM_MO,
    "refnet": _REFNET,
    "refnet-ms": _REFNET,
    "swiglu": _SWIGLU,
}
"""Model, or preset of settings, to the paper that it is after."""
