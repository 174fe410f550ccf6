"""The results in README.md: the headline network, five comparisons, and the finished studies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from squeeze_utils.results.headlines import COMPARISONS, HEADER, Comparison

if TYPE_CHECKING:
    from squeeze_utils.experiments.records import Record
    from squeeze_utils.experiments.study import Study
    from squeeze_utils.results.study_results import Results

# Studies whose results stand in README.md, in this order; the first is the headline network.
HEADLINES = (
    "headline",
    "baseline",
    "residual_best",
    "dsd",
    "deep_compression",
    "deep_compression_vgg",
)


def results(root: Path) -> str:
    """All results as Markdown, from the records below `root`."""
    from squeeze_utils.base.scale import Scale
    from squeeze_utils.results.study_results import Results
    from squeeze_utils.studies.catalogue import find

    def recorded(name: str) -> Results:
        study = find(name, Scale("reference"))
        return Results(study, study.records(root / "data" / "runs"))

    compared = _comparisons([(one, recorded(one.study)) for one in COMPARISONS])
    tables = [_study(found.study, found.found) for found in map(recorded, HEADLINES)]
    headline, *others = tables
    return "\n\n".join(part for part in (headline, compared, *others) if part)


def _comparisons(found: list[tuple[Comparison, Results]]) -> str:
    rows = [comparison.row(records) for comparison, records in found]
    head = (
        "**Five comparisons**: half-width SqueezeNet, all 45,000 training images of CIFAR-10, "
        "test accuracy of networks with equal epochs and learning rates tuned alike"
    )
    return f"{head}\n\n{markdown_table(list(HEADER), rows)}"


def _study(study: Study, records: Mapping[str, Record]) -> str:
    """The finished rows of a study, those with a record for every seed, by their labels.

    The learning rate, which a pilot chose, is not what tells rows apart: it is left out.
    """
    from squeeze_utils.results.tables import source_line

    rows, shown, groups = [], {}, {}
    for arm in study.arms:
        groups.setdefault(arm.labels, []).append(arm.experiment.key)
    for labels, keys in groups.items():
        if all(key in records for key in keys):
            shown |= {key: records[key] for key in keys}
            name = ", ".join(str(value) for label, value in labels if label != "lr")
            rows.append({"": name, **_numbers([records[key] for key in keys])})
    if not rows:
        return ""
    header = ["", "test accuracy (%)", "seeds", "parameters", "float32 (MB)", "epochs"]
    if any("file_bytes" in record.final for record in shown.values()):
        header[-1:] = ["file (bytes)", "times smaller"]
    head = f"**{study.title[:1].upper()}{study.title[1:]}** (study `{study.name}`)"
    cells = [[row.get(column, "") for column in header] for row in rows]
    return f"{head}\n\n{markdown_table(header, cells)}\n\n{source_line(shown)}"


def _numbers(records: list[Record]) -> dict[str, str]:
    from squeeze_utils.results.statistics import mean_sd

    last = records[0].final
    found = {
        "test accuracy (%)": mean_sd([record.final["test_accuracy"] for record in records], 2),
        "seeds": str(len(records)),
        "parameters": f"{last['parameters']:,}",
        "float32 (MB)": f"{last['dense_bytes'] / 1e6:.2f}",
        "epochs": str(records[0].epochs),
    }
    if "file_bytes" in last:
        sizes = [record.final["file_bytes"] for record in records]
        found["file (bytes)"] = mean_sd(sizes, 0)
        found["times smaller"] = mean_sd([last["dense_bytes"] / size for size in sizes])
    return found


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
