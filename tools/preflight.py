"""Checks before the environment is made: is this Python new enough, does the disk have room?

Run as a file, ``python tools/preflight.py FOLDER [notebooks|site]``, by any Python 3, with nothing
installed: so it uses no syntax newer than Python 3.6 and imports the standard library only.
"""

import os
import shutil
import sys

OLDEST = (3, 10)
# Of each environment: GB (10**9 bytes), what takes them, and how make puts it on another disk.
# torch from PyPI brings its CUDA libraries: 5.4 GB installed.
ENVIRONMENTS = {
    "notebooks": (7.0, "torch with its CUDA libraries", "make notebooks VENV"),
    "site": (0.5, "Sphinx, and Node.js if it is missing", "make site SITE"),
}


def python_problem(version, program=sys.executable, kind="notebooks"):
    """Say what is wrong with a Python of this ``(major, minor, ...)`` version, None if nothing."""
    if tuple(version[:2]) >= OLDEST:
        return None
    return (
        "Python {}.{} ({}) is too old: this project needs Python {}.{} or newer.\n"
        "Name another one like this: make {} PYTHON=python3.12"
    ).format(version[0], version[1], program, OLDEST[0], OLDEST[1], kind)


def disk_problem(folder, free=None, kind="notebooks"):
    """Say so when the rest of an environment does not fit on the disk of ``folder``, else None.

    ``free`` is in bytes and is looked up when it is not given; ``folder`` need not exist yet. What
    an interrupted installation has left there counts as installed.
    """
    needed, what, command = ENVIRONMENTS[kind]
    if free is None:
        free = shutil.disk_usage(nearest_existing(folder)).free
    there = size_of(folder)
    if free + there >= needed * 1e9:
        return None
    return (
        "Only {:.1f} GB are free on the disk that would hold '{}'; the environment needs "
        "about {:.1f} GB{}\n({}). Free some space, or put the environment "
        "on another disk:\n{}=FOLDER_ON_ANOTHER_DISK"
    ).format(free / 1e9, folder, needed - there / 1e9, " more" if there else "", what, command)


def size_of(folder):
    """The bytes of all files below a folder; 0 if there is none."""
    paths = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(size for size in map(_size, paths))


def _size(path):
    """The bytes of a file; 0 for one that has just gone, as the temporary files of pip do."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def nearest_existing(folder):
    """The folder itself, or the closest one above it that exists."""
    path = os.path.abspath(folder)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def main(arguments):
    """Print every problem to stderr; 0 when there is none, 1 otherwise, 2 for a wrong call."""
    folder, *others = arguments or [""]
    kind = others[0] if others else "notebooks"
    if not folder or len(others) > 1 or kind not in ENVIRONMENTS:
        kinds = "|".join(sorted(ENVIRONMENTS))
        sys.stderr.write("usage: python tools/preflight.py FOLDER [{}]\n".format(kinds))
        return 2
    problems = [python_problem(sys.version_info, kind=kind), disk_problem(folder, kind=kind)]
    problems = [problem for problem in problems if problem]
    for problem in problems:
        sys.stderr.write("error: " + problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
