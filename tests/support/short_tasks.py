"""Tasks for helpers. They load nothing heavy, so that a helper is there in an instant."""

from __future__ import annotations

import os
import sys
import time


def where(number: int) -> tuple[int, int]:
    """The number and the process that dealt with it."""
    time.sleep(0.05)
    return number, os.getpid()


def uneven(number: int) -> int:
    """The number, after a time that does not grow with it."""
    time.sleep(0.2 if number % 5 == 0 else 0.01)
    return number


def fails(number: int) -> int:
    """The number, except for 3."""
    time.sleep(0.05)
    if number == 3:
        raise ValueError(f"task {number} is bad")
    return number


def noted(number: int, folder: str) -> int:
    """The number, which a file in the folder bears witness to; 0 takes long and then fails."""
    if number == 0:
        time.sleep(0.3)
        raise ValueError("task 0 is bad")
    time.sleep(0.1)
    open(os.path.join(folder, str(number)), "w").close()
    return number


def dies(number: int) -> int:
    """The number, except for a helper, which ends as one does that the system kills."""
    time.sleep(0.05)
    if "pytest" not in sys.modules:
        os._exit(1)
    return number


def torch_here(_: int) -> tuple[int, int, bool]:
    """This process, its threads, and whether what the first step of an optimizer loads is there."""
    time.sleep(0.05)
    loaded = "torch._dynamo" in sys.modules
    import torch

    return os.getpid(), torch.get_num_threads(), loaded
