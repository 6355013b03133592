"""Models of the Hugging Face hub: from the local cache, or downloaded after saying so."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from bayesfuse.errors import ConfigError, MissingExtraError, write_error

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.msgpack", "*.h5")
"""Never downloaded, whatever the patterns: reading them could run a stranger's code."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(
    repo_id: str,
    patterns: Sequence[str],
    *,
    what: str,
    tell: Callable[[str], None],
    revision: str | None = None,
) -> Path:
    """Return the local folder of a repository's files, downloading what is not in the cache.

    The cache is the one that all Hugging Face libraries share. What is in it whole is returned
    without a look at the network. Where it cannot be known to be whole (another library filled it
    file by file), the hub is asked; if it cannot be, the files are taken as they are, and `tell`
    hears of it.

    Args:
        repo_id: The repository, such as `bert-base-uncased`.
        patterns: File names or shell patterns (`*` matches `/` too). If some name safetensors, at
            least one such file must be there. Pickles are left out in any case.
        what: What the repository is, such as "text model", for messages.
        tell: Called before a download with what, how large and from where.
        revision: Branch, tag or commit; the main branch if None.

    Returns:
        The folder. Its name is the commit.

    Raises:
        ConfigError: If there is no such repository, it needs a login, it has no safetensors, or
            it is not in the cache and the hub cannot be reached. The message says what to do.
        StorageError: If the disk is full.
        MissingExtraError: If huggingface-hub is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise MissingExtraError(
            f"A {what} by name needs huggingface-hub; pip install 'bayesfuse[text,image]'."
        ) from error
    repository = _Repository(huggingface_hub, repo_id, tuple(patterns), what)
    try:
        cached, whole = repository.in_cache(revision)
    except HFValidationError as error:
        raise ConfigError(
            f'The {what} "{repo_id}" is no local folder, and no name of a repository can be '
            "like that. Check the path, or give a name such as owner/model."
        ) from error
    if cached is not None and whole:
        return cached
    return repository.download(cached, revision, tell)


class _Repository:
    """One repository and the files of it that are wanted."""

    def __init__(self, hub: Any, repo_id: str, patterns: tuple[str, ...], what: str) -> None:
        self.hub, self.repo_id, self.patterns, self.what = hub, repo_id, patterns, what
        self.allow = {"allow_patterns": list(patterns), "ignore_patterns": list(PICKLES)}
        self.endpoint = hub.HfApi().endpoint

    def in_cache(self, revision: str | None) -> tuple[Path | None, bool]:
        """Return the folder in the cache, if any, and whether it is known to be whole."""
        try:
            found = self.hub.snapshot_download(
                self.repo_id, revision=revision, local_files_only=True, **self.allow
            )
        except FileNotFoundError:  # of which the hub's own kinds of error are kinds
            return None, False
        folder = Path(found)
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        if not self._has_weights(names):
            return None, False
        # Newer versions of the hub's library keep the list of a commit's files, and have just
        # compared the folder with it; without that list a folder may be a part.
        listed = (folder.parents[1] / "trees" / f"{folder.name}.json").is_file()
        return folder, listed

    def download(
        self, cached: Path | None, revision: str | None, tell: Callable[[str], None]
    ) -> Path:
        """Download what is missing, after telling; fall back on the cache if the hub is away."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        wanted = revision if cached is None else cached.name
        try:
            info = self.hub.HfApi().model_info(self.repo_id, revision=wanted, files_metadata=True)
        except Exception as error:  # the network's are of one of three libraries, by the version
            if cached is not None:
                return self._as_it_is(cached, tell)
            if isinstance(error, RepositoryNotFoundError):
                raise self._not_found(error) from error
            if isinstance(error, RevisionNotFoundError):
                raise ConfigError(
                    f'The {self.what} "{self.repo_id}" has no revision "{wanted}" at '
                    f"{self.endpoint}. {self._advice()}"
                ) from error
            raise self._unreachable(error) from error
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if not self._has_weights(list(sizes)):
            pickles = [name for name in sizes if _matches(name, PICKLES)]
            raise ConfigError(
                f'The {self.what} "{self.repo_id}" has no weights as safetensors at '
                f"{self.endpoint}{', only ' + ', '.join(pickles[:3]) if pickles else ''}; "
                "pickles are not downloaded. Take a model that has safetensors, or convert the "
                "weights yourself and give their folder."
            )
        missing = {name: size for name, size in sizes.items() if self._wants(name, info.sha)}
        if missing:
            tell(
                f"Downloading the {self.what} {self.repo_id}: {len(missing)} "
                f"file{'s' if len(missing) > 1 else ''}, {_size(sum(missing.values()))}, "
                f"from {self.endpoint}/{self.repo_id}"
            )
        try:
            with _bars_on_a_terminal_only():
                found = self.hub.snapshot_download(self.repo_id, revision=wanted, **self.allow)
        except Exception as error:
            if (
                isinstance(error, OSError)
                and error.errno
                and not isinstance(error, ConnectionError)
            ):
                raise write_error(
                    _cache_folder(), error, "Make room, or name another folder by HF_HOME."
                ) from error
            raise self._unreachable(error) from error
        return Path(found)

    def _wants(self, name: str, commit: str) -> bool:
        """Return whether a file is among those wanted and not in the cache."""
        if not _matches(name, self.patterns) or _matches(name, PICKLES):
            return False
        return not isinstance(
            self.hub.try_to_load_from_cache(self.repo_id, name, revision=commit), str
        )

    def _has_weights(self, names: Sequence[str]) -> bool:
        weights = [pattern for pattern in self.patterns if pattern.endswith(".safetensors")]
        return not weights or any(_matches(name, weights) for name in names)

    def _as_it_is(self, cached: Path, tell: Callable[[str], None]) -> Path:
        tell(
            f"The {self.what} {self.repo_id} is taken from the local cache as it is: whether all "
            f"of its files are there could not be checked at {self.endpoint}."
        )
        return cached

    def _not_found(self, error: Exception) -> ConfigError:
        from huggingface_hub.errors import GatedRepoError

        page = f"{self.endpoint}/{self.repo_id}"
        if isinstance(error, GatedRepoError):
            return ConfigError(
                f'The {self.what} "{self.repo_id}" is given only to those who accept its terms: '
                f"do so at {page}, then `hf auth login`. {self._advice()}"
            )
        return ConfigError(
            f'Unknown {self.what} "{self.repo_id}": it is no local folder, and {self.endpoint} has '
            f"no such repository (or it is private; then `hf auth login`). Check the name. "
            f"{self._advice()}"
        )

    def _unreachable(self, error: Exception) -> ConfigError:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if "offline mode is enabled" in reason:
            reason = "HF_HUB_OFFLINE is set"
        return ConfigError(
            f'The {self.what} "{self.repo_id}" is not in the local cache, and {self.endpoint} '
            f"cannot be reached ({reason}). {self._advice()}"
        )

    def _advice(self) -> str:
        folder = self.repo_id.rpartition("/")[2]
        return (
            "Where there is a network: hf download "
            f"{self.repo_id} --local-dir {folder}; copy that folder here and give its path in "
            "place of the name. Or take a light encoder, which needs no download: tfidf for "
            "texts, statistics for images."
        )


def commit_of(folder: Path) -> str | None:
    """Return the commit of a folder that `fetch` returned, or None for any other folder."""
    inside = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name)
    return folder.name if inside else None


@contextmanager
def _bars_on_a_terminal_only() -> Iterator[None]:
    """Hide the hub's progress bars where stderr is a pipe, unless the user's environment rules."""
    from huggingface_hub import constants

    utils: Any = import_module("huggingface_hub.utils")
    ruled = constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    if ruled or sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _cache_folder() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _size(count: int) -> str:
    """Return a number of bytes as the hub writes it.

    Example:
        >>> _size(440_449_768), _size(612)
        ('440.4 MB', '0.6 kB')
    """
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
