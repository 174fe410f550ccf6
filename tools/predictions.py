"""Predictions stay as they were written: a list names all of them, and notebooks may only add.

A prediction that is changed once its result is known is worth nothing. The list holds a hash of
each, with its first words; a change or a loss shows in `make check`, and taking a line out of the
list shows in the diff.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from squeeze_utils.base.files import write_atomically
from tools.execute import read_notebook
from tools.site.chapters import notebook_paths

LIST = Path("tools") / "predictions.txt"
_PREDICTION = re.compile(r"(?m)^> \*\*Prediction\b.*(?:\n>.*)*")


def predictions(path: Path) -> list[str]:
    """The line of the list for each prediction in a notebook: number, hash, first words."""
    lines = []
    for cell in read_notebook(path).cells:
        for found in _PREDICTION.findall(cell.source) if cell.cell_type == "markdown" else ():
            text = " ".join(line.removeprefix(">").strip() for line in found.splitlines())
            digest = hashlib.sha256(text.encode()).hexdigest()[:12]
            lines.append(f"{path.name[:2]} {digest} {text.replace('**', '')[:70].strip()}")
    return lines


def check(root: Path) -> list[str]:
    """Predictions that were changed or lost, and new ones that the list does not name."""
    listed = _listed(root)
    try:
        there = _there(root)
    except (ValueError, KeyError, AttributeError):
        return []  # a file is not readable as a notebook: `check_series` says which
    lost = [
        f"a prediction was changed or removed: {line!r}. It stays as it was first written; a "
        "correction goes beside it"
        for line in listed
        if line not in there
    ]
    new = [
        f"a prediction is not in {LIST.as_posix()}: {line!r}; run "
        "python -m tools.series predictions"
        for line in there
        if line not in listed
    ]
    return lost + new


def add_new(root: Path) -> int:
    """Put the new predictions on the list, behind those of their notebook; how many they are."""
    listed = _listed(root)
    new = [line for line in _there(root) if line not in listed]
    lines = sorted([*listed, *new], key=lambda line: line[:2])
    write_atomically(root / LIST, "".join(f"{line}\n" for line in lines).encode())
    return len(new)


def _listed(root: Path) -> list[str]:
    file = root / LIST
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _there(root: Path) -> list[str]:
    return [line for path in notebook_paths(root) for line in predictions(path)]
