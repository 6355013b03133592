"""The folder of a text model: where its weights lie, and what it says of how it is to be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesfuse.config.parsing import parse_json
from bayesfuse.errors import ConfigError

PATTERNS = (
    "*.json",
    "*.txt",
    "*.model",
    "model.safetensors",
    "model-*.safetensors",
    "0_Transformer/model.safetensors",
    "0_Transformer/model-*.safetensors",
)
"""The files of a repository that a text model can need."""

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
_LENGTH_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class TextFolder:
    """A text model's folder.

    Attributes:
        path: Where the network and its tokenizer are.
        pooling: What the folder asks for, `cls`, `max` or `mean`; None if it does not say, or asks
            for what is none of these, as `unknown_pooling` then says.
        unknown_pooling: A pooling that we do not have, or an empty string.
        max_length: Tokens at once, or None if it does not say.
        normalise: Whether vectors are scaled to length 1.
        lower_case: Whether texts are lowered before they reach the tokenizer.
    """

    path: Path
    pooling: str | None = None
    unknown_pooling: str = ""
    max_length: int | None = None
    normalise: bool = False
    lower_case: bool = False

    def weight_files(self) -> list[Path]:
        """Return the files of weights: safetensors if there are any, else a state dict.

        Raises:
            ConfigError: If there are none, or a part of them is missing.
        """
        index = self.path / "model.safetensors.index.json"
        if (self.path / "model.safetensors").is_file():
            return [self.path / "model.safetensors"]
        if index.is_file():
            files = sorted({self.path / name for name in _json(index)["weight_map"].values()})
            missing = [file.name for file in files if not file.is_file()]
            if missing:
                raise ConfigError(f"{self.path}: the weights lack {', '.join(missing)}.")
            return files
        if (self.path / "pytorch_model.bin").is_file():
            return [self.path / "pytorch_model.bin"]
        raise ConfigError(
            f"{self.path} has no weights: expected model.safetensors, or a state dict in "
            "pytorch_model.bin."
        )

    def has_tokenizer(self) -> bool:
        """Return whether there is a file that says what the tokens are."""
        names = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
        return any(any(self.path.glob(name)) for name in names)

    def weights_hash(self) -> str:
        """Return the SHA-256 of what the files of weights hold, in hexadecimal."""
        return _hash(self.weight_files())

    def files_hash(self) -> str:
        """Return the SHA-256 of the network's configuration and of the tokenizer's files."""
        found = {file for name in _TOKENIZER_FILES for file in self.path.glob(name)}
        return _hash([self.path / "config.json", *sorted(found)])


def read_text_folder(folder: Path) -> TextFolder:
    """Read what a folder of transformers or of sentence-transformers says.

    Args:
        folder: It has a `config.json`, or a `modules.json` which names the folder that does.

    Raises:
        ConfigError: If it has neither, or it asks for what we do not do.
    """
    listed = folder / "modules.json"
    found = _read_modules(folder, _json(listed)) if listed.is_file() else TextFolder(folder)
    if not (found.path / "config.json").is_file():
        raise ConfigError(
            f"{folder} is no text model's folder: there is no config.json in {found.path}. "
            "Expected what save_pretrained of transformers, or save of sentence-transformers, "
            "writes."
        )
    return found


def _read_modules(folder: Path, modules: Any) -> TextFolder:
    """Read the steps of a sentence-transformers folder."""
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    paths = [folder / module["path"] for module in modules]
    for kind in kinds:
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise ConfigError(
                f"{folder}: modules.json has a {kind} step, which is not supported; expected "
                "Transformer, Pooling and perhaps Normalize. Take another model, or encode with "
                "sentence-transformers and give the vectors as features."
            )
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ConfigError(
            f"{folder}: modules.json has the steps {', '.join(kinds) or 'none'}; expected "
            "Transformer, Pooling and perhaps Normalize."
        )
    settings = _json(folder / "config_sentence_transformers.json")
    if settings.get("default_prompt_name"):
        raise ConfigError(
            f"{folder}: texts are to be preceded by the prompt "
            f'"{settings["default_prompt_name"]}", which is not supported. Put the prompt into '
            "the texts and take default_prompt_name out of config_sentence_transformers.json."
        )
    pooling = _pooling(_json(paths[1] / "config.json"))
    ours = pooling in ("cls", "max", "mean")
    of_texts: dict[str, Any] = {}
    for name in reversed(_LENGTH_FILES):
        of_texts = _json(paths[0] / name) or of_texts
    return TextFolder(
        path=paths[0],
        pooling=pooling if ours else None,
        unknown_pooling="" if ours else pooling,
        max_length=of_texts.get("max_seq_length"),
        normalise=len(kinds) == 3,
        lower_case=bool(of_texts.get("do_lower_case", False)),
    )


def _pooling(config: dict[str, Any]) -> str:
    """Return the pooling of either way of writing it, several joined by +."""
    if "pooling_mode" not in config:
        return "+".join(name for key, name in _POOLING.items() if config.get(key)) or "mean"
    mode = config["pooling_mode"]
    return mode if isinstance(mode, str) else "+".join(mode)


def _json(file: Path) -> Any:
    """Return what a JSON file says; nothing where there is none."""
    try:
        return parse_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}.") from error


def _hash(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the files' names and content, in this order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(f"{file.name} {file.stat().st_size}\0".encode())
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
