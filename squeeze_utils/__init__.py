"""Helpers of the notebook series: data, models, training, recipes, studies and figures.

Import the room you need, for example ``from squeeze_utils import data``: importing the package
itself loads nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

# The one place where the repository's address stands. `make badges REPO=owner/name` rewrites this
# line and then every badge, link and set-up cell from it. An account name on GitHub cannot hold an
# underscore, so the address below can belong to nobody: it waits for the repository's real home.
REPOSITORY = "your_account/squeezenet-math"
