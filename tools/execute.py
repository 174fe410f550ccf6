"""Execute a notebook in a fresh kernel, and clean it of what must not be committed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from squeeze_utils.base.files import write_atomically

SECONDS = 600  # the most that one notebook may take
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab, in JupyterLab
KEPT_CELL_METADATA = ("tags", *FOLDED)
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class CellFailure(Exception):
    """A notebook that did not run to its end."""

    notebook: str
    cell: int
    first_line: str
    error: str

    def __str__(self) -> str:
        return f"{self.notebook}, cell {self.cell} ({self.first_line!r}): {self.error}"


def execute(notebook: Any, path: Path, seconds: float = SECONDS) -> None:
    """Run a notebook in place, in its own folder, in a fresh kernel of this very Python.

    Raises:
        CellFailure: a cell raised, the kernel died, or ``seconds`` were over.
        KeyboardInterrupt: Ctrl-C. The kernel has ended then, too.
    """
    from nbclient import NotebookClient

    running = _Running(notebook, path, seconds)
    deadline = time.monotonic() + seconds
    running.client = NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=_own_kernel(),
        resources={"metadata": {"path": str(path.parent)}},
        timeout_func=lambda cell: max(1, int(deadline - time.monotonic())),
        on_cell_start=running.started,
        extra_arguments=["--log-level=CRITICAL"],  # failures come back as exceptions
        record_timing=False,
        coalesce_streams=True,
    )
    inline = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    with _told(running):
        running.client.execute(env=inline)


def _own_kernel() -> type:
    """Never a kernel that the user registered: with no folder to search, this interpreter."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[])

    return OwnKernel


@dataclass
class _Running:
    """A notebook at work: which cell has its turn, and whether Ctrl-C was pressed."""

    notebook: Any
    path: Path
    seconds: float
    client: Any = None
    cell: int = 0
    was_interrupted: bool = False
    ending: Any = None  # of the kernel; a task that nobody holds may vanish

    def started(self, cell: Any, cell_index: int) -> None:
        """Called when a cell's turn begins."""
        self.cell = cell_index
        with suppress(NotImplementedError, RuntimeError):  # on Windows; not in the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.interrupted)

    def interrupted(self) -> None:
        """Called by Ctrl-C: end the kernel."""
        self.was_interrupted = True
        self.ending = asyncio.ensure_future(self.client.km.shutdown_kernel(now=True))

    def failure(self, error: str) -> CellFailure:
        """What happened, and in which cell."""
        source = self.notebook.cells[self.cell].source.strip()
        first_line = source.splitlines()[0] if source else ""
        return CellFailure(self.path.name, self.cell, first_line, error)


@contextmanager
def _told(running: _Running) -> Iterator[None]:
    """Within, what nbclient raises becomes a CellFailure, or a KeyboardInterrupt after Ctrl-C."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    try:
        yield
    except CellExecutionError as error:
        raise running.failure(f"{error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        late = f"not finished {running.seconds:g} seconds after the notebook was started"
        raise running.failure(late) from None
    except (asyncio.CancelledError, AssertionError):
        # Ctrl-C before the first cell, or after the last: nbclient has ended the kernel.
        kernel = running.client.km
        if kernel is not None and kernel.has_kernel:
            raise
        raise KeyboardInterrupt from None
    except DeadKernelError:
        if running.was_interrupted:
            raise KeyboardInterrupt from None
        raise running.failure("the kernel died; it may have run out of memory") from None


def clean(notebook: Any) -> None:
    """Take out, in place, what would change from run to run or cannot be shown without a kernel.

    Timing and editor metadata go, and so do widget views: their state is not kept, and without
    it GitHub refuses to show the notebook. Cell ids stay; a missing or repeated one is replaced
    by one that hangs on the cell's place only.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = type(notebook.metadata)(METADATA)
    seen: set[str] = set()
    for place, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell["id"] in seen:
            cell["id"] = f"cell-{place}"
        seen.add(cell["id"])
        kept = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)}
        cell.metadata = type(cell.metadata)(kept)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_widget(output)]


def _is_widget(output: Any) -> bool:
    return WIDGET in output.get("data", {})


def read_notebook(path: Path) -> Any:
    """A notebook as nbformat's object, as it stands: not validated, nothing repaired."""
    from nbformat import v4

    try:
        notebook = v4.reads_json(path.read_text(encoding="utf-8"))
        _ = notebook.cells, notebook.metadata
        return notebook
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name} is no notebook: {error}") from error


def write_notebook(notebook: Any, path: Path) -> bool:
    """Write a notebook atomically if that changes the file; say whether it did."""
    import nbformat

    content = (nbformat.writes(notebook, version=4).rstrip("\n") + "\n").encode()
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True
