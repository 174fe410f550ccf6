"""The file `compressed_SqueezeNet.net` that the authors of Deep Compression released in 2016.

Little-endian: the numbers of stored entries of 26 convolutions (uint32) in network order; then
for each convolution a codebook of 256 float32, its biases (float32), one code a byte for every
entry, and gaps of four bits, two to a byte, the first in the low half. A gap g puts its entry
g + 1 places behind the one before; places run over (out, in, height, width), starting at -1.
Code 0 with a gap of 15 is the filler zero that bridges longer gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.compress.sqz.bits import ContainerError, Reader
from squeeze_utils.compress.sqz.coders import gaps_of
from squeeze_utils.models import build

ENTRIES = 256  # of a codebook
GAP_BITS = 4


@dataclass(frozen=True)
class Layer:
    """One convolution as it lies in the file; `codes` and `gaps` have one number an entry."""

    name: str
    shape: tuple[int, int, int, int]
    codebook: np.ndarray
    bias: np.ndarray
    codes: np.ndarray
    gaps: np.ndarray

    @property
    def places(self) -> np.ndarray:
        """Where each entry stands in the flattened weight."""
        return np.cumsum(self.gaps.astype(np.int64) + 1) - 1

    def weight(self) -> np.ndarray:
        """The weight (out, in, height, width), float32."""
        flat = np.zeros(int(np.prod(self.shape)), np.float32)
        flat[self.places] = self.codebook[self.codes]
        return flat.reshape(self.shape)

    @property
    def density(self) -> float:
        """Share of weights that are not zero, in percent."""
        return 100 * float(np.count_nonzero(self.weight())) / int(np.prod(self.shape))

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of its parts in the file."""
        return {
            "codebooks": 4 * ENTRIES,
            "biases": 4 * len(self.bias),
            "codes": len(self.codes),
            "gaps": (len(self.gaps) + 1) // 2,
        }


def convolutions() -> dict[str, nn.Conv2d]:
    """The 26 convolutions of SqueezeNet 1.0 in the order of the file, without memory."""
    with torch.device("meta"):
        model = build("squeezenet1_0")
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}


def read_released(data: bytes) -> list[Layer]:
    """The layers in a file's bytes; ContainerError if it is cut, too long or not such a file."""
    layers = convolutions()
    reader = Reader(data)
    header = np.frombuffer(reader.take(4 * len(layers), "the numbers of entries"), "<u4")
    found = []
    for (name, conv), entries in zip(layers.items(), header.tolist(), strict=True):
        shape = tuple(conv.weight.shape)
        places = conv.weight.numel()
        if entries > places:
            raise ContainerError(f"{name} has {entries:,} entries for {places:,} places")
        codebook = np.frombuffer(reader.take(4 * ENTRIES, f"codebook of {name}"), "<f4")
        bias = np.frombuffer(reader.take(4 * shape[0], f"biases of {name}"), "<f4")
        codes = np.frombuffer(reader.take(entries, f"codes of {name}"), np.uint8)
        packed = np.frombuffer(reader.take((entries + 1) // 2, f"gaps of {name}"), np.uint8)
        gaps = np.stack((packed & 15, packed >> 4), 1).reshape(-1)
        if entries % 2 and gaps[-1]:
            raise ContainerError(f"{name} has a gap too many")
        layer = Layer(name, shape, codebook, bias, codes, gaps[:entries])
        if entries and layer.places[-1] >= places:
            raise ContainerError(f"the gaps of {name} lead out of the layer")
        found.append(layer)
    reader.end()
    return found


def write_released(layers: list[Layer]) -> bytes:
    """The bytes of a file; the inverse of `read_released`, byte for byte."""
    parts = [np.array([len(layer.codes) for layer in layers], "<u4").tobytes()]
    for layer in layers:
        gaps = np.append(layer.gaps, np.zeros(len(layer.gaps) % 2, np.uint8)).astype(np.uint8)
        packed = gaps[0::2] | gaps[1::2] << 4
        parts += [layer.codebook.astype("<f4").tobytes(), layer.bias.astype("<f4").tobytes()]
        parts += [layer.codes.astype(np.uint8).tobytes(), packed.tobytes()]
    return b"".join(parts)


def sizes(layers: list[Layer]) -> dict[str, int]:
    """Bytes of every part of the file; they add up to its length."""
    found = {"header": 4 * len(layers)}
    for layer in layers:
        for part, size in layer.sizes.items():
            found[part] = found.get(part, 0) + size
    return found


def pack(name: str, weight: Tensor, bias: Tensor) -> Layer:
    """A layer of at most 255 different nonzero weights in the file's form."""
    flat = weight.detach().cpu().float().numpy().reshape(-1)
    values = np.unique(flat[flat != 0])
    if len(values) >= ENTRIES:
        raise ValueError(f"{name} has {len(values)} different weights, at most 255 have a code")
    codebook = np.zeros(ENTRIES, np.float32)
    codebook[1 : len(values) + 1] = values
    symbols = np.where(flat != 0, 1 + np.searchsorted(values, flat), 0)
    gaps, codes = gaps_of(symbols, 0, GAP_BITS)
    gaps, codes = gaps.astype(np.uint8), codes.astype(np.uint8)
    shape = tuple(weight.shape)
    return Layer(name, shape, codebook, bias.detach().cpu().float().numpy(), codes, gaps)


def to_model(layers: list[Layer]) -> nn.Module:
    """SqueezeNet 1.0 with these weights, for the original's pixels as `preprocess` makes them.

    These are BGR, from 0 to 255 less (104, 117, 123), and 227 pixels wide. The original also pads
    its last convolution by 1, an option of the network.
    """
    model = build("squeezenet1_0", last_padding=1)
    state = model.state_dict()
    for layer in layers:
        state[f"{layer.name}.weight"] = torch.from_numpy(layer.weight())
        state[f"{layer.name}.bias"] = torch.from_numpy(layer.bias.copy())
    model.load_state_dict(state)
    return model.eval()


def preprocess(images: Tensor) -> Tensor:
    """RGB uint8 (n, 3, 227, 227) as the original takes them: BGR less the mean, not scaled."""
    mean = torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    return images.flip(1).float() - mean
