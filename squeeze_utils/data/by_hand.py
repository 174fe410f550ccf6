"""Image sets of the chapters that nothing downloads: where they come from, and where they go."""

from __future__ import annotations

from pathlib import Path

from squeeze_utils.base.checks import choose
from squeeze_utils.data import bccd, camvid

#: Of each set the page that has it, and its files below the folder of image sets.
SOURCES = {
    "intel": (
        "https://github.com/afroozsheikh/Intel-Image-Classifier",
        "intel/{train,test}/CLASS/*",
    ),
    "caltech101": (
        "https://github.com/MachineLearning2020/Homework2-Caltech101",
        "caltech101/{train,test}/CLASS/*",
    ),
    "bccd": (bccd.SOURCE, "bccd/{JPEGImages,Annotations,ImageSets/Main}"),
    "camvid": (camvid.SOURCE, "camvid/{train,val,test}/{images,masks}/*"),
}


def how_to_get(name: str, root: Path) -> str:
    """What to do for the set, which is not in `root`, in a sentence or two."""
    choose("image set", name, SOURCES)
    page, files = SOURCES[name]
    return (
        f"It is not downloaded: get it from {page} and place it as {root}/{files}, or set "
        "SQUEEZE_DATA to the folder that has it. data/README.md says more."
    )
