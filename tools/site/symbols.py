"""The glossary of symbols, read from symbols.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).with_name("symbols.json")


@dataclass(frozen=True)
class Symbol:
    """A symbol, what it means, and the chapters in which it means that."""

    tex: str
    meaning: str
    chapters: tuple[str, ...]
    group: str


def read_symbols(path: Path = DATA) -> list[Symbol]:
    """All symbols, in the order of the file."""
    groups = json.loads(path.read_text(encoding="utf-8"))
    return [
        Symbol(entry["tex"], entry["meaning"], tuple(entry["in"].split()), group)
        for group, entries in groups.items()
        for entry in entries
    ]
