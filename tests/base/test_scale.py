from __future__ import annotations

import pytest

from squeeze_utils.base.scale import SCALES, Scale


def test_the_environment_names_the_scale_and_quick_is_the_default(monkeypatch):
    monkeypatch.setenv("SQUEEZE_SCALE", "reference")
    assert Scale.from_environment() == Scale("reference")
    for unset in ("", None):
        monkeypatch.delenv("SQUEEZE_SCALE", raising=False)
        if unset is not None:
            monkeypatch.setenv("SQUEEZE_SCALE", unset)
        assert Scale.from_environment() == Scale("quick") == Scale()


def test_a_scale_picks_its_value():
    assert [Scale(name).pick("small", "large") for name in SCALES] == ["small", "large"]


def test_an_unknown_scale_is_refused(monkeypatch):
    monkeypatch.setenv("SQUEEZE_SCALE", "huge")
    with pytest.raises(ValueError, match=r"SQUEEZE_SCALE\) 'huge'; accepted: quick, reference"):
        Scale.from_environment()
