"""What commands of the project share: how they end, and a kind of argument."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable

WRONG, FAILED, INTERRUPTED = 2, 1, 130


def exit_code(work: Callable[[], None], kept: str) -> int:
    """Do `work`; 0, or 2 for what the user can put right, 1 for what failed, 130 for Ctrl-C.

    Each comes with a line on standard error; after Ctrl-C it says what is `kept`. Other exceptions
    are faults of the program and pass through with their traces.
    """
    try:
        work()
    except (ValueError, ImportError, FileNotFoundError, NotADirectoryError) as error:
        return _said(error, WRONG)
    except (OSError, RuntimeError) as error:
        return _said(error, FAILED)
    except KeyboardInterrupt:
        print(f"interrupted; {kept}", file=sys.stderr)
        return INTERRUPTED
    return 0


def positive(text: str) -> int:
    """A whole number of at least 1, as the type of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _said(error: Exception, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
