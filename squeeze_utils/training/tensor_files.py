"""Files of tensors that the series keeps for itself: whole, and of this very content, or unused.

A file is a SHA-256 checksum (32 bytes) and what `torch.save` wrote. What the checksum does not
fit is never unpickled.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from squeeze_utils.base.files import write_atomically

CHECKSUM = 32  # bytes


class UnusableFileError(ValueError):
    """A file that is damaged, or that does not hold what is wanted from it."""


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()
    write_atomically(path, hashlib.sha256(data).digest() + data)


def load_tensors(
    path: Path, names: Collection[str], device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """What `save_tensors` wrote to `path`; UnusableFileError unless it is whole and has `names`."""
    data = path.read_bytes()
    checksum, data = data[:CHECKSUM], data[CHECKSUM:]
    if hashlib.sha256(data).digest() != checksum:
        raise UnusableFileError("its checksum is wrong")
    try:
        content = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UnusableFileError(f"this version of torch cannot read it: {error}") from error
    lacking = [name for name in names if name not in content]
    if lacking:
        raise UnusableFileError(f"it lacks {', '.join(lacking)}")
    return content


def load_kept(path: Path, made_by: object, names: Collection[str]) -> dict[str, Any] | None:
    """What `keep` put there; None if it is damaged, made of something else or not there."""
    try:
        content = load_tensors(path, ("made_by", *names))
    except (OSError, UnusableFileError):
        return None
    return content if content["made_by"] == made_by else None


def keep(path: Path, made_by: object, **content: Any) -> None:
    """Write `content` and plain values that say what it was made of, for `load_kept`."""
    save_tensors(path, {"made_by": made_by, **content})
