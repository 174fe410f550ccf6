from __future__ import annotations

import shutil
import subprocess

import pytest

from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.models import ModelSpec
from tools import limited_network

NETWORK = {"SqueezeNet": ModelSpec.of("squeezenet_small", in_channels=1, width=0.5)}
SPEED = 0.05  # gigabits a second: so slow that little else counts, even on a busy machine


def hosts_can_be_made() -> bool:
    """Whether this machine lets its users have networks of their own."""
    if not all(map(shutil.which, limited_network.PROGRAMS)):
        return False
    bridge = ["ip", "link", "add", "name", "bridge0", "type", "bridge"]
    return not subprocess.run(
        [*limited_network.OWN_NETWORK, *bridge], capture_output=True
    ).returncode


@pytest.mark.slow
@pytest.mark.skipif(not hosts_can_be_made(), reason="no network namespaces here")
def test_a_step_over_a_slow_network_takes_the_seconds_of_its_bytes():
    (row,) = limited_network.measure(NETWORK, [2], SPEED)
    assert row["sent"] == pytest.approx(row["formula"], rel=0.05)
    on_the_wire = 8 * row["formula"] / (SPEED * 1e9)
    assert 0.8 * on_the_wire < row["seconds"] < 1.5 * (on_the_wire + row["alone"])


def test_a_speed_is_above_zero():
    with pytest.raises(ValueError, match="gigabits"):
        limited_network.measure(NETWORK, [2], 0)


def test_missing_programs_are_named(monkeypatch):
    monkeypatch.setattr(limited_network, "PROGRAMS", ("no-such-program",))
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        limited_network.measure(NETWORK, [2], 1.0)


def test_a_machine_that_allows_no_hosts_says_so(monkeypatch):
    refusing = ("sh", "-c", "echo unshare: Operation not permitted >&2; exit 1")
    monkeypatch.setattr(limited_network, "OWN_NETWORK", refusing)
    monkeypatch.setattr(limited_network, "PROGRAMS", ("sh",))
    with pytest.raises(RuntimeError, match=r"hosts of their own failed: .*Operation not permitted"):
        limited_network.measure(NETWORK, [2], 1.0)


def test_the_kept_table_has_every_network_group_and_limit():
    rows = read_measurement(limited_network.LIMITED).rows
    found = {(row["network"], row["processes"], row["gigabits"]) for row in rows}
    assert len(found) == len(rows) == 3 * len(limited_network.PROCESSES) * 3
    assert {row["gigabits"] for row in rows} == set(limited_network.LIMITS)
