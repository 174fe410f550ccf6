"""The network that every library gets, and how its answer is judged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base import machine
from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.base.timing import median_time
from squeeze_utils.data import ImageSet, normalise
from squeeze_utils.models.checkpoint_files import load_model, save_model

BATCH = 160  # pictures at a time: exported networks take batches of one size only
REPETITIONS = 30


@dataclass
class Bench:
    """The network, the images, and what the float network says about them.

    Files are written to `folder`; `pictures` are those that chapter 14's networks are judged on.
    """

    images: ImageSet
    folder: Path
    pictures: Path | None = None
    logits: Tensor = field(init=False)
    networks: dict[str, Callable[[Tensor], Tensor]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        machine.keep_freed_memory()  # as training does anyway: so all topics are timed alike
        self.logits = self.answers(self.network())

    def network(self) -> nn.Module:
        """A fresh copy of the committed checkpoint."""
        return load_model(STARTING_NETWORK)[0].eval()

    def batch(self, split: str, start: int, count: int) -> Tensor:
        """Normalised images of a split."""
        pixels = getattr(self.images, split).images[start : start + count]
        return normalise(pixels, self.images.mean, self.images.std)

    @torch.no_grad()
    def answers(self, model: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits of all test images, in batches that are equal, as exported networks want."""
        starts = range(0, len(self.images.test), BATCH)
        return torch.cat([_padded(model, self.batch("test", i, BATCH)) for i in starts])

    def row(
        self,
        tool: str,
        package: str,
        model: Any,
        size: int,
        note: str = "",
        simulated: bool = False,
    ) -> dict[str, Any]:
        """What a network answers and how large its file is; `timed` runs it against the others.

        A network that is `simulated` rounds in float: it is not timed.
        """
        if not simulated:
            self.networks[tool] = model
        logits = self.answers(model)
        right = logits.argmax(1) == self.images.test.labels
        same = logits.argmax(1) == self.logits.argmax(1)
        return {
            "tool": tool,
            "version": version(package),
            "accuracy": round(100 * right.double().mean().item(), 2),
            "agreement": round(100 * same.double().mean().item(), 2),
            "bytes": size,
            "note": note,
        }

    def timed(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows of a topic with the milliseconds that a picture takes; None where it simulates.

        The topic's networks take turns, so that a slow minute of the machine slows them all.
        """
        made = list(rows)
        batch = self.batch("test", 0, BATCH)
        names = [row["tool"] for row in made if row["tool"] in self.networks]
        with torch.no_grad():
            ways = {name: partial(self.networks.pop(name), batch) for name in names}
            medians = median_time(ways, REPETITIONS)["median_ms"]
        each = {tool: round(float(ms) / len(batch), 3) for tool, ms in medians.items()}
        return [{**row, "milliseconds": each.get(row["tool"])} for row in made]


def _padded(model: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """The answers to a batch that may be shorter than the others."""
    missing = BATCH - len(batch)
    whole = torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)]) if missing else batch
    return model(whole)[: len(batch)]


def checkpoint(model: nn.Module, bench: Bench) -> bytes:
    """The file of our own that holds the network: its weights as float16."""
    path = bench.folder / "saved.safetensors"
    save_model(model, path)
    return path.read_bytes()


def state_bytes(model: nn.Module) -> bytes:
    """What `torch.save` makes of the network's state."""
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


def zipped(data: bytes) -> bytes:
    """The bytes of a zip archive of `data`, packed as tightly as zip can."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("state", data)
    return buffer.getvalue()
