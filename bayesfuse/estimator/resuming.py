"""Fits that can be stopped: with a checkpoint after every epoch, and going on from the last one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError, RunFolderError, TrainingError
from bayesfuse.estimator.checkpoints import Checkpoints
from bayesfuse.estimator.run_folder import check_new_folder
from bayesfuse.estimator.unfinished import FILE, Told, Unfinished, held, remove, unfinished_folder
from bayesfuse.estimator.workflow import Fit, fit_run
from bayesfuse.inference.distributed import from_first, is_first

FREE = ("device", "encoded", "strict", "workers")
"""Settings that may change when a fit goes on: they say where and how, not what."""


def fit_with_checkpoints(
    source: str | None, out: Path, config: FitConfig, *, every: int = 1, **hooks: Any
) -> Fit:
    """Do what `bayesfuse.estimator.workflow.fit_run` does, so that it can be gone on with.

    While it runs, nobody else can fit into `out`.

    Args:
        source: The catalogue; None for the embedded demo catalogue.
        out: The run folder to make.
        config: All settings.
        every: Epochs from one checkpoint to the next; 0 for none.
        hooks: What `fit_run` takes.

    Raises:
        RunFolderError: If there is a run, or one that is not finished.
        LockedError: If another process is fitting it.
        KeyboardInterrupt: If the user interrupts before there is a model.
        BayesfuseError: Whatever is wrong with the catalogue, the settings or the training.
    """
    check_new_folder(out)
    if not is_first():
        return _follow(out, every, hooks)
    # torchrun starts the processes again, with the same command, if one of them has failed
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) and _is_begun(out):
        return resume(out, source, every=every, **hooks)
    with held(out) as folder:
        if Checkpoints.any_in(folder):
            raise RunFolderError(
                f"{folder} holds a fit into {out} that was not finished. Go on with "
                f"`{_command(out)}`, or remove that folder, or choose another --out."
            )
        check_new_folder(out)  # another fit may have ended while this one waited for the lock
        told = Told(config, source and _lasting(source))
        return _go_on(told, source, out, folder, every, replaces=False, hooks=hooks)


def settings_of(run: Path) -> FitConfig:
    """Return the settings of a fit that can be gone on with.

    Raises:
        RunFolderError: If there is none.
    """
    return _told_of(_named(run)).config


def resume(
    run: Path,
    source: str | None = None,
    given: Mapping[str, Any] | None = None,
    *,
    every: int = 1,
    **hooks: Any,
) -> Fit:
    """Go on with a fit that was killed, or interrupted, to the numbers it would have come to.

    On the CPU they are equal bit for bit. Settings are those of the fit.

    Args:
        run: The run folder that was to be made.
        source: Where its catalogue is now; where it was if None.
        given: Settings that are given again: they must be those of the fit, but for `FREE`.
        every: Epochs from one checkpoint to the next; 0 for none.
        hooks: What `fit_run` takes.

    Raises:
        RunFolderError: If there is no such fit, its checkpoint cannot be read, is of another
            version or of other items, or the run is finished.
        ConfigError: If a setting is another one.
        LockedError: If another process is fitting it.
    """
    run = _named(run)
    if not is_first():
        return _follow(run, every, hooks)
    _told_of(run)  # before anything is made
    with held(run) as folder:
        _settle(run, folder)
        interrupted = run.is_dir()
        told = _told_of(run)
        source = source or told.catalog
        told = Told(_checked(told.config, given or {}, run), source and _lasting(source))
        if interrupted and not Checkpoints.any_in(folder):
            Checkpoints(run).copy_to(folder)
        return _go_on(told, source, run, folder, every, replaces=interrupted, hooks=hooks)


def _named(run: Path) -> Path:
    return run.with_name(run.name.removesuffix(".partial"))


def _told_of(run: Path) -> Told:
    """Return how a fit was begun that is not finished."""
    for folder in (unfinished_folder(run), run):
        if (folder / FILE).is_file():
            return Told.read(folder)
    if run.is_dir():
        raise RunFolderError(f"{run} is finished: there is nothing to go on with.")
    raise RunFolderError(
        f"There is no fit to go on with: neither {unfinished_folder(run)} nor {run} is there. Fit "
        f"anew: `bayesfuse fit CATALOG --out {run}`."
    )


def _settle(run: Path, folder: Path) -> None:
    """Put back what a kill has left between two names, and refuse a run that is finished."""
    if (folder / "before").is_dir() and not run.exists():
        os.rename(folder / "before", run)
    if run.is_dir() and not Checkpoints.any_in(run):
        remove(folder)
        raise RunFolderError(f"{run} is finished: there is nothing to go on with.")


def _go_on(
    told: Told,
    source: str | None,
    out: Path,
    folder: Path,
    every: int,
    *,
    replaces: bool,
    hooks: dict[str, Any],
) -> Fit:
    """Fit, keep checkpoints in a folder that is held, and remove it once the run is there."""
    warn: Callable[[str], None] = hooks.get("on_warning") or (lambda _: None)
    told.write(folder)
    wanted = every > 0 or Checkpoints.any_in(folder)
    from_first((told.config, source, wanted, replaces))
    checkpoints = Checkpoints(folder, every, warn) if wanted else None
    unfinished = Unfinished(folder, checkpoints, replaces)
    try:
        done = fit_run(source, out, told.config, **hooks, unfinished=unfinished)
    except KeyboardInterrupt as error:
        if Checkpoints.any_in(folder):
            raise KeyboardInterrupt(f"`{_command(out)}` goes on.") from error
        raise
    except TrainingError:
        if not replaces:
            remove(folder)  # it would come to the same
        raise
    remove(folder)
    return done


def _follow(out: Path, every: int, hooks: dict[str, Any]) -> Fit:
    """Do what the first process does, which alone reads and writes the folder."""
    nothing: Any = None
    config, source, wanted, replaces = from_first(nothing)
    folder = unfinished_folder(out)
    checkpoints = Checkpoints(folder, every) if wanted else None
    return fit_run(
        source, out, config, **hooks, unfinished=Unfinished(folder, checkpoints, replaces)
    )


def _is_begun(out: Path) -> bool:
    """Return whether there is a fit to go on with."""
    return Checkpoints.any_in(unfinished_folder(out))


def _checked(config: FitConfig, given: Mapping[str, Any], run: Path) -> FitConfig:
    """Return the settings of a fit, with what may be given anew.

    Raises:
        ConfigError: If another setting is given.
    """
    if not given:
        return config
    asked = FitConfig.resolve(given)
    other = [n for n in given if n not in FREE and getattr(asked, n) != getattr(config, n)]
    if other:
        told = [
            f"--{name.replace('_', '-')}: {getattr(asked, name)!r}; the fit has "
            f"{getattr(config, name)!r}"
            for name in other
        ]
        raise ConfigError(
            f"{run} is gone on with as it was begun, and these settings are others:\n  - "
            + "\n  - ".join(told)
            + "\nLeave them out, or fit into another --out."
        )
    return config.model_copy(update={n: getattr(asked, n) for n in FREE if n in given})


def _lasting(source: str) -> str:
    """Return a catalogue's name that does not depend on the working directory."""
    return os.path.abspath(source) if os.path.lexists(source) else source


def _command(run: Path) -> str:
    return f"bayesfuse fit --resume {run}"
