"""The two ImageNet networks of the series: the released file, and torchvision's SqueezeNet 1.1."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path

from torch import nn

from squeeze_utils.base import paths
from squeeze_utils.base.downloads import TIMEOUT
from squeeze_utils.base.files import write_atomically
from squeeze_utils.compress.sqz.bits import ContainerError
from squeeze_utils.imagenet import released_file
from squeeze_utils.models import build
from squeeze_utils.models.pretrained import NAME as TORCHVISION
from squeeze_utils.models.pretrained import imagenet_weights

NAME = "compressed_SqueezeNet.net"
URL = f"https://raw.githubusercontent.com/songhan/SqueezeNet-Deep-Compression/master/{NAME}"
SHA256 = "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261"
BYTES = 675_763


def released_path() -> Path:
    """Where the released file lies, or is put by `fetch`: below data/models/.

    With SQUEEZE_DATA set, the file of that folder is taken if there is one.
    """
    elsewhere = os.environ.get("SQUEEZE_DATA")
    if elsewhere and (Path(elsewhere) / NAME).is_file():
        return Path(elsewhere) / NAME
    root = paths.repository()
    return (root / "data" if root else paths.cache()) / "models" / NAME


def fetch(path: Path | None = None, url: str = URL) -> Path:
    """Download the released file (0.7 MB) unless it is there; either way its checksum is compared.

    Another file that lies there is never replaced: it may be somebody's own.
    """
    path = path or released_path()
    if path.is_file():
        if not _is_released(path.read_bytes()):
            raise ValueError(
                f"{path} is not the file of 2016, or damaged: its checksum is wrong; move it away, "
                "and the released one is downloaded"
            )
        return path
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            data = answer.read(BYTES + 1)
    except (OSError, HTTPException) as error:
        why = str(error) or type(error).__name__
        raise ValueError(
            f"{NAME} could not be fetched from {url} ({why}); without a network, place the file "
            f"as {path}"
        ) from error
    if not _is_released(data):
        raise ValueError(f"{url} gave another file than the one of 2016: its checksum is wrong")
    write_atomically(path, data)
    return path


def _is_released(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == SHA256


def trained(source: Path | str) -> nn.Module:
    """The network in a released file, or torchvision's if called squeezenet1_1."""
    if str(source) == TORCHVISION:
        return _torchvision()
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; accepted: a file, or {TORCHVISION}")
    try:
        return released_file.to_model(released_file.read_released(path.read_bytes()))
    except ContainerError as error:
        raise ContainerError(f"{path}: {error}") from error


def _torchvision() -> nn.Module:
    model = build(TORCHVISION)
    model.load_state_dict(imagenet_weights())
    return model.eval()
