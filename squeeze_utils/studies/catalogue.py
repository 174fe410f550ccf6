"""The studies of the series by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study


def modules() -> Iterator[ModuleType]:
    """The modules that define studies and searches."""
    package = importlib.import_module("squeeze_utils.studies")
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"squeeze_utils.studies.{info.name}")


def catalogue() -> dict[str, Callable[[Scale], Study]]:
    """Every study of the series by name; each is made for a scale."""
    found: dict[str, Callable[[Scale], Study]] = {}
    for module in modules():
        found.update(getattr(module, "STUDIES", {}))
    return found


def find(name: str, scale: Scale) -> Study:
    """The study called `name` at `scale`."""
    known = catalogue()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; accepted: {', '.join(sorted(known))}")
    return known[name](scale)


def reference(name: str) -> tuple[Study, dict[str, Record]]:
    """A study at reference scale, and those of its records that are committed."""
    study = find(name, Scale("reference"))
    return study, study.records()
