"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `path` through a temporary file beside it, making its folder.

    `content` is the bytes, or a function that writes them to an open file: for large arrays.
    """
    with _beside(path, content) as temporary:
        os.replace(temporary, path)


def write_new(path: Path, content: bytes) -> bool:
    """Write `path` unless there is a file; whether this was done. Of many processes one does it.

    Where files cannot have a second name, a file that comes at the same moment is replaced.
    """
    with _beside(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            if path.exists():
                return False
            os.replace(temporary, path)
    return True


@contextmanager
def _beside(path: Path, content: bytes | Callable[[BinaryIO], object]) -> Iterator[str]:
    """A temporary file beside `path` with this content; gone afterwards, unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            content(file) if callable(content) else file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `NAME.corrupt` (numbered if that exists); return the new path.

    Another process that has met the same file may have done so just now.
    """
    target = path.with_name(path.name + ".corrupt")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt{number}")
    with suppress(FileNotFoundError):
        path.rename(target)
    return target
