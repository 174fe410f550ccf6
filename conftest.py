"""How pytest treats notebooks (nbval): what is compared, and that a time-out is a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Workers of pytest-xdist, and the kernels of their notebooks, share the processor's threads.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# Cells tagged nbval-check-output are compared by their text. Pictures, page formats and warnings
# differ between machines and library versions without meaning anything.
NOT_COMPARED = (
    "stderr",
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "application/pdf",
)


@pytest.hookimpl(hookwrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    """Leave the outputs of NOT_COMPARED out of what a notebook's test compares."""
    outcome = yield
    for collected in outcome.get_result() or []:
        if hasattr(collected, "skip_compare"):
            collected.skip_compare = (*collected.skip_compare, *NOT_COMPARED)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """A cell that ran into the time limit fails, even one that catches its interruption.

    nbval stops a slow cell with Ctrl-C; `fit` catches that and returns what it has, after which
    nbval would call the cell passed and expect the rest of the notebook to fail.
    """
    late_before = getattr(item.parent, "timed_out", False)
    outcome = yield
    if getattr(item.parent, "timed_out", False) and not late_before and outcome.excinfo is None:
        limit = item.config.getoption("nbval_cell_timeout")
        outcome.force_exception(
            pytest.fail.Exception(f"the cell ran into the limit of {limit:g} seconds")
        )


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Copies that editors keep are no tests."""
    return True if ".ipynb_checkpoints" in collection_path.parts else None
