"""Studies: named sets of experiments, run resumably, one record on disk for each.

`python -m squeeze_utils.study list` names them; `... run NAME --scale reference [--jobs N]`
runs what has no record yet.
"""

from __future__ import annotations

from ..scale import Scale
from .arms import Arm, Study, table
from .known import catalogue, find, reference
from .running import run

__all__ = ["Arm", "Scale", "Study", "catalogue", "find", "reference", "run", "table"]
