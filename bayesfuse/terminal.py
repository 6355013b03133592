"""What commands share: a flag for each setting, exit codes, warnings, progress bars."""

from __future__ import annotations

import errno
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from bayesfuse.config import DEEP_RULES, ELBOS, Config, FinetuneConfig, FitConfig, GraphConfig
from bayesfuse.errors import BayesfuseError, UserError, plain
from bayesfuse.inference.distributed import is_first, num_started
from bayesfuse.signals import sigterm_as_ctrl_c

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from bayesfuse.encoders.running import Progress
    from bayesfuse.inference.history import Step


def warn(message: str) -> None:
    """Print a warning on stderr, once for all processes."""
    if is_first():
        typer.echo(f"Warning: {plain(message)}", err=True)


def tell(message: str) -> None:
    """Print on stderr what the user should see at once and need not act upon."""
    if is_first():
        typer.echo(plain(message), err=True)


def refuse_to_overwrite(path: Path, advice: str = "Choose another --out.") -> None:
    """Say so before anything is read or computed; what writes the file looks again.

    Raises:
        UserError: If something is there.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} exists already and is left as it is. {advice}")


ALSO = {"class_weights": ("--class-weight",)}
"""Flags that a setting has beside that of its name."""


def options_of(
    config: type[Config], without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each field of a config, in place of its `flags` parameter.

    The command gets `flags`: the fields that were given explicitly, and nothing else, so that a
    file or a preset can fill the rest. Bad values and every error of bayesfuse end the command
    with its message on stderr and its exit code. The fields `without` get no flag.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [p for n, p in inspect.signature(command).parameters.items() if n != "flags"]
        switches = {name for name, field in config.model_fields.items() if field.annotation is bool}
        fields = {
            name: typer.Option(
                f"--{name.replace('_', '-')}",
                *ALSO.get(name, ()),
                help=field.description,
                metavar=None if name in switches else _metavar(field.annotation),
                show_default=False if name in switches else _shown(field.default),
            )
            for name, field in config.model_fields.items()
            if name not in without
        }

        @wraps(command)
        def wrapped(**given: Any) -> None:
            flags = {name: given.pop(name) for name in fields}
            flags = {name: value for name, value in flags.items() if value is not None}
            with errors_to_exit_codes():
                command(**given, flags=flags)

        parameters = [p.replace(annotation=hints[p.name]) for p in own]
        parameters += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[(bool if name in switches else str) | None, option],
            )
            for name, option in fields.items()
        ]
        wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        )
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapped

    return decorate


def _metavar(annotation: Any) -> str:
    """Return what kind of value a field takes, in one word."""
    words = set(re.findall(r"\w+", str(annotation)))
    if "str" in words:
        return "TEXT"
    return "INTEGER" if "int" in words else "NUMBER"


def _shown(default: Any) -> str | bool:
    """Return a default as a user would write it."""
    if default is None:
        return False
    if isinstance(default, Mapping):
        return ",".join(f"{name}={value}" for name, value in default.items())
    return ",".join(default) if isinstance(default, tuple) else f"{default}"


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """Turn errors into a message on stderr and an exit code.

    2 is for what the user can mend, 1 for what failed, 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        with sigterm_as_ctrl_c() as signals:
            yield
    except BayesfuseError as error:
        typer.echo(f"Error{_whose()}: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # whoever reads the pipe has had enough; typer ends quietly
        typer.echo(f"Error{_whose()}: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as error:
        what = "Terminated" if signals else "Interrupted"
        typer.echo(f"{what}; {error if str(error) else 'nothing was written.'}", err=True)
        raise typer.Exit(143 if signals else 130) from None


def _whose() -> str:
    """Return which process tells of an error, if there are several."""
    return f" in process {os.environ['RANK']}" if num_started() > 1 else ""


_ONLY_WITH: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "elbo",
        tuple(name for name in ELBOS if name != "none"),
        (
            *("parts", "prior", "prior_scale", "guide", "rank", "init_loc", "init_scale"),
            *("temperature", "num_particles", "noise", "l1", "l2", "draws", "val_draws"),
            *("learning_rate", "scale_learning_rate", "clip", "compile"),
        ),
    ),
    ("elbo", ("annealed",), ("annealing", "beta_start", "annealing_epochs", "annealing_cycles")),
    ("loss", ("focal",), ("focal_alpha", "focal_gamma")),
    ("class_weights", ("effective",), ("class_weight_beta",)),
    ("annealing", ("cyclical",), ("annealing_cycles",)),
    ("learning_rate_decay", ("plateau",), ("plateau_factor", "plateau_patience")),
    ("guide", ("lowrank", "laplace-tied"), ("rank",)),
    ("classifier", ("maxout",), ("classifier_hidden", "pieces")),
    ("model", ("fusion",), ("fusion",)),
    ("model", ("fusion", "mm-gatbt"), ("hidden",)),
    ("fusion_rule", DEEP_RULES, ("transformer_layers",)),
    ("graph", ("people",), tuple(name for name in GraphConfig.model_fields if name != "graph")),
    ("graph_relations", ("each",), ("graph_query",)),
    ("graph_relations", ("union",), ("graph_edge_bias",)),
)
"""Which setting, at which of its values, some other settings are for."""


