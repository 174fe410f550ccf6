"""The first numbers in README.md: the best network and the smallest files, a row each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.execute import notebooks
from tools.readme_results import markdown_table

#: Image set, its name here, and budgets in bytes: the network that is best on validation images.
BUDGETS = {"CIFAR-10": ("cifar10", (5_000_000, 100_000)), "MNIST": ("mnist", (6_500,))}
RELEASED = "squeezenet1_0"  # the smallest of its files is shown
HEADER = ["images", "network", "bytes", "test accuracy (%)", "chapter"]


def headlines(root: Path) -> str:
    """The headline numbers as Markdown, from what is kept below `root`; nothing without records."""
    rows = [*_chosen(root), *_released(root)]
    if not rows:
        return ""
    files = {path.name[:2]: path.name for path in notebooks(root)}
    for row in rows:
        if row[-1] in files:
            row[-1] = f"[{row[-1]}](notebooks/{files[row[-1]]})"
    note = (
        "Means over the seeds, from committed records. Bytes are those of a file, or of "
        "the float32 parameters where none was written. [More results](#results-so-far)."
    )
    return f"{markdown_table(HEADER, rows)}\n\n{note}"


def _chosen(root: Path) -> Iterator[list[str]]:
    from squeeze_utils.results.whole_series import choose, every_network

    runs = root / "data" / "runs"
    for images, (name, budgets) in BUDGETS.items() if runs.is_dir() else ():
        found = choose(every_network(name, runs), budgets)
        for _, row in found.drop_duplicates("bytes").iterrows():
            accuracy, size = f"{row['test']:.2f}", f"{row['bytes']:,.0f}"
            yield [images, row["network"], size, accuracy, row["chapter"]]


def _released(root: Path) -> Iterator[list[str]]:
    from squeeze_utils.imagenet.size_curve import TITLES, points

    if (root / "data" / "measurements" / "released" / f"{RELEASED}.json").is_file():
        row = points(RELEASED).iloc[0]
        lost = f"{row['change']:+.1f} ± {row['interval']:.1f} points against the original"
        network = f"{TITLES[RELEASED]}, rounded after training"
        accuracy = f"{row['top-1']:.1f} ({lost})"
        yield [
            f"ImageNet, {row['n']:.0f} training pictures",
            network,
            f"{row['bytes']:,}",
            accuracy,
            "14",
        ]
