"""JupyterLab in a headless Chromium: a notebook opened, run and edited as a reader would."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from browser import Browser

PANEL = "[...window.jupyterapp.shell.widgets('main')][0]"
CELLS = f"{PANEL}.content.widgets"


class JupyterLab:
    """A server on a free port. `with JupyterLab(notebooks, folder, root) as lab:` ends it too."""

    def __init__(self, notebooks: Path, folder: Path, root: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        own = {
            f"JUPYTER{name}_DIR": str(folder / name)
            for name in ("_CONFIG", "_DATA", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
        }
        settings = (
            "--no-browser",
            "--allow-root",
            f"--port={self.port}",
            "--IdentityProvider.token=",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
            "--ServerApp.contents_manager_class=tools.lab.CommittedNotebooks",
        )
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", str(notebooks), *settings],
            env=os.environ | own | {"PYTHONPATH": str(root)},
            stdout=quiet,
            stderr=quiet,
        )
        Browser.wait(self._answers, "JupyterLab to start")

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api") as answer:
                return answer.status == 200
        except URLError:
            return False

    def __enter__(self) -> JupyterLab:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


class Notebook:
    """A notebook in JupyterLab, its kernel running."""

    def __init__(self, browser: Browser, lab: JupyterLab, name: str):
        self.browser = browser
        browser.open(f"http://127.0.0.1:{lab.port}/lab/tree/{name}")
        kernel = f"window.jupyterapp && {PANEL}?.context?.sessionContext.session?.kernel"
        idle = f"({kernel})?.status"
        browser.wait(lambda: browser.evaluate(idle) == "idle", f"{name} and its kernel")
        # JupyterLab enters what the kernel says of itself a moment after the kernel has said it.
        browser.evaluate(f"{kernel}.info.then(() => new Promise(done => setTimeout(done, 500)))")

    def is_modified(self) -> bool:
        """Whether the tab shows the dot that asks for saving."""
        return self.browser.evaluate(f"{PANEL}.context.model.dirty")

    def command(self, name: str, seconds: float = 60) -> None:
        """Run a command of JupyterLab's menus and wait for its end."""
        self.browser.evaluate(
            f"window.ended = false; window.jupyterapp.shell.activateById({PANEL}.id);"
            f"window.jupyterapp.commands.execute({name!r}).finally(() => window.ended = true); 0"
        )
        self.browser.wait(lambda: self.browser.evaluate("window.ended"), name, seconds)

    def run_with(self, cell: str, source: str) -> str:
        """Type `source` into the cell of that id, run it, and return what it prints."""
        self.browser.evaluate(
            f"(() => {{ const at = {CELLS}.findIndex(one => one.model.id === {cell!r});"
            f"{PANEL}.content.activeCellIndex = at;"
            f"{CELLS}[at].model.sharedModel.setSource({json.dumps(source)}); }})()"
        )
        self.command("notebook:run-cell")
        return "".join(one.get("text", "") for one in self.outputs()[cell])

    def outputs(self) -> dict[str, list[dict[str, Any]]]:
        """The outputs of each code cell, as a saved notebook would hold them, by the cell's id."""
        return json.loads(
            self.browser.evaluate(
                f"JSON.stringify(Object.fromEntries({CELLS}.map(one => one.model)"
                ".filter(one => one.type === 'code')"
                ".map(one => [one.id, one.outputs.toJSON().map("
                "out => ({...out, text: [out.text ?? ''].flat().join('')}))])))"
            )
        )
