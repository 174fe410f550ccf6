"""Checks before the environment is made: is this Python new enough, does the disk have room?

Run as a file, ``python tools/preflight.py FOLDER``, by any Python 3, with nothing
installed: so it uses no syntax newer than Python 3.6 and imports the standard library only.
"""

import os
import shutil
import sys

OLDEST = (3, 10)
GIGABYTES = 6.0  # torch from PyPI brings its CUDA libraries: 5.4 GB installed


def python_problem(version, program=sys.executable):
    """Say what is wrong with a Python of this ``(major, minor, ...)`` version, None if nothing."""
    if tuple(version[:2]) >= OLDEST:
        return None
    return (
        "Python {}.{} ({}) is too old: this project needs Python {}.{} or newer.\n"
        "Name another one like this: make notebooks PYTHON=python3.12"
    ).format(version[0], version[1], program, *OLDEST)


def disk_problem(folder, free=None, needed=GIGABYTES):
    """Say so when fewer than ``needed`` GB (10**9 bytes) are free at ``folder``, else None.

    ``free`` is in bytes and is looked up when it is not given; ``folder`` need not exist yet.
    """
    if free is None:
        free = shutil.disk_usage(nearest_existing(folder)).free
    if free >= needed * 1e9:
        return None
    return (
        "Only {:.1f} GB are free on the disk that would hold '{}'; the environment needs "
        "about {:g} GB\n(torch with its CUDA libraries). Free some space, or put the environment "
        "on another disk:\nmake notebooks VENV=FOLDER_ON_ANOTHER_DISK"
    ).format(free / 1e9, folder, needed)


def nearest_existing(folder):
    """The folder itself, or the closest one above it that exists."""
    path = os.path.abspath(folder)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def main(arguments):
    """Print every problem to stderr; 0 when there is none, 1 otherwise, 2 for a wrong call."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python tools/preflight.py FOLDER\n")
        return 2
    problems = [python_problem(sys.version_info), disk_problem(arguments[0])]
    problems = [problem for problem in problems if problem]
    for problem in problems:
        sys.stderr.write("error: " + problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
