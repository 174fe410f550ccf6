"""Where things lie: in a checkout of the repository, or in the installed package."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
# The committed checkpoint that later chapters compress and deploy. With another one, what
# data/README.md lists has to be made again. It stands here because programs that have no torch
# ask for it: the site and the browser demo.
STARTING_NETWORK = "squeezenet-cifar10"


def repository() -> Path | None:
    """The checkout that this package is imported from, or None when it was installed."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def shipped(name: str) -> Path:
    """The folder of committed material `name` ("runs", "checkpoints" or "measurements").

    A checkout has it under `data/`; a wheel carries a copy inside the package.
    """
    root = repository()
    return root / "data" / name if root else PACKAGE / "_data" / name


def cache() -> Path:
    """The folder for what can be made again: in the checkout, or in the user's cache folder.

    The latter is for an installed package and for a checkout that cannot be written to.
    """
    root = repository()
    if root and os.access(root / "data", os.W_OK):
        return root / "data" / "cache"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "squeeze_utils"
