"""The command line with its cache in a folder: `command_elsewhere.py FOLDER study run NAME`."""

from __future__ import annotations

import sys
from pathlib import Path

from squeeze_utils.__main__ import main
from squeeze_utils.base import paths

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    paths.cache = lambda: folder
    sys.exit(main(sys.argv[2:]))
