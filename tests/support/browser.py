"""A headless Chromium for tests, driven through its debugging protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """The program, if one is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page. `with Browser(folder) as page:` starts it with a fresh profile in `folder`."""

    def __init__(self, folder: Path, size: tuple[int, int] = (900, 900), dark: bool = False):
        root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        dark_mode = ["--blink-settings=preferredColorScheme=0"] if dark else []
        window = f"--window-size={size[0]},{size[1]}"
        command = [chromium(), *FLAGS, *root, *dark_mode, window, f"--user-data-dir={folder}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([*command, "about:blank"], stdout=quiet, stderr=quiet)
        self.number = 0
        self.page = self._connect(folder / "DevToolsActivePort")

    def _connect(self, port_file: Path) -> Any:
        import websocket

        def page_address() -> str | None:
            lines = port_file.read_text().split() if port_file.is_file() else []
            if len(lines) < 2:
                return None
            with urlopen(f"http://127.0.0.1:{lines[0]}/json/list") as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            return pages[0]["webSocketDebuggerUrl"] if pages else None

        address = self.wait(page_address, "Chromium to start")
        return websocket.create_connection(address, suppress_origin=True, timeout=60)

    @staticmethod
    def wait(get: Any, what: str, seconds: float = 60) -> Any:
        """The first true value that `get` returns."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := get():
                return value
            time.sleep(0.1)
        raise TimeoutError(f"waited {seconds:g} seconds for {what}")

    def call(self, method: str, **options: Any) -> dict[str, Any]:
        """A command of the protocol and its result."""
        self.number += 1
        self.page.send(json.dumps({"id": self.number, "method": method, "params": options}))
        while (answer := json.loads(self.page.recv())).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def open(self, address: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        made = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in made:
            raise RuntimeError(made["exceptionDetails"]["exception"].get("description", "thrown"))
        return made["result"].get("value")

    def choose(self, selector: str, path: Path) -> None:
        """Pick a file in a file input, as a person would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path) -> None:
        """The page as a PNG file."""
        content = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(content))

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.page.close()
        self.process.terminate()
        self.process.wait(timeout=30)
