"""Encoders by name: our own, those of other packages, and models of transformers and timm.

Another package adds an encoder by an entry point of the group `bayesfuse.encoders` that names its
class; see the page on encoders of your own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from bayesfuse.encoders.base import Encoder, Kind, Setting
from bayesfuse.errors import ConfigError, did_you_mean, unknown_option

GROUP = "bayesfuse.encoders"

_OWN: dict[str, tuple[Kind, str, str]] = {
    "tfidf": ("text", "bayesfuse.encoders.tfidf", "TfidfEncoder"),
    "transformers": ("text", "bayesfuse.encoders.text", "TransformersEncoder"),
    "statistics": ("image", "bayesfuse.encoders.statistics", "StatisticsEncoder"),
    "timm": ("image", "bayesfuse.encoders.image", "TimmEncoder"),
    "tabular": ("table", "bayesfuse.encoders.tabular", "TabularEncoder"),
}
_INNER = {
    "sequence": ("", "bayesfuse.encoders.sequence", "SequenceEncoder"),
    "tokens": ("text", "bayesfuse.encoders.tokens", "TokensEncoder"),
}
"""Encoders that a run folder may hold and nobody names."""

_BY_MODEL: dict[Kind, str] = {"text": "transformers", "image": "timm"}
_DEFAULT: dict[Kind, str] = {"text": "transformers", "image": "timm", "table": "tabular"}


@dataclass(frozen=True)
class EncoderSpec:
    """Which encoder, with which settings; what is left out has its default.

    Attributes:
        name: Its registered name.
        settings: Keywords of its constructor.
    """

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def with_settings(self, settings: Mapping[str, Setting]) -> EncoderSpec:
        """Return it with these settings besides, or in place of its own."""
        return EncoderSpec(self.name, {**self.settings, **settings})


def encoder_names(kind: Kind | None = None) -> list[str]:
    """Return the registered names for a kind of cells, and all that other packages add."""
    own = [name for name, (reads, _, _) in _OWN.items() if kind in (None, reads)]
    return own + [name for name in _plugins() if name not in own]


def default_spec(kind: Kind) -> EncoderSpec:
    """Return the encoder of raw cells for which none is named."""
    return EncoderSpec(_DEFAULT[kind])


def parse_spec(text: str, kind: Kind) -> EncoderSpec:
    """Read what a user calls an encoder.

    Args:
        text: A registered name; `transformers:MODEL` or `timm:MODEL`; or a model by itself, which
            transformers (for texts) or timm (for images) knows by its name or folder.
        kind: What the cells are.

    Returns:
        The specification.

    Raises:
        ConfigError: If it can be none of these; a model's name is not looked up yet.

    Example:
        >>> parse_spec("bert-base-uncased", "text")
        EncoderSpec(name='transformers', settings={'model': 'bert-base-uncased'})
        >>> parse_spec("tfidf", "text")
        EncoderSpec(name='tfidf', settings={})
    """
    known = encoder_names(kind)
    if text in known:
        return EncoderSpec(text)
    family, colon, model = text.partition(":")
    if colon and family == _BY_MODEL.get(kind) and model:
        return EncoderSpec(family, {"model": model})
    near = did_you_mean(text, known) or (text in encoder_names())
    if kind not in _BY_MODEL or near or not text.strip():
        hint = f" For a model of that name: {_BY_MODEL[kind]}:{text}." if kind in _BY_MODEL else ""
        raise ConfigError(unknown_option(f"{kind} encoder", text, known) + hint)
    return EncoderSpec(_BY_MODEL[kind], {"model": text})


def encoder_class(name: str) -> type[Encoder]:
    """Return the class of a registered encoder.

    Raises:
        ConfigError: If there is none of this name, or another package's cannot be loaded.
    """
    if name in _OWN or name in _INNER:
        _, module, attribute = {**_OWN, **_INNER}[name]
        found: type[Encoder] = getattr(import_module(module), attribute)
        return found
    plugins = _plugins()
    if name not in plugins:
        raise ConfigError(unknown_option("encoder", name, encoder_names()))
    entry = plugins[name]
    try:
        loaded = entry.load()
    except Exception as error:  # whatever another package does when it is imported
        raise ConfigError(
            f'The encoder "{name}" ({entry.value}) cannot be loaded: {error!r}.'
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Encoder)) or inspect.isabstract(loaded):
        raise ConfigError(
            f'The encoder "{name}" ({entry.value}) is no complete subclass of '
            "bayesfuse.encoders.base.Encoder."
        )
    return loaded


def make_encoder(name: str, kind: Kind, settings: Mapping[str, Setting] | None = None) -> Encoder:
    """Return a new encoder, to be fitted.

    Args:
        name: A registered name.
        kind: What the cells are.
        settings: Keywords of its constructor; and `keep_sequence`, whether steps are kept in place
            of one vector, then with the `grid` of a picture (see
            `bayesfuse.encoders.sequence.SequenceEncoder`).

    Raises:
        ConfigError: If there is no encoder of this name for this kind of cells, or it has no such
            setting.

    Example:
        >>> make_encoder("tfidf", "text", {"width": 64}).width
        64
    """
    names = encoder_names(kind)
    if name not in names:
        raise ConfigError(unknown_option(f"{kind} encoder", name, names))
    made = encoder_class(name)
    if made.kind != kind:
        raise ConfigError(f'The encoder "{name}" reads {made.kind} cells, not {kind} cells.')
    given = dict(settings or {})
    kept, grid = given.pop("keep_sequence", False), given.pop("grid", None)
    if not isinstance(kept, bool):
        raise ConfigError(f"keep_sequence is {kept!r}; expected true or false.")
    if grid is not None and not kept:
        raise ConfigError("grid (--image-grid): no effect without --keep-sequence image.")
    known = [key for key in inspect.signature(made.__init__).parameters if key != "self"]
    unknown = [key for key in given if key not in known]
    if unknown:
        problems = [unknown_option(f"setting of the encoder {name}", key, known) for key in unknown]
        raise ConfigError(" ".join(problems))
    try:
        if kept:
            from bayesfuse.encoders.sequence import SequenceEncoder

            return SequenceEncoder.around(made, given, grid)
        return made(**given)
    except TypeError as error:
        raise ConfigError(f"The encoder {name} does not take these settings: {error}.") from error


@cache
def _plugins() -> dict[str, EntryPoint]:
    """Return the encoders of other packages; our own names are not theirs to take."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _OWN}
