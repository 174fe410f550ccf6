"""Reading paths: which chapters, or which of their sections, to read in a given time.

All minutes are estimates, computed from the length of the text: nobody was timed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tools.site.chapters import Chapter

DATA = Path(__file__).with_name("paths.json")


@dataclass(frozen=True)
class Step:
    """A chapter to read, whole or only some sections, with its exercises or without."""

    chapter: Chapter
    sections: tuple[str, ...]  # empty: all of it
    why: str
    exercises: bool
    stage: str  # "Week 1"; empty where a path has no stages

    @property
    def to_read(self) -> int:
        """Minutes to read it, computed from its length."""
        return self.chapter.minutes_of(self.sections)

    @property
    def minutes(self) -> int:
        """To read, and for the exercises if they belong to it."""
        return self.to_read + (sum(self.chapter.exercises) if self.exercises else 0)


@dataclass(frozen=True)
class ReadingPath:
    """Steps in order, and the minutes that they have to fit into."""

    title: str
    anchor: str
    about: str
    limit: int  # minutes, of a stage where there are stages
    steps: tuple[Step, ...]

    @property
    def minutes(self) -> int:
        """All steps together."""
        return sum(step.minutes for step in self.steps)

    def stages(self) -> dict[str, list[Step]]:
        """The steps of each stage, in order."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.stage, []).append(step)
        return found


def read_paths(chapters: list[Chapter], path: Path = DATA) -> list[ReadingPath]:
    """The paths, of the chapters that are there."""
    known = {chapter.number: chapter for chapter in chapters}
    return [_path(entry, known) for entry in json.loads(path.read_text(encoding="utf-8"))]


def hours(minutes: int) -> str:
    """85 is "1 h 25 min"."""
    whole, rest = divmod(minutes, 60)
    parts = ([f"{whole} h"] if whole else []) + ([f"{rest} min"] if rest or not whole else [])
    return " ".join(parts)


def _path(entry: dict, known: dict[str, Chapter]) -> ReadingPath:
    steps = tuple(
        Step(
            chapter=known[step["chapter"]],
            sections=tuple(step.get("sections", ())),
            why=step.get("why", ""),
            exercises=entry.get("exercises", False),
            stage=step.get("stage", ""),
        )
        for step in entry["steps"]
        if step["chapter"] in known
    )
    return ReadingPath(entry["title"], entry["anchor"], entry["about"], entry["limit"], steps)
