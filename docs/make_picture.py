"""Draw the README's picture from a run on the demo catalogue: `python docs/make_picture.py RUN`.

Left: four items of the test split with the probabilities and 90 % intervals of their likeliest
tags, beside the true probabilities. Right: predicted against true probability, all test items.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from bayesfuse.config import CatalogConfig
from bayesfuse.data.demo import make_demo
from bayesfuse.estimator.workflow import open_run
from bayesfuse.evaluation.uncertainty import summarise

OUT = Path(__file__).with_name("images") / "demo.png"
NUM_SHOWN = 4
BLUE, ORANGE, GREY = "#2f5d8a", "#d1701f", "#8a8f98"


def main() -> None:
    """Draw and write the picture."""
    run = open_run(Path(sys.argv[1]), "demo", CatalogConfig(), split="test")
    found = summarise(run.classifier.sample_proba(run.catalog.features.take(run.rows)))
    names = list(run.classifier.label_names_)
    demo = make_demo()
    table = demo.truth.pivot_table(index="id", columns="label", values="text_image")
    ids = run.catalog.ids[run.rows].tolist()
    truth = table.loc[ids, names].to_numpy()
    rows = demo.table.set_index("id").loc[ids]
    # the first items with both modalities, from sure to unsure
    complete = [i for i, poster in enumerate(rows["poster"]) if poster and rows["plot"].iloc[i]]
    order = sorted(complete[:60], key=lambda i: found.total[i].sum())
    shown = [order[k] for k in np.linspace(5, len(order) - 1, NUM_SHOWN).astype(int)]

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=[1.45, 1])
    for axis, i in zip(_cells(left), shown, strict=True):
        _item(axis, rows.iloc[i], names, found, truth, i)
    axis = right.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axis.scatter(truth, found.mean, s=6, alpha=0.35, color=BLUE, linewidths=0)
    axis.set(
        xlabel="true probability (known for the demo)",
        ylabel="predicted probability",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    axis.set_title(f"{len(ids)} test items x {len(names)} tags", fontsize=10)
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=110, metadata={"Software": None})
    print(OUT)


def _cells(figure):
    return [
        pair
        for row in figure.subplots(2, 4, width_ratios=[1, 1.9, 1, 1.9])
        for pair in (row[:2], row[2:])
    ]


def _item(axes, row, names, found, truth, i) -> None:
    picture, bars = axes
    picture.imshow(Image.open(io.BytesIO(row["poster"])))
    picture.set_axis_off()
    tags = np.argsort(-found.mean[i])[:4]
    y = np.arange(len(tags))
    low, high = found.quantiles[0.05][i, tags], found.quantiles[0.95][i, tags]
    bars.barh(y, found.mean[i, tags], color=BLUE, alpha=0.35, height=0.6)
    bars.hlines(y, low, high, color=BLUE, linewidth=2.5)
    bars.plot(truth[i, tags], y, "D", color=ORANGE, markersize=4)
    bars.set(xlim=(0, 1), xticks=[0, 0.5, 1], yticks=y, ylim=(len(tags) - 0.5, -0.6))
    bars.set_yticklabels([names[t] for t in tags], fontsize=8)
    bars.tick_params(labelsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    bars.set_title(row["title"], fontsize=8, loc="left")


if __name__ == "__main__":
    main()
