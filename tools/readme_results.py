"""The results in README.md: the best network, five comparisons, and small files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeeze_utils.results.headlines import COMPARISONS, HEADER, Comparison

if TYPE_CHECKING:
    import pandas as pd

    from squeeze_utils.experiments.records import Record
    from squeeze_utils.experiments.study import Study
    from squeeze_utils.results.study_results import Results

# Of these the first that has finished rows stands in README.md.
NETWORKS = ("headline", "residual_best")
#: Image set: its name here, and budgets in bytes. The best on validation images that fits is shown.
BUDGETS = {"MNIST": ("mnist", (6_500, 20_000)), "CIFAR-10": ("cifar10", (66_000, 100_000))}
RELEASED = "squeezenet1_0"
IMAGENET = (240_000, 340_000)  # bytes of files of the released SqueezeNet

Budgets = Mapping[str, tuple[str, Sequence[int]]]


def results(root: Path) -> str:
    """All results as Markdown, from the records below `root`."""
    from squeeze_utils.base.scale import Scale
    from squeeze_utils.results.study_results import Results
    from squeeze_utils.studies.catalogue import find

    def recorded(name: str) -> Results:
        study = find(name, Scale("reference"))
        return Results(study, study.records(root / "data" / "runs"))

    tables = (_study(found.study, found.by_key) for found in map(recorded, NETWORKS))
    network = next((table for table in tables if table), "")
    compared = _comparisons([(one, recorded(one.study)) for one in COMPARISONS])
    return "\n\n".join(part for part in (network, compared, _small_files(root)) if part)


def chosen(root: Path, budgets: Budgets) -> Iterator[tuple[str, pd.Series]]:
    """Images, and the network that is best on validation images, for each number of bytes.

    It is one of at least three seeds, or of as many roundings.
    """
    from squeeze_utils.results.whole_series import choose, every_network, repeated

    for images, (name, sizes) in budgets.items():
        networks = repeated(every_network(name, root / "data" / "runs"))
        for _, row in choose(networks, sizes).iterrows():
            yield images, row


def released(root: Path) -> Iterator[tuple[str, str, pd.Series]]:
    """Images, network and numbers of the released SqueezeNet in each size, the smallest first."""
    from squeeze_utils.imagenet.size_curve import TITLES, points

    if (root / "data" / "measurements" / "released" / f"{RELEASED}.json").is_file():
        for _, row in points(RELEASED).iterrows():
            images = f"ImageNet, {row['n']:.0f} training pictures"
            yield images, f"{TITLES[RELEASED]}, rounded after training", row


def roundings(row: Mapping[str, Any]) -> str:
    """How often the one released network was rounded, in words."""
    from squeeze_utils.results.whole_series import repetitions

    return repetitions({"n": len(row["seeds"]), "networks": 1})


def _small_files(root: Path) -> str:
    from squeeze_utils.results.whole_series import repetitions

    rows = [
        _small_file(images, row["network"], row["test"], repetitions(row), row)
        for images, row in chosen(root, BUDGETS)
    ]
    for images, network, row in released(root):
        if row["target"] in IMAGENET:
            more = {"chapter": "14", "bytes": row["bytes"]}
            rows.append(_small_file(images, network, row["top-1"], roundings(row), more))
    if not rows:
        return ""
    header = ["images", "network", "test accuracy (%)", "mean of", "file (bytes)", "chapter"]
    head = (
        "**In few bytes**: for MNIST (at most 6,500 and 20,000 bytes) and CIFAR-10 (66,000 and "
        "100,000) the network that fits and is best on validation images; for ImageNet the "
        "released SqueezeNet in 240 kB, a thousandth of AlexNet's 240 MB, and in 340 kB"
    )
    return f"{head}\n\n{markdown_table(header, rows)}"


def _small_file(
    images: str, network: str, accuracy: float, seeds: str, row: Mapping[str, Any]
) -> list[str]:
    size = f"{row['bytes']:,.0f}"
    return [images, network, f"{accuracy:.2f}", seeds, size, str(row["chapter"])]


def _comparisons(found: list[tuple[Comparison, Results]]) -> str:
    rows = [comparison.row(records) for comparison, records in found]
    head = (
        "**Five comparisons**: half-width SqueezeNet, all 45,000 training images of CIFAR-10, "
        "test accuracy of networks with equal epochs and, at the start, learning rates tuned alike"
    )
    return f"{head}\n\n{markdown_table(list(HEADER), rows)}"


def _study(study: Study, records: Mapping[str, Record]) -> str:
    """The finished rows of a study, those with a record for every seed, by their labels.

    It is nothing before one of them has three seeds, so that no single network stands first. The
    learning rate, which a pilot chose, is not what tells rows apart: it is left out.
    """
    from squeeze_utils.results.tables import source_line
    from squeeze_utils.results.whole_series import REPEATS

    rows, shown, arms, groups, rates = [], {}, [], {}, {}
    for arm in study.arms:
        groups.setdefault(arm.labels, []).append(arm.experiment.key)
    for labels, keys in groups.items():
        if all(key in records for key in keys):
            shown |= {key: records[key] for key in keys}
            arms += [arm for arm in study.arms if arm.labels == labels]
            name = ", ".join(str(value) for label, value in labels if label != "lr")
            rows.append({"": name, **_numbers([records[key] for key in keys])})
            rates[name] = dict(labels).get("lr")
    if all(int(row["seeds"]) < REPEATS for row in rows):
        return ""
    header = ["", "test accuracy (%)", "seeds", "parameters", "float32 (MB)", "epochs"]
    head = f"**{study.title[:1].upper()}{study.title[1:]}** (study `{study.name}`)"
    cells = [[row.get(column, "") for column in header] for row in rows]
    source = source_line(shown, replace(study, arms=tuple(arms), expected=()))
    parts = [head, markdown_table(header, cells), _different_rates(rates), source]
    return "\n\n".join(filter(None, parts))


def _different_rates(rates: Mapping[str, float | None]) -> str:
    """A warning where the rows of a table were trained at different rates."""
    if len(set(rates.values())) < 2:
        return ""
    each = "; ".join(f"{name}: {rate}" for name, rate in rates.items())
    return (
        f"The learning rates differ ({each}), so the rows cannot be compared: their difference may "
        "come from the rates alone."
    )


def _numbers(records: list[Record]) -> dict[str, str]:
    from squeeze_utils.results.statistics import mean_sd

    last = records[0].final
    return {
        "test accuracy (%)": mean_sd([record.final["test_accuracy"] for record in records], 2),
        "seeds": str(len(records)),
        "parameters": f"{last['parameters']:,}",
        "float32 (MB)": f"{last['dense_bytes'] / 1e6:.2f}",
        "epochs": str(records[0].epochs),
    }


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
