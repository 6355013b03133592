from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bayesfuse.data.locking import OWNER, locked, owner_of
from bayesfuse.errors import LockedError, UserError

HOLD = (
    "import sys, pathlib, time\n"
    "from bayesfuse.data.locking import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def try_it(folder: Path) -> str:
    try:
        with locked(folder, "Choose another --out."):
            return "held"
    except LockedError as error:
        return str(error)


def test_one_at_a_time_in_threads_too(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path):
            told = pool.submit(try_it, tmp_path).result()
            assert told.startswith(f"{tmp_path} is being written by process ")
            assert told.endswith("Wait until that has ended, or choose another --out.")
        assert pool.submit(try_it, tmp_path).result() == "held"
    assert not (tmp_path / OWNER).exists()


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert f"process {process.pid} on " in try_it(tmp_path)
    process.kill()
    process.communicate()
    assert try_it(tmp_path) == "held"


def test_the_folder_may_be_removed_by_who_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with locked(folder):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert not folder.exists()
    assert try_it(folder) == "held"


def test_an_owner_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    for content in ("", "[1]", "{}"):
        (tmp_path / OWNER).write_text(content)
        assert owner_of(tmp_path) == "another process"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write into"), locked(tmp_path / "file" / "folder"):
        pass
