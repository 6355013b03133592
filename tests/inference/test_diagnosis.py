from __future__ import annotations

import math

import torch

from bayesfuse.inference.diagnosis import diagnosis


def test_it_tells_the_step_and_what_to_try() -> None:
    said = diagnosis(6, 1, math.nan, math.nan, None, None)
    assert said.startswith("The loss is nan at step 7 (epoch 2), in the likelihood, at the site y.")
    assert "Try a lower learning rate" in said


def test_it_names_the_site_whose_guide_is_broken(make_fused) -> None:
    fused = make_fused()
    assert "in the likelihood" in diagnosis(0, 0, math.inf, math.inf, fused.lifted, fused.guide)
    name = "fusion.text.weight"
    with torch.no_grad():
        fused.guide.locations()[name].fill_(torch.nan)
    said = diagnosis(0, 0, math.nan, math.nan, fused.lifted, fused.guide)
    assert f"at the site {name}, whose guide is no longer finite" in said


def test_it_names_the_site_whose_kl_is_broken(make_fused) -> None:
    fused = make_fused()
    site = next(s for s in fused.guide.site_guides if s.site_name == "fusion.image.bias")
    with torch.no_grad():
        for parameter in site.parameters():
            parameter.fill_(-torch.inf)  # a scale of 0
    said = diagnosis(0, 0, math.inf, 1.0, fused.lifted, fused.guide)
    assert "fusion.image.bias" in said
