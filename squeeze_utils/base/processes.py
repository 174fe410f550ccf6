"""What the processes are told that this package starts beside itself."""

from __future__ import annotations

import os

from squeeze_utils.base.paths import PACKAGE


def child_environment(threads: int | None = None, **more: str) -> dict[str, str]:
    """The environment of a process that finds this very package, with so many threads and `more`.

    The user's own PYTHONPATH stays, behind the package. Without `threads` libraries choose.
    """
    folders = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    if threads is not None:
        found |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return found | more
