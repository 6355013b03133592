"""Whether draws of the weights are compiled: where that saves more time than it takes."""

from __future__ import annotations

from typing import NamedTuple

from bayesfuse.inference import fused_laplace, fused_noise, fused_tied
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.site_guides import LaplaceSiteGuide, TiedLaplaceSiteGuide

WORTH_IT = 4 * 10**9
"""Weights drawn in a training from which compiling saves time.

A compiled step at 1,024 units saved 61 ms on two cores (`benchmarks/compare_step.py`); compiling
takes up to half a minute on a busy machine, and is kept by torch from then on.
"""


class Chosen(NamedTuple):
    """Kernels of a training, and what the user should know.

    Attributes:
        guide: Those that draw the Laplace sites of the guide; None where torch is to draw them.
        noise: Those that make local noise; None where torch is to make it, or there is none.
        notes: A sentence if kernels were wanted and cannot be had.
    """

    guide: fused_laplace.Kernels | fused_tied.TiedKernels | None = None
    noise: fused_noise.NoiseKernels | None = None
    notes: tuple[str, ...] = ()


def choose_kernels(wanted: str, guide: Guide | None, draws: int, noise: str = "weights") -> Chosen:
    """Return the kernels of a training.

    Args:
        wanted: `"on"`, `"off"`, or `"auto"`: on where it is worth it.
        guide: The guide, or None.
        draws: How often it will be drawn.
        noise: Where noise enters (see `bayesfuse.inference.output_noise`).
    """
    kinds = (LaplaceSiteGuide, TiedLaplaceSiteGuide)
    all_sites = [] if guide is None else list(guide.site_guides)
    sites = [site for site in all_sites if isinstance(site, kinds) and site.fusible]
    weights = sum(site.loc.numel() for site in sites)
    if wanted == "off" or not weights or (wanted == "auto" and draws * weights < WORTH_IT):
        return Chosen()
    device = str(sites[0].loc.device)
    tied = isinstance(sites[0], TiedLaplaceSiteGuide)
    try:
        found = (fused_tied if tied else fused_laplace).compiled(device)
        return Chosen(found, fused_noise.compiled(device) if noise == "local" else None)
    except RuntimeError as error:
        told = (
            f"Draws of the weights were not compiled, so that training took longer: {error} "
            "Install a C++ compiler such as g++, or give --compile off."
        )
        return Chosen(notes=(told,))
