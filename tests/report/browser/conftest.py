"""A headless Chromium, driven by its own protocol over a pipe: real clicks, keys and pictures."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

KEYS = {
    "Enter": {"code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    " ": {"code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
    "Tab": {"code": "Tab", "windowsVirtualKeyCode": 9},
    "Escape": {"code": "Escape", "windowsVirtualKeyCode": 27},
    "ArrowDown": {"code": "ArrowDown", "windowsVirtualKeyCode": 40},
}
PATIENCE = 60.0

# The protocol is on descriptors 3 and 4.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page of a browser, and what it said and asked for since it was opened."""

    def __init__(self, program: str, profile: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._number = 0
        self._rest = b""
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._in, self._out = ours_in, ours_out
        os.set_blocking(ours_in, False)
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", START, *map(str, theirs), program),
                *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
                *(f"--user-data-dir={profile}", "--disable-dev-shm-usage", "--hide-scrollbars"),
                *("--force-device-scale-factor=1", "about:blank"),
            ],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *theirs):
            os.close(end)
        targets = self._call("Target.getTargets", session=None)["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self._call("Target.attachToTarget", session=None, targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(
        self,
        page: Path,
        *,
        width: int = 1200,
        height: int = 900,
        theme: str = "light",
        script: bool = True,
    ) -> None:
        """Open a page at a size, in a theme, with scripts or without, and wait for it."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": theme}
        self._call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self._call("Emulation.setScriptExecutionDisabled", value=not script)
        self.complaints, self.requests, self._events = [], [], []
        self._call("Page.navigate", url=page.as_uri())
        self._until(lambda: any(event["method"] == "Page.loadEventFired" for event in self._events))

    def media(self, name: str) -> None:
        """Show the page as it would be printed, say."""
        self._call("Emulation.setEmulatedMedia", media=name, features=[])

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        done = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def click(self, selector: str) -> None:
        """Click the middle of the first element that is meant, by the mouse."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const b = e.getClientRects()[0];"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus, a key at a time."""
        for letter in text:
            self.press(letter)

    def press(self, key: str) -> None:
        """Press and release a key."""
        about = {"key": key, **KEYS.get(key, {"text": key})}
        self._call("Input.dispatchKeyEvent", type="keyDown", **about)
        self._call("Input.dispatchKeyEvent", type="keyUp", **about)

    def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        self._until(lambda: bool(self.run(expression)))

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Save what is seen as a PNG file, or the whole page."""
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(data["data"]))

    def close(self) -> None:
        """End the browser."""
        with suppress(OSError):
            self._call("Browser.close", session=None)
        self._process.wait(timeout=PATIENCE)
        os.close(self._in)
        os.close(self._out)

    def _call(self, method: str, session: str | None = "own", **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            found.extend(event for event in self._events if event.get("id") == self._number)
            return bool(found)

        self._until(answered)
        self._events.remove(found[0])
        assert "error" not in found[0], (method, found[0])
        result: dict[str, Any] = found[0]["result"]
        return result

    def _until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, "the browser does not answer"
            if not self._read():
                time.sleep(0.005)

    def _read(self) -> bool:
        """Take in what the browser has said; return whether it said anything."""
        try:
            data = os.read(self._in, 2**20)
        except BlockingIOError:
            return False
        assert data, "the browser has ended"
        *whole, self._rest = (self._rest + data).split(b"\0")
        for message in map(json.loads, whole):
            self._events.append({"method": "", **message})
            self._note(message.get("method"), message.get("params", {}))
        return True

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith("data:"):  # what the page holds itself
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium, or skip where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium here to look at the page with")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
