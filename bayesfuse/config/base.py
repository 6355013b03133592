"""What every config is: a frozen pydantic model that refuses what it does not know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bayesfuse.config.parsing import parse_json, parse_toml
from bayesfuse.errors import ConfigError, did_you_mean, unknown_option


def one_of(what: str, options: tuple[str, ...]) -> AfterValidator:
    """Refuse what is not among the options, and name the nearest one."""

    def check(value: str) -> str:
        if value not in options:
            raise ValueError(unknown_option(what, value, options))
        return value

    return AfterValidator(check)


def names_of(value: Any) -> Any:
    """Read `"text, image"` as a list of names."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def scale_of(what: str, words: Mapping[str, str | None]) -> BeforeValidator:
    """Read a number > 0, one of `words` as what it stands for, or `PATTERN=SCALE,PATTERN=SCALE`."""
    example = "fusion.text.*=0.1,*=0.2" if "none" not in words else "image=3,*=6"

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(pattern): read(scale) for pattern, scale in value.items()}
        pairs = [part.partition("=") for part in value.split(",")] if "=" in str(value) else []
        if pairs and all(pattern.strip() for pattern, _, _ in pairs):
            return {pattern.strip(): read(scale.strip()) for pattern, _, scale in pairs}
        if isinstance(value, str) and value in words:
            return words[value]
        if value is None and None in words.values():
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 < number < math.inf:
            raise ValueError(
                f"{value!r} is no {what}; expected a number > 0, {', '.join(words)}, or "
                f"PATTERN=SCALE,... such as '{example}'.{did_you_mean(str(value), words)}"
            )
        return number

    return BeforeValidator(read)


Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?|mps)$")]
Names = Annotated[tuple[str, ...], BeforeValidator(names_of)]
Positive = Annotated[float, Field(gt=0)]


class Config(BaseModel):
    """Base of every config: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "settings") -> Self:
        """Return the config of these values.

        Args:
            values: Field to value; what is left out has its default.
            source: Where they come from, for the message.

        Raises:
            ConfigError: All mistakes at once: unknown names (with the nearest known one), wrong
                types, values out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            problems = [_sentence(cls, problem) for problem in error.errors()]
            raise ConfigError("\n".join([f"In the {source}:", *problems])) from None
        except UnicodeEncodeError as error:  # of JSON's "\\ud800"
            raise ConfigError(
                f"In the {source}: {error.object!r:.60} holds half a character; write it anew."
            ) from None

    @classmethod
    def read_file(cls, path: Path) -> dict[str, Any]:
        """Return the settings of a TOML file, or of a run's `config.json`, not yet checked.

        Raises:
            ConfigError: If there is no such file, or it is not TOML (JSON, if it ends so).
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"Cannot read the settings {path}: {reason}. Expected a TOML file, or a run's "
                "config.json."
            ) from None
        read = parse_json if path.suffix == ".json" else parse_toml
        try:
            found: Any = read(text)
        except ValueError as error:
            raise ConfigError(f"{path} is not valid: {error}.") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{path} holds a {type(found).__name__}; expected settings by name.")
        return {name.replace("-", "_"): value for name, value in found.items()}


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "finite": "a finite number",
    "string_pattern_mismatch": "auto, cpu, cuda, cuda:N or mps",  # the one pattern is a device's
    "string": "text",
    "tuple": "names, separated by commas",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}
"""What pydantic's mistakes (or their first word) expect, in the words of who types a flag."""


def _sentence(cls: type[BaseModel], problem: Any) -> str:
    kind = str(problem["type"])
    if not problem["loc"]:  # of several settings together
        return f"  - {str(problem['msg']).removeprefix('Value error, ')}"
    name = str(problem["loc"][0])
    if kind == "extra_forbidden":
        return f'  - unknown setting "{name}".{did_you_mean(name, cls.model_fields)}'
    flag = f"  - --{name.replace('_', '-')}: "
    if kind == "value_error":
        return flag + str(problem["msg"]).removeprefix("Value error, ")
    expected = _EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0], "another kind of value")
    expected = expected.format(**problem.get("ctx", {}))
    return f"{flag}expected {expected}; got {_short(problem['input'])}."


def _short(value: Any) -> str:
    """Return a value as it is written, cut short where it is long."""
    told = repr(value)
    return told if len(told) <= 200 else f"{told[:200]}..."
