"""Fixtures of more than one file."""

from __future__ import annotations

import pytest

from squeeze_utils.__main__ import main
from squeeze_utils.training import loop


@pytest.fixture
def says(capsys):
    """The one line that a command with a mistake in it answers."""

    def get(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return get


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
