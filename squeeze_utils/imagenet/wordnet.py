"""Which of the 1,000 ImageNet classes a WordNet id such as n01440764 (tench) stands for.

An id is the place of a noun in WordNet 3.0; in ascending order they are the order of the classes.
"""

from __future__ import annotations

from importlib import resources

IDS: tuple[str, ...] = tuple(
    resources.files(__package__).joinpath("wordnet_ids.txt").read_text("ascii").split()
)


def classes() -> tuple[str, ...]:
    """The names of the 1,000 classes in the order of the network's outputs."""
    from torchvision.models import SqueezeNet1_1_Weights

    return tuple(SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"])


def class_of(folder: str) -> int:
    """The class that a folder's name stands for: a WordNet id, or a class name in any case."""
    if folder in IDS:
        return IDS.index(folder)
    names = [name.replace("_", " ") for name in classes()]
    plain = folder.replace("_", " ")
    if plain in names:  # a cardigan is a garment, a Cardigan a dog
        return names.index(plain)
    lower = [name.lower() for name in names]
    if plain.lower() in lower:
        return lower.index(plain.lower())
    raise ValueError(
        f"{folder!r} is no class of ImageNet; folders are named by WordNet id (n01440764) or by "
        "class name (tench)"
    )
