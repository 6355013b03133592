from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayesfuse.data import whole_files
from bayesfuse.data.whole_files import (
    is_alive,
    remove_left_behind,
    unfinished_name,
    whole_file,
    whole_folder,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(target: Path, text: str, error: type[BaseException] | None = None) -> None:
    with whole_file(target) as unfinished:
        unfinished.write_text(text)
        if error is not None:
            raise error


def fill(target: Path, text: str, error: type[BaseException] | None = None) -> None:
    with whole_folder(target) as folder:
        (folder / "a").write_text(text)
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_file_is_there_whole_or_not_at_all(error: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "note"
    with pytest.raises(error):
        write(target, "half", error)
    assert names(tmp_path) == []
    write(target, "first")
    with pytest.raises(error):
        write(target, "half", error)
    assert target.read_text() == "first"
    assert names(tmp_path) == ["note"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        fill(target, "half", ZeroDivisionError)
    assert names(tmp_path) == []
    fill(target, "one")
    with pytest.raises(OSError, match="not empty"):
        fill(target, "another")
    assert (target / "a").read_text() == "one"
    assert names(tmp_path) == ["run"]


def test_one_that_takes_the_place_of_another(tmp_path: Path) -> None:
    target, inside = tmp_path / "run", tmp_path / "inside"
    inside.mkdir()
    for text in ("one", "two"):
        with whole_folder(target, inside, replaces=True) as folder:
            (folder / "a").write_text(text)
    assert (target / "a").read_text() == "two"
    assert (inside / "before" / "a").read_text() == "one"
    with pytest.raises(ZeroDivisionError), whole_folder(target, inside, replaces=True):
        raise ZeroDivisionError
    assert (target / "a").read_text() == "two"


def test_what_a_dead_process_left_is_removed_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    code = "import sys, pathlib; from bayesfuse.data.whole_files import unfinished_name\n"
    code += "unfinished_name(pathlib.Path(sys.argv[1])).write_text('half')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "scores.csv")], check=True)
    mine = unfinished_name(tmp_path / "scores.csv")
    mine.write_text("half")
    foreign = tmp_path / ".scores.csv.another-host.1.0123456789abcdef.partial"
    foreign.write_text("half")
    unlike = tmp_path / ".scores.csv.partial"
    unlike.write_text("half")
    assert len(names(tmp_path)) == 4
    assert remove_left_behind(tmp_path, "other.csv") == []
    assert len(remove_left_behind(tmp_path, "scores.csv")) == 1
    assert names(tmp_path) == sorted([mine.name, foreign.name, unlike.name])


def test_a_number_that_came_again_is_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = unfinished_name(tmp_path / "run")
    left.mkdir()
    (left / "a").write_text("half")
    assert remove_left_behind(tmp_path) == []
    monkeypatch.setattr(whole_files, "_PROCESS", "00000000")  # as after a container's restart
    assert remove_left_behind(tmp_path) == [left]
    assert names(tmp_path) == []


def test_who_is_alive() -> None:
    assert is_alive(os.getpid())
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert not is_alive(done.pid)
