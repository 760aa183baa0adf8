"""
Chromium without a window, driven over its DevTools protocol.

A page is asked by JavaScript; keys and clicks come as the browser's own input events, so that
focus and handlers behave as under a hand. Needs a ``chromium`` and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 60.0
ANSWER_S = 60.0
# What Chromium says when a page goes while it is asked something.
LEFT = ("navigated or closed", "Cannot find context", "context was destroyed")


def find_chromium() -> str:
    """Return the browser, or skip the test by the name of what is missing."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("no Chromium: apt install chromium")


class PageLeftError(Exception):
    """What was asked concerned a page that the browser was just leaving."""


class Browser:
    """One browser with one page."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="chromium-")
        self._process = subprocess.Popen(
            [
                find_chromium(),
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
                *("--hide-scrollbars", "--force-color-profile=srgb"),
                f"--user-data-dir={self._directory}",
                *("--remote-debugging-port=0", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._open = contextlib.ExitStack()
        self._ids = itertools.count(1)
        self.messages: list[str] = []
        self._mouse: dict[str, Any] = {}
        self._socket = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(15)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _connect(self) -> ClientConnection:
        address = Path(self._directory, "DevToolsActivePort")
        end = time.monotonic() + START_S
        while not (address.exists() and len(address.read_text().splitlines()) == 2):
            assert time.monotonic() < end, "Chromium did not start"
            assert self._process.poll() is None, "Chromium ended"
            time.sleep(0.05)
        port, path = address.read_text().splitlines()
        socket = self._open.enter_context(
            # While nobody asks, nobody reads: an answer to a ping would be found too late.
            connect(
                f"ws://127.0.0.1:{port}{path}",
                max_size=None,
                compression=None,
                ping_interval=None,
            )
        )
        self._socket = socket
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return socket

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; notes what the page logs on the way."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=ANSWER_S))
            if answer.get("id") == number:
                if any(word in str(answer.get("error")) for word in LEFT):
                    raise PageLeftError(str(answer["error"]))
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            entry = parameters["entry"]
            if entry["level"] == "error":
                self.messages.append(f"{entry['text']} {entry.get('url', '')}")
        elif event.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            thrown = details.get("exception", {})
            self.messages.append(thrown.get("description") or details["text"])

    def size(self, width: int, height: int) -> None:
        """Set the size of the window; narrow ones are those of a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def prefer(self, scheme: str) -> None:
        """Prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression inside the page."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, expression: str, timeout_s: float = 30.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + timeout_s
        while not self._holds(expression):
            if time.monotonic() > end:
                shown = self.ask("document.body.innerText")
                raise AssertionError(f"never: {expression}\n{self.messages}\n{shown[:2000]}")
            time.sleep(0.05)

    def _holds(self, expression: str) -> bool:
        with contextlib.suppress(PageLeftError):
            return bool(self.ask(f"Boolean({expression})"))
        return False

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).textContent.trim()"))

    def click(self, selector: str) -> None:
        """Click into the middle of an element with the mouse."""
        self.press(selector)
        self.release()

    def press(self, selector: str) -> None:
        """Move the mouse to the middle of an element and press its button."""
        where = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self._mouse = {"x": where[0], "y": where[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **self._mouse)

    def release(self) -> None:
        """Let the button go where it was pressed."""
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **self._mouse)

    def type(self, selector: str, text: str) -> None:
        """Click into a field, empty it, and type."""
        self.click(selector)
        self.ask(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key by its name."""
        self.hold_key(key, shift=shift)
        self.let_key_go(key, shift=shift)

    def hold_key(self, key: str, *, shift: bool = False) -> None:
        """Press a key and do not let it go."""
        self._key("keyDown", key, shift=shift)

    def let_key_go(self, key: str, *, shift: bool = False) -> None:
        """Let a key go."""
        self._key("keyUp", key, shift=shift)

    def _key(self, kind: str, key: str, *, shift: bool) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "ArrowUp": 38, "ArrowDown": 40, "Tab": 9}.get(key, ord(key[0].upper()))
        self.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            text=text if kind == "keyDown" else "",
            windowsVirtualKeyCode=code,
            modifiers=8 if shift else 0,
        )

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            f" e.value = {json.dumps(value)};"
            " e.dispatchEvent(new Event('input', {bubbles: true}));"
            " e.dispatchEvent(new Event('change', {bubbles: true})); return 1; })()"
        )

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen (or the whole page) as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
