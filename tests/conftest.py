"""Fixtures of more than one file."""

from __future__ import annotations

import pytest

from squeeze_utils.training import loop


@pytest.fixture
def fits(monkeypatch):
    """The learning rate of every call of `fit`, in order."""
    calls = []
    real = loop.fit

    def counted(model, data, plan, **options):
        calls.append(plan.lr)
        return real(model, data, plan, **options)

    monkeypatch.setattr(loop, "fit", counted)
    return calls
