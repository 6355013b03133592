"""The command that makes a small model of a run: `bayesfuse distill`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesfuse.cli_open import CatalogArgument, JsonOption, RunArgument
from bayesfuse.config import CatalogConfig, DistillConfig
from bayesfuse.terminal import (
    counting_progress,
    encoding_progress,
    options_of,
    refuse_to_overwrite,
    tell,
    warn,
)


@options_of(DistillConfig)
def distill(
    run: RunArgument,
    catalog: CatalogArgument = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")] = Path("student"),
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write student.onnx, too, and hold it against torch.")
    ] = False,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Teach a small deterministic model what a run's draws say: how likely, and how sure."""
    settings = DistillConfig.parse(flags, "flags")
    for warning in settings.without_effect(flags):
        warn(warning)
    refuse_to_overwrite(out)
    from bayesfuse.estimator.distilled import distil_run
    from bayesfuse.estimator.workflow import open_run

    with encoding_progress() as on_encoding:
        opened = open_run(
            run,
            catalog,
            CatalogConfig.parse({}),
            split=None,
            device=settings.device,
            on_encoding=on_encoding,
            on_warning=warn,
            tell=tell,
        )
    if opened.config.elbo == "none":
        warn("the run has no posterior (--elbo none): no uncertainty of it is epistemic.")
    with counting_progress("Distilling", "epochs") as on_count:

        def on_epoch(epoch: int) -> None:
            if on_count is not None:
                on_count(epoch, settings.epochs)

        done = distil_run(opened, str(run), out, settings, onnx=onnx, on_epoch=on_epoch)
    if settings.view_weights == "learned":
        warn("--view-weights learned: val had a part in training, so its scores flatter.")
    if as_json:
        typer.echo(json.dumps(done.to_dict()))
        return
    typer.echo(f"val of {opened.catalog.source}\n\n{done}\n")
    if done.onnx_difference is not None:
        typer.echo(f"student.onnx says the same, to {done.onnx_difference:.1g}.")
    typer.echo(f"{done.path}: epoch {done.best_epoch} of {settings.epochs}, {done.seconds:.0f} s")
