"""The tables of papers that `bayesfuse reproduce` makes again, with their published numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesfuse.estimator.reproducing.published import PaperRow, PaperTables, scores_of
from bayesfuse.models.papers import FUSION_PAPERS, MODEL_PAPERS

_F1 = ("micro_f1", "macro_f1", "weighted_f1", "samples_f1")
_AP = ("micro_ap", "macro_ap", "samples_ap")
_NONE = {"elbo": "none"}


def _pm_mo() -> PaperTables:
    def row(name: str, table: str, *values: float, **settings: Any) -> PaperRow:
        hidden = {"hidden": settings.pop("hidden")} if "hidden" in settings else {}
        scores = scores_of(_F1, *values)
        return PaperRow(name, table, scores, model="pm-mo", settings=hidden, fixed=settings)

    gmu = {"dropout": 0.7, "classifier_learning_rate": 0.001, "batch_size": 512}
    baseline = PaperRow(
        "GMU baseline",
        "1",
        scores_of(_F1, 0.618, 0.528, 0.608, 0.617),
        model="gmu",
        settings=gmu,
        fixed=_NONE,
    )
    v1, v2 = "trace", "rao-blackwell"
    return PaperTables(
        MODEL_PAPERS["pm-mo"],
        "tables 1 and 2",
        "MM-IMDb",
        "test",
        _F1,
        (
            row("PM+MO (λKL+L2)", "1, 2", 0.620, 0.549, 0.617, 0.620),
            row("PM+MO (λKL+L2+1024)", "1", 0.602, 0.524, 0.599, 0.607, hidden=1024),
            baseline,
            row("PM+MO (λKL+L1)", "2", 0.612, 0.545, 0.613, 0.611, l1=0.1, l2=0.0),
            row("PM+MO (λKL)", "2", 0.612, 0.544, 0.611, 0.612, l2=0.0),
            row("PM+MO (ELBOv2+L2)", "2", 0.618, 0.543, 0.614, 0.619, elbo=v2),
            row("PM+MO (ELBOv2)", "2", 0.615, 0.541, 0.611, 0.616, elbo=v2, l2=0.0),
            row("PM+MO (ELBOv1+L2)", "2", 0.617, 0.544, 0.614, 0.618, elbo=v1),
            row("PM+MO (ELBOv1)", "2", 0.612, 0.543, 0.609, 0.613, elbo=v1, l2=0.0),
            row("M+MO (minus VI)", "2", 0.611, 0.529, 0.602, 0.611, elbo="none"),
        ),
        (
            "The paper's features are word2vec of the plot and VGG16 of the poster, those of "
            "`bayesfuse data mmimdb multimodal_imdb.hdf5`.",
            "The paper tells neither the width of its GMU baseline nor the bound of its max-norm.",
        ),
    )


def _others() -> tuple[PaperRow, ...]:
    """Return the rows of table 1 of Seo et al. 2022, which the report of 2025 copies."""

    def row(name: str, model: str | None, *values: float | None, **more: Any) -> PaperRow:
        return PaperRow(name, "1", scores_of(_F1, *values), model=model, fixed=_NONE, **more)

    return (
        row("EfficientNet", "image", 0.395, 0.314, 0.457, 0.394),
        row("BERT", "text", 0.645, 0.587, 0.645, 0.647),
        row("GMU", "gmu", 0.630, 0.541, 0.617, 0.630),
        row("CentralNet", "centralnet", 0.639, 0.561, 0.631, 0.639),
        # of the two columns more, the text of the paper does not tell which of these three have any
        row("MMBT", "bitransformer", 0.669, 0.618, None, None),
        row("MFM", None, 0.675, 0.616, None, None, absent="there is no model of that kind here"),
        row("ReFNet", "refnet", 0.680, 0.587, None, None),
        row("GAT w/ EfficientNet", "gat", 0.500, 0.394, 0.506, 0.496),
        row("MM-GATBT", "mm-gatbt-preset", 0.685, 0.645, 0.683, 0.686),
    )


def _mm_gatbt() -> PaperTables:
    return PaperTables(
        MODEL_PAPERS["mm-gatbt"],
        "table 1",
        "MM-IMDb",
        "test",
        _F1,
        _others(),
        (
            "Here encoders are frozen and transformers light; the paper trains BERT end to end.",
            "The authors' code chooses the epoch by F1 on test; here val chooses.",
            "The rows GMU to ReFNet are what the paper quotes from others.",
        ),
    )


def _swiglu() -> PaperTables:
    own = PaperRow(
        "Multimodal Classifier (SwiGLU)",
        "1",
        scores_of(_F1, 0.639, 0.523, None, None),
        model="swiglu-preset",
        fixed=_NONE,
    )
    return PaperTables(
        FUSION_PAPERS["swiglu"],
        "table 1",
        "MM-IMDb",
        "test",
        _F1,
        (own, *_others()),
        (
            "Its own row is of 2,333 movies split off train, which chose its epoch, too, and of 26 "
            "genres; all other rows are Seo et al.'s, which it quotes, of test and 23 genres.",
            "Here encoders are frozen; the report trains the last blocks of ResNet50 and BERT.",
        ),
    )


def _refnet() -> PaperTables:
    names = ("macro_f1", "micro_f1")

    def row(name: str, table: str, *values: float, labelled: float = 1.0, **more: Any) -> PaperRow:
        spreads = scores_of(names, *more.pop("spreads", (None, None)))
        scores = scores_of(names, *values)
        return PaperRow(name, table, scores, spreads, labelled=labelled, **more)

    no_model = "it is a pretraining of ViLBERT, which is not here"
    base: Mapping[str, Any] = {"model": "refnet", "fixed": {**_NONE, "refiner": None}}
    refined: Mapping[str, Any] = {"model": "refnet", "fixed": _NONE}
    similar: Mapping[str, Any] = {"model": "refnet-ms", "fixed": _NONE}
    rows = [
        row("ViLBERT", "1", 0.5848, 0.6677, spreads=(0.0025, 0.0014), **base),
        row("ViLBERT-VQA2", "1", 0.5770, 0.6642, absent=no_model),
        row("ViLBERT-COCO", "1", 0.5772, 0.6563, absent=no_model),
        row("ViLBERT-cc small", "1", 0.5820, 0.6670, absent=no_model),
        row("ReFNet", "1", 0.5875, 0.6702, spreads=(0.0007, 0.0015), **refined),
        row("ReFNet_MS", "1", 0.5896, 0.6731, spreads=(0.0009, 0.0019), **similar),
    ]
    fractions = {
        0.05: ((0.3406, 0.5662), (0.4589, 0.6065), (0.4783, 0.6313)),
        0.10: ((0.4673, 0.6265), (0.4870, 0.6341), (0.5173, 0.6431)),
        0.20: ((0.5608, 0.6575), (0.5643, 0.6624), (0.5712, 0.6663)),
    }
    kinds = (("baseline", base), ("ReFNet", refined), ("ReFNet_MS", similar))
    for share, values in fractions.items():
        for (name, how), published in zip(kinds, values, strict=True):
            before = {} if name == "baseline" else {"settings": {"pretrain_fusion": 30}}
            told = f"{name}, {share:.0%} labelled"
            rows.append(row(told, "3", *published, labelled=share, **{**how, **before}))
    return PaperTables(
        MODEL_PAPERS["refnet"],
        "tables 1 and 3",
        "MM-IMDb",
        "test",
        names,
        tuple(rows),
        (
            "The paper's refiner sits on a fine-tuned ViLBERT; here it sits on frozen features, "
            "which a linear sum joins: the row ViLBERT is that sum without a refiner.",
            "The paper speaks of 24 genres.",
            "With a part of the labels, the refiner first learns from all items without labels, "
            "for 30 epochs: the paper tells no number.",
        ),
    )


_LETTERS = {"V": "video", "A": "audio", "P": "image", "T": "text", "M": "tabular"}


def _mult_gmu() -> PaperTables:
    def row(model: str, letters: str, table: str, *values: tuple[float, float]) -> PaperRow:
        called = {"fast-ma": "Fast-MA", "mult-concat": "MulT-Concat", "mult-gmu": "MulT-GMU"}
        scores = {name: mean for name, (mean, _) in zip(_AP, values, strict=True)}
        spreads = {name: sd for name, (_, sd) in zip(_AP, values, strict=True) if sd > 0}
        joined = tuple(_LETTERS[letter] for letter in letters)
        name = f"{called[model]}, {letters}"
        return PaperRow(name, table, scores, spreads, model=model, fixed=_NONE, modalities=joined)

    fast = {
        "VA": (0.703, 0.615, 0.788),
        "VAP": (0.704, 0.617, 0.788),
        "TVAP": (0.749, 0.675, 0.823),
        "TVAPM": (0.753, 0.686, 0.825),
    }
    concat = {
        "VA": ((0.592, 0.003), (0.531, 0.005), (0.711, 0.007)),
        "VAP": ((0.631, 0.005), (0.543, 0.005), (0.739, 0.005)),
        "TVAP": ((0.789, 0.003), (0.757, 0.005), (0.856, 0.003)),
        "TVAPM": ((0.648, 0.058), (0.613, 0.072), (0.769, 0.040)),
        "TV": ((0.775, 0.005), (0.735, 0.002), (0.844, 0.002)),
        "TA": ((0.762, 0.007), (0.724, 0.008), (0.840, 0.005)),
        "TVA": ((0.772, 0.007), (0.748, 0.004), (0.842, 0.005)),
        "TVP": ((0.784, 0.005), (0.751, 0.004), (0.851, 0.005)),
        "TVPM": ((0.461, 0.110), (0.432, 0.107), (0.628, 0.088)),
    }
    gmu = {
        "VA": ((0.589, 0.007), (0.525, 0.006), (0.706, 0.006)),
        "VAP": ((0.641, 0.009), (0.550, 0.007), (0.745, 0.005)),
        "TVAP": ((0.798, 0.004), (0.760, 0.009), (0.861, 0.003)),
        "TVAPM": ((0.795, 0.005), (0.764, 0.003), (0.856, 0.003)),
        "TV": ((0.769, 0.003), (0.732, 0.002), (0.842, 0.004)),
        "TA": ((0.763, 0.004), (0.711, 0.004), (0.841, 0.002)),
        "TVA": ((0.782, 0.005), (0.749, 0.005), (0.850, 0.003)),
        "TVP": ((0.789, 0.001), (0.752, 0.004), (0.857, 0.003)),
        "TVPM": ((0.791, 0.003), (0.754, 0.002), (0.854, 0.004)),
    }
    rows = []
    for letters in concat:
        table = "1" if letters in fast else "2"
        if letters in fast:
            plain = [(value, 0.0) for value in fast[letters]]
            rows.append(row("fast-ma", letters, table, *plain))
        rows.append(row("mult-concat", letters, table, *concat[letters]))
        rows.append(row("mult-gmu", letters, table, *gmu[letters]))
    for model, name in (
        ("fast-ma", "Fast-MA"),
        ("mult-concat", "MulT-Concat"),
        ("mult-gmu", "MulT-GMU"),
    ):
        rows.append(PaperRow(f"{name}, all of the catalogue", "", {}, model=model, fixed=_NONE))
    return PaperTables(
        FUSION_PAPERS["mult-gmu"],
        "tables 1 and 2",
        "Moviescope",
        "test",
        _AP,
        tuple(rows),
        (
            "V is the modality `video`, A `audio`, P `image`, T `text` and M `tabular`.",
            "Fast-MA is what the paper quotes; its rows here are fast-ma.",
        ),
    )


PAPERS: dict[str, PaperTables] = {
    "mm-gatbt": _mm_gatbt(),
    "mult-gmu": _mult_gmu(),
    "pm-mo": _pm_mo(),
    "refnet": _refnet(),
    "swiglu": _swiglu(),
}
"""Name of a paper's model to the paper's tables."""
