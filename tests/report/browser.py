"""A headless Chromium, spoken to through a pipe: what it shows, prints to its console, and does with keys."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """One tab. Every message of its console, and every error, is in `console`."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._count, self._session = 0, None
        self.console: list[str] = []
        self._waiting: list[str] = []
        tab = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """Do something, and return its result."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            assert byte, "the browser has gone"
            text += byte
        message = json.loads(text)
        if (method := message.get("method")) in (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ):
            self.console.append(json.dumps(message["params"]))
        self._waiting.append(method or "")
        return message

    def open(self, url: str) -> None:
        """Go to an address and wait until all of it is there."""
        self._waiting.clear()
        self.send("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._waiting:
            self._next()

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives, awaited."""
        done = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key of the keyboard."""
        for kind in ("rawKeyDown", "char", "keyUp"):
            text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
            if kind != "char" or text:
                self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path: Path, width: int, dark: bool = False) -> None:
        """Save what a window of this width shows."""
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=media)
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start one; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser here (looked for {', '.join(NAMES)})")
    to_read, to_write = os.pipe(), os.pipe()
    command = f'exec "$0" "$@" 3<&{to_read[0]} 4>&{to_write[1]}'
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")
    process = subprocess.Popen(
        ["bash", "-c", command, found, *flags, f"--user-data-dir={profile}"],
        pass_fds=(to_read[0], to_write[1]),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(to_read[0])
    os.close(to_write[1])
    tab = None
    try:
        tab = Browser(to_write[0], to_read[1])
        yield tab
        tab._session = None
        tab.send("Browser.close")
    finally:
        if tab is not None:
            tab._write.close()
            tab._read.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
