"""Fixtures of trainings that are cut off."""

from __future__ import annotations

import pytest

from squeeze_utils.training.resuming import HalfwayFile


@pytest.fixture
def keep_every_epoch(monkeypatch):
    """The state after every epoch is kept, and not only after some minutes."""
    monkeypatch.setattr(
        "squeeze_utils.experiments.state_cache.HalfwayFile",
        lambda path: HalfwayFile(path, seconds=0),
    )
