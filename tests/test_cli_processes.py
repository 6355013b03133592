from __future__ import annotations

from typing import Any

import pytest

from bayesfuse.cli_processes import SHARED, refuse_processes, shared
from bayesfuse.errors import ConfigError


@pytest.mark.parametrize("command", ["evaluate", "report", None])
def test_what_is_for_one_process_says_so(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_processes(command)
    for name, value in {"RANK": "1", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="3 processes were started together"):
        refuse_processes(command)
    for name in SHARED:
        refuse_processes(name)


def test_a_lone_process_runs_a_command_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    @shared
    def command(name: str, flags: dict[str, Any]) -> None:
        print(name, flags)

    command(name="fit", flags={"device": "cuda"})
    assert capsys.readouterr().out == "fit {'device': 'cuda'}\n"
