"""Claims: of many processes one has it, and who dies has one heir."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time

import pytest

from squeeze_utils.base.claims import Claims

FAST = {"beat": 0.1, "limit": 0.5}
OWNER = """
import sys, time
from pathlib import Path
from squeeze_utils.base.claims import Claims
claim = Claims(Path(sys.argv[1]), beat=0.1, limit=0.5).take("work")
print("taken" if claim else "refused", flush=True)
time.sleep(60)
"""


def from_elsewhere(folder, generation=0, name="work"):
    """A claim of a process on another machine, which nobody renews."""
    path = folder / f"{name}.{generation}.claim"
    path.write_text(json.dumps({"machine": "another", "process": 1}))
    return path


def take_at_once(folder, start, found):
    start.wait()
    claim = Claims(folder, **FAST).take("work")
    found.put(claim is not None)
    time.sleep(0.5)


def test_one_has_it_until_it_is_given_back(tmp_path):
    ours, others = Claims(tmp_path), Claims(tmp_path)
    with ours.take("work") as claim:
        assert others.take("work") is None
        assert others.take("other work") is not None
        assert not claim.is_lost()
    assert others.take("work") is not None


def test_names_are_no_patterns(tmp_path):
    claims = Claims(tmp_path)
    with claims.take("a.b"), claims.take("a[1]"), claims.take("a"), claims.take("a1"):
        assert claims.take("a[1]") is None and claims.take("*") is not None


def test_a_claim_that_another_has_is_waited_for(tmp_path, monkeypatch):
    other = Claims(tmp_path).take("work")
    monkeypatch.setattr("squeeze_utils.base.claims.time.sleep", lambda _: other.give_back())
    with pytest.warns(UserWarning, match="another process works on work: waiting for it"):
        claim = Claims(tmp_path).wait_for("work")
    assert Claims(tmp_path).take("work") is None and not claim.is_lost()


def test_a_claim_that_is_renewed_stays(tmp_path):
    claim = Claims(tmp_path, **FAST).take("work")
    path = claim.path
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "machine": "another"}))  # as if seen from afar
    watcher, end = Claims(tmp_path, **FAST), time.monotonic() + 1.2
    while time.monotonic() < end:
        assert watcher.take("work") is None
        time.sleep(0.05)
    claim.give_back()
    assert watcher.take("work") is not None


def test_who_does_not_renew_has_one_heir(tmp_path):
    from_elsewhere(tmp_path)
    claims = [Claims(tmp_path, **FAST) for _ in range(2)]
    assert [each.take("work") for each in claims] == [None, None]  # first look
    time.sleep(0.6)
    heirs = [each.take("work") for each in claims]
    assert [heir is not None for heir in heirs] == [True, False]
    heirs[0].give_back()
    assert not list(tmp_path.glob("*.claim"))


def test_a_process_that_was_asleep_learns_that_it_lost_its_claim(tmp_path):
    claim = Claims(tmp_path, **FAST).take("work")
    heir = from_elsewhere(tmp_path, generation=1)
    assert claim.is_lost()
    claim.give_back()
    assert heir.exists()  # it is not ours to remove


def test_a_killed_owner_on_this_machine_is_followed_at_once(tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout.readline() == "taken\n"
        claims = Claims(tmp_path)  # a limit of minutes
        assert claims.take("work") is None
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    with claims.take("work") as claim:
        assert claim.path.name == "work.1.claim"
    assert not list(tmp_path.glob("*.claim"))


def test_an_owner_that_comes_back_leaves_the_claim_of_a_later_one_alone(tmp_path):
    stopped = Claims(tmp_path).take("work")
    stopped._over.set()  # it renews nothing, as a stopped process
    stopped.path.write_text(json.dumps({"machine": "another", "process": 1}))
    stopped.path.unlink()  # its heir has come and gone
    later = Claims(tmp_path).take("work")
    assert later.path == stopped.path and stopped.is_lost() and not later.is_lost()
    stopped._over.clear()
    stopped.give_back()
    assert later.path.exists() and Claims(tmp_path).take("work") is None
    later.give_back()


@pytest.mark.parametrize("dead", [False, True])
def test_of_many_at_the_same_time_one_succeeds(tmp_path, dead):
    if dead:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        claims = Claims(tmp_path)
        made = claims.take("work")
        made._over.set()
        text = json.loads(made.path.read_text())
        made.path.write_text(json.dumps({**text, "process": gone.pid}))
    context = multiprocessing.get_context("fork")
    start, found = context.Event(), context.Queue()
    many = [context.Process(target=take_at_once, args=(tmp_path, start, found)) for _ in range(8)]
    try:
        for process in many:
            process.start()
        time.sleep(0.3)
        start.set()
        assert sum(found.get(timeout=20) for _ in many) == 1
    finally:
        for process in many:
            process.kill()
            process.join()


def test_a_damaged_claim_is_respected_until_its_time_is_over(tmp_path):
    (tmp_path / "work.0.claim").write_text("{")
    claims = Claims(tmp_path, **FAST)
    assert claims.take("work") is None
    time.sleep(0.6)
    assert claims.take("work") is not None


def test_a_beat_must_be_well_below_the_limit(tmp_path):
    with pytest.raises(ValueError, match="beat must"):
        Claims(tmp_path, beat=10, limit=12)
