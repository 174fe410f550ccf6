"""The command line with its cache in a folder: `command_elsewhere.py FOLDER study run NAME`.

Trainings are kept there after every epoch, and the number of the process `RANK` in `RANK.process`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from squeeze_utils.__main__ import main
from squeeze_utils.base import paths
from squeeze_utils.training.resuming import HalfwayFile

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    paths.cache = lambda: folder
    HalfwayFile.__init__.__defaults__ = (0.0,)
    folder.joinpath(f"{os.environ['RANK']}.process").write_text(str(os.getpid()))
    sys.exit(main(sys.argv[2:]))