def without_effect(settings: FitConfig, given: Mapping[str, Any]) -> list[str]:
    """Return a sentence on settings that were given and change nothing beside the others.

    Example:
        >>> without_effect(FitConfig(guide="normal", rank=4), {"guide": "normal", "rank": 4})
        ['--rank: no effect with --guide normal; for --guide lowrank, laplace-tied only.']
    """
    found = []
    for other, values, names in _ONLY_WITH:
        idle = [f"--{name.replace('_', '-')}" for name in names if name in given]
        got, flag = getattr(settings, other), f"--{other.removesuffix('_rule').replace('_', '-')}"
        if idle and got not in values:
            only = ", ".join(values)
            found.append(f"{', '.join(idle)}: no effect with {flag} {got}; for {flag} {only} only.")
    if settings.joint_model is not None and "text" in (settings.finetune or ()):
        idle = [f"--{n.replace('_', '-')}" for n in ("hidden", "transformer_layers") if n in given]
        if idle:
            found.append(f"{', '.join(idle)}: no effect where the text's own network is trained.")
    found += settings.idle(given)
    if settings.finetune is None:
        idle = [n for n in FinetuneConfig.model_fields if n in given and n != "finetune"]
        if idle:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
            found.append(f"{flags}: no effect without --finetune.")
    return found


class TrainingBar(NamedTuple):
    """What shows a fit as it goes on; None where nothing is shown."""

    on_step: Callable[[Step], None] | None
    on_encoding: Callable[[Progress], None] | None


@contextmanager
def training_progress(epochs: int, members: int = 1) -> Iterator[TrainingBar]:
    """Yield what shows encoding and training steps on stderr, if that is a terminal."""
    with _bar("reading the catalogue") as bar:
        if bar is None:
            yield TrainingBar(None, None)
            return
        progress = bar

        def on_step(step: Step) -> None:
            whose = f"{step.member + 1}/{members}: " if members > 1 else ""
            val = "" if step.val_nll != step.val_nll else f"  val NLL {step.val_nll:.4f}"
            progress.update(
                progress.task_ids[0],
                description=f"{whose}epoch {step.epoch + 1}/{epochs}",
                total=step.total,
                completed=step.done,
                scores=f"NLL {step.nll:.3f}  KL {step.kl:.2f}  β {step.beta:.2f}{val}",
            )

        yield TrainingBar(on_step, _shows_encoding(progress))


class ComparingBar(NamedTuple):
    """What shows a comparison as it goes on; None where nothing is shown."""

    on_fit: Callable[[int, int], None] | None
    on_encoding: Callable[[Progress], None] | None


@contextmanager
def comparing_progress() -> Iterator[ComparingBar]:
    """Yield what shows encoding and then how many fits are done, if stderr is a terminal."""
    with _bar("reading the catalogue") as bar:
        if bar is None:
            yield ComparingBar(None, None)
            return
        progress = bar

        def on_fit(done: int, total: int) -> None:
            progress.update(
                progress.task_ids[0],
                description="comparing",
                total=total,
                completed=done,
                scores=f"{done} of {total} fits",
            )

        yield ComparingBar(on_fit, _shows_encoding(progress))


@contextmanager
def encoding_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Yield what shows how far the encoding is; None when stderr is no terminal."""
    with _bar("reading the catalogue") as bar:
        yield None if bar is None else _shows_encoding(bar)


def _shows_encoding(bar: RichProgress) -> Callable[[Progress], None]:
    """Return what moves a bar along; the time left counts from each modality's start."""
    shown = [""]

    def show(progress: Progress) -> None:
        task = bar.task_ids[0]
        if progress.modality != shown[0]:
            shown[0] = progress.modality
            bar.reset(task)
        bar.update(
            task,
            description=f"encoding {progress.modality}",
            total=progress.total,
            completed=progress.done,
            scores=f"{progress.done:,} of {progress.total:,} ({progress.new:,} new)",
        )

    return show


@contextmanager
def rows_progress(total: int) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows how many of `total` rows are done; None when stderr is no terminal."""
    with _bar("predicting") as bar:
        if bar is None:
            yield None
            return
        progress = bar
        yield lambda done: progress.update(
            progress.task_ids[0], total=total, completed=done, scores=f"{done:,} of {total:,} rows"
        )


@contextmanager
def counting_progress(description: str, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows how many of all are done; None when stderr is no terminal."""
    with _bar(description) as bar:
        if bar is None:
            yield None
            return
        progress = bar
        yield lambda done, total: progress.update(
            progress.task_ids[0],
            total=total,
            completed=done,
            scores=f"{done:,} of {total:,} {what}",
        )


@contextmanager
def _bar(description: str) -> Iterator[RichProgress | None]:
    """Show a bar with one task and its field `scores`, and the time left."""
    if not sys.stderr.isatty() or not is_first():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[scores]}"),
        # the bar gives way in a narrow terminal, not the time
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress.add_task(description, total=None, scores="")
        yield progress
