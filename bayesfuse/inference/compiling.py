"""Whether draws of the weights are compiled: where that saves more time than it takes."""

from __future__ import annotations

from bayesfuse.inference.fused_laplace import SMALLEST, Kernels, compiled
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.site_guides import LaplaceSiteGuide

WORTH_IT = 4 * 10**9
"""Weights drawn in a training from which compiling saves time.

A compiled step at 1,024 units saved 61 ms on two cores (`benchmarks/compare_step.py`); compiling
takes up to half a minute on a busy machine, and is kept by torch from then on.
"""


def choose_kernels(
    wanted: str, guide: Guide | None, draws: int
) -> tuple[Kernels | None, tuple[str, ...]]:
    """Return the kernels that draw the Laplace sites of a guide, and what the user should know.

    Args:
        wanted: `"on"`, `"off"`, or `"auto"`: on where it is worth it.
        guide: The guide, or None.
        draws: How often it will be drawn.

    Returns:
        None where torch is to draw them; and a sentence if kernels were wanted and cannot be had.
    """
    sites = [] if guide is None else list(guide.site_guides)
    locations = [site.loc for site in sites if isinstance(site, LaplaceSiteGuide)]
    weights = sum(loc.numel() for loc in locations if loc.numel() >= SMALLEST)
    if wanted == "off" or not weights or (wanted == "auto" and draws * weights < WORTH_IT):
        return None, ()
    try:
        return compiled(str(locations[0].device)), ()
    except RuntimeError as error:
        return None, (
            f"Draws of the weights were not compiled, so that training took longer: {error} "
            "Install a C++ compiler such as g++, or give --compile off.",
        )
