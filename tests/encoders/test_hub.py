"""Models of the hub: what is told, what is downloaded, the cache, and what to do without either."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bayesfuse.encoders.hub import commit_of, fetch
from bayesfuse.errors import ConfigError, MissingExtraError, StorageError

FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": bytes(1_500_000),
    "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "README.md": b"# a model",
}
PATTERNS = ("*.json", "model.safetensors")
WANTED = {"config.json", "model.safetensors", "1_Pooling/config.json"}


def _fetch(repo_id, told=None, **settings):
    told = [] if told is None else told
    settings = {"patterns": PATTERNS, "what": "text model", "tell": told.append, **settings}
    return fetch(repo_id, **settings)


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_how_large_and_from_where_is_told_before_the_download(hub):
    commit = hub.add("maker/model", FILES)
    told = []
    folder = _fetch("maker/model", told)
    assert told == [
        f"Downloading the text model maker/model: 3 files, 1.5 MB, from {hub.url}/maker/model"
    ]
    assert _names(folder) == WANTED
    assert all((folder / name).read_bytes() == FILES[name] for name in WANTED)
    assert folder.name == commit == commit_of(folder)


def test_no_progress_bar_is_piped_and_none_is_forbidden_for_good(hub, capfd):
    from huggingface_hub.utils import are_progress_bars_disabled

    hub.add("model", FILES)
    _fetch("model")
    assert capfd.readouterr() == ("", "")
    assert not are_progress_bars_disabled()


def test_what_is_in_the_cache_is_taken_without_a_request(hub):
    hub.add("model", FILES)
    first = _fetch("model")
    hub.requests.clear()
    told = []
    assert _fetch("model", told) == first
    assert _fetch("model", told, revision=first.name) == first
    assert (told, hub.requests) == ([], [])
    hub.stop()
    assert _fetch("model") == first


def test_a_run_finds_its_own_revision_when_the_repository_has_moved_on(hub):
    hub.add("model", FILES)
    first = _fetch("model")
    hub.add("model", {**FILES, "config.json": b"{}"})
    assert _fetch("model") == first  # what is in the cache stays what the name means
    with pytest.raises(ConfigError, match='no revision "abc"'):
        _fetch("model", revision="abc")


def test_no_pickle_is_downloaded_whatever_the_patterns(hub):
    hub.add("model", FILES)
    folder = _fetch("model", patterns=("*", "*.safetensors"))
    assert _names(folder) == WANTED | {"README.md"}
    assert not any("pytorch_model" in request for request in hub.requests)


def test_weights_that_are_only_a_pickle_are_refused_before_anything_is_downloaded(hub):
    hub.add("old", {name: FILES[name] for name in ("config.json", "pytorch_model.bin")})
    told = []
    with pytest.raises(ConfigError, match=r"no weights as safetensors .* only pytorch_model\.bin"):
        _fetch("old", told)
    assert not told
    assert not any("resolve" in request for request in hub.requests)


def test_only_missing_files_are_told_and_downloaded(hub):
    """Another library may have filled the cache in part; then the hub is asked once."""
    import huggingface_hub

    hub.add("model", FILES)
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("model", name)
    told = []
    folder = _fetch("model", told)
    assert _names(folder) == WANTED
    assert told == [f"Downloading the text model model: 1 file, 0.0 kB, from {hub.url}/model"]
    hub.requests.clear()
    assert _fetch("model", told) == folder
    assert not hub.requests


def test_a_cache_that_cannot_be_checked_is_taken_and_told(hub):
    import huggingface_hub

    hub.add("model", FILES)
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("model", name)
    hub.stop()
    told = []
    assert _names(_fetch("model", told)) == {"config.json", "model.safetensors"}
    assert len(told) == 1
    assert "as it is" in told[0]


def test_a_cache_of_a_commit_that_the_hub_has_forgotten_is_taken_and_told(hub):
    import huggingface_hub

    hub.add("model", FILES)
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("model", name)
    hub.add("model", {**FILES, "config.json": b"{}"})
    told = []
    folder = _fetch("model", told)
    assert (folder / "config.json").read_bytes() == FILES["config.json"]
    assert "as it is" in told[0]


def test_a_cache_without_weights_is_no_model(hub):
    import huggingface_hub

    hub.add("model", FILES)
    huggingface_hub.hf_hub_download("model", "config.json")
    hub.stop()
    with pytest.raises(ConfigError, match="not in the local cache"):
        _fetch("model")


def test_a_damaged_cache_is_mended(hub):
    hub.add("model", FILES)
    folder = _fetch("model")
    (folder / "config.json").unlink()
    assert _names(_fetch("model")) == WANTED


def test_an_unknown_repository(hub):
    with pytest.raises(ConfigError, match='Unknown text model "nobody/knows"') as caught:
        _fetch("nobody/knows")
    assert hub.url in str(caught.value)
    assert "Check the name" in str(caught.value)


def test_a_repository_that_needs_a_login(hub):
    hub.add("gated", FILES)
    hub.gated.add("gated")
    with pytest.raises(ConfigError, match=r"accept its terms.*hf auth login"):
        _fetch("gated")


@pytest.mark.parametrize("name", ["./no/such/folder", "a b", "C:\\models\\bert", "a/b/c"])
def test_a_path_that_is_not_there(no_hub, name):
    with pytest.raises(ConfigError, match="is no local folder, and no name of a repository"):
        _fetch(name)


def test_without_a_network_it_says_what_to_do(no_hub):
    with pytest.raises(ConfigError, match="cannot be reached") as caught:
        _fetch("maker/model")
    message = str(caught.value)
    assert "hf download maker/model --local-dir model" in message
    assert "tfidf for texts, statistics for images" in message


def test_the_command_that_is_advised_is_one(hub, tmp_path):
    """`hf download` as the message writes it, with the hub's own command line."""
    command = shutil.which("hf", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("the hub's command line is not installed")
    hub.add("maker/model", FILES)
    done = subprocess.run(
        [command, "download", "maker/model", "--local-dir", "model"],
        cwd=tmp_path,
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert _names(tmp_path / "model") >= WANTED


OFFLINE = """
from bayesfuse.encoders.hub import fetch
from bayesfuse.errors import ConfigError
try:
    print(fetch("maker/model", {patterns!r}, what="image model", tell=print))
except ConfigError as error:
    print(error)
"""


def test_offline_mode_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE.format(patterns=PATTERNS)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "(HF_HUB_OFFLINE is set)" in done.stdout
    assert "hf download maker/model" in done.stdout
    assert not done.stderr


def test_a_full_disk_is_a_failure_of_its_own_kind(hub, monkeypatch):
    import huggingface_hub

    hub.add("model", FILES)
    real = huggingface_hub.snapshot_download

    def full(*args, local_files_only=False, **settings):
        if local_files_only:
            return real(*args, local_files_only=True, **settings)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(StorageError, match="No space left"):
        _fetch("model")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"bayesfuse\[text,image\]"):
        _fetch("model")


def test_only_a_snapshot_has_a_commit(tmp_path):
    assert commit_of(tmp_path) is None
    assert commit_of(Path("snapshots") / ("0" * 40)) == "0" * 40
