"""Fixtures of trainings that are cut off, or that several processes share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from squeeze_utils.training.resuming import HalfwayFile


@pytest.fixture
def keep_every_epoch(monkeypatch):
    """The state after every epoch is kept, and not only after some minutes."""
    monkeypatch.setattr(
        "squeeze_utils.experiments.state_cache.HalfwayFile",
        lambda path: HalfwayFile(path, seconds=0),
    )


@pytest.fixture(scope="module")
def jobs_in_sight() -> Iterator[None]:
    """Processes that are started find the jobs of tests/support."""
    folders = [str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
        yield
