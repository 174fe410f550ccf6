"""How every command of the project ends: an exit code, and one line on what went wrong."""

from __future__ import annotations

import sys
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


def _said(error: Exception, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
