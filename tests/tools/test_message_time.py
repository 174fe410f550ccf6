from __future__ import annotations

import pytest

from squeeze_utils.base import paths
from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.results.scaling import MESSAGE, message_seconds
from tools import message_time


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """The table lies below `tmp_path`."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)


def test_the_rounds_of_every_launch_are_kept_with_how_they_were_timed(monkeypatch, capsys):
    medians = iter([[4e-4, 2e-4], [6e-4, 8e-4], [5e-4, 9e-4]])
    monkeypatch.setattr(message_time, "time_messages", lambda *args, **how: next(medians))
    assert message_time.main([]) == 0
    assert capsys.readouterr().out == "message.json\n"
    kept = read_measurement(MESSAGE)
    assert kept.frame["launch"].tolist() == [0, 0, 1, 1, 2, 2]
    assert "smallest" in kept.about["how"] and kept.about["workers"] == 2
    assert message_seconds() == pytest.approx(1e-4)


def test_processes_that_fail_leave_the_old_table(monkeypatch, capsys):
    def lost(*args, **how):
        raise RuntimeError("process 1 of 2 was ended")

    monkeypatch.setattr(message_time, "time_messages", lost)
    assert message_time.main([]) == 1
    assert "process 1 of 2 was ended" in capsys.readouterr().err
    assert read_measurement(MESSAGE) is None
