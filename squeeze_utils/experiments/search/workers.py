"""Which process works on a trial, and whether it is still there."""

from __future__ import annotations

import hashlib
import os

from optuna.trial import FrozenTrial

from squeeze_utils.base.claims import is_running, this_machine


def worker_name() -> str:
    """This process: its number and, as hashes, its host, the host's last start, its container."""
    parts = (hashlib.sha256(part.encode()).hexdigest()[:8] for part in this_machine())
    return f"{'.'.join(parts)}:{os.getpid()}"


def is_gone(trial: FrozenTrial) -> bool:
    """Whether a trial that counts as running certainly is not: its process has ended here.

    Of processes elsewhere it cannot be known: the epochs of their trials stay reserved.
    """
    place, _, process = trial.user_attrs.get("worker", "").partition(":")
    if place.count(".") != 2:  # names in old journals say less
        return False
    (host, start, space), here = place.split("."), worker_name().partition(":")[0].split(".")
    if host != here[0]:
        return False
    if start != here[1]:  # the host was started anew, which no process outlives
        return True
    return space == here[2] and not is_running(int(process))
