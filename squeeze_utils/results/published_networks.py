"""Small networks for CIFAR-10 that others have trained: as published, not measured by us."""

from __future__ import annotations

from typing import NamedTuple

FLOAT32 = 4  # bytes


class PublishedNetwork(NamedTuple):
    """What was trained, its size and arithmetic for one image, test accuracy in percent, and how.

    No accuracy averages the answers for several views of an image, or of several networks.
    """

    network: str
    parameters: int
    multiply_adds: float  # millions
    accuracy: float
    source: str
    conditions: str

    @property
    def bytes(self) -> int:
        """Of the parameters in float32."""
        return self.parameters * FLOAT32

    def __str__(self) -> str:
        return (
            f"{self.network}: {self.accuracy:g} %, {self.parameters:,} parameters, "
            f"{self.multiply_adds:.0f} million multiply-adds ({self.source}; {self.conditions})"
        )


PAPER = "He et al. 2015, Table 6"
IMGCLSMOB = "osmr/imgclsmob"
TINIEST = "xvel/cifar10-tiniest"
#: From the tables of these pages; at most about 0.75 million parameters.
CIFAR10 = (
    PublishedNetwork(
        "Tiniest",
        97_530,
        44,
        94.4,
        TINIEST,
        "5 networks, 200 epochs; shift, flip, rotation, sharpening, colour, mixup",
    ),
    PublishedNetwork("ResNet-20", 270_000, 41, 91.25, PAPER, "shift and flip"),
    PublishedNetwork("ResNet-20", 272_474, 41.29, 94.03, IMGCLSMOB, "a stronger recipe"),
    PublishedNetwork("DenseNet-40, k = 12", 599_050, 210.8, 94.39, IMGCLSMOB, "a stronger recipe"),
)


def front_points() -> list[tuple[str, int, float]]:
    """Source and network, bytes in float32 and accuracy (%), as `whole_series_figure` draws them.

    Of two trainings of one network the better stands here.
    """
    best = {one.network: one for one in sorted(CIFAR10, key=lambda one: one.accuracy)}
    kept = [one for one in CIFAR10 if best[one.network] is one]
    return [(f"{one.source}, {one.network}", one.bytes, one.accuracy) for one in kept]
