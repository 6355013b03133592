"""From settings back to the command line that gives them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesfuse.config.commands import FitConfig
from bayesfuse.errors import ConfigError


def fit_command(
    config: FitConfig, catalog: str | None, out: str | Path, config_file: str | Path
) -> str:
    """Return the `bayesfuse fit` that has these settings, quoted for a shell.

    Settings that are as without the flag are left out. A few that a file can give and no flag can
    (a label with a comma in its name) make it name `config_file` in place of all flags.

    Args:
        config: The settings.
        catalog: The catalogue; None for the embedded demo catalogue.
        out: The run folder to make.
        config_file: A `config.json` that holds the settings.

    Example:
        >>> fit_command(FitConfig(hidden=32, strict=True), "my films.csv", "run", "old/config.json")
        "bayesfuse fit 'my films.csv' --strict --hidden 32 --out run"
    """
    flags = flags_of(config)
    if flags is None:
        flags = ["--config", str(config_file)]
    source = [] if catalog is None else [catalog]
    return shlex.join(["bayesfuse", "fit", *source, *flags, "--out", str(out)])


def flags_of(config: FitConfig) -> list[str] | None:
    """Return the flags that give these settings, as few as there can be; None if none do.

    Example:
        >>> flags_of(FitConfig.resolve({"preset": "pm-mo", "hidden": 128, "modalities": "text"}))
        ['--modalities', 'text', '--hidden', '128', '--preset', 'pm-mo']
    """
    preset = {} if config.preset is None else {"preset": config.preset}
    usual = FitConfig.resolve({**preset, "model": config.model}).model_dump()
    usual |= {"preset": None, "model": FitConfig.resolve(preset).model}
    texts: dict[str, str | bool] = {}
    for name, field in FitConfig.model_fields.items():
        value = getattr(config, name)
        if value != usual[name]:
            texts[name] = value if field.annotation is bool else _written(value)
    try:
        found = FitConfig.resolve(texts)
    except ConfigError:
        return None
    if found != config or not all(texts.values()):  # there is no flag for False
        return None
    flags: list[str] = []
    for name, text in texts.items():
        flags.append(f"--{name.replace('_', '-')}")
        flags += [] if text is True else [str(text)]
    return flags


def _written(value: Any) -> str:
    """Return a value as a user would type it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_one(inner)}" for key, inner in value.items())
    if isinstance(value, tuple):
        return ",".join(map(_one, value))
    return "none" if value is None else _one(value)


def _one(value: Any) -> str:
    """Return one value, or what stands behind the = of a pair: names with +, sizes with x."""
    if isinstance(value, tuple):
        return ("+" if isinstance(value[0], str) else "x").join(map(_one, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
