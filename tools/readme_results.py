"""The results in README.md: the headline network, five comparisons, and the finished studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from squeeze_utils.experiments.records import Record
    from squeeze_utils.experiments.study import Study
    from squeeze_utils.results.study_results import Results

__all__ = ["COMPARISONS", "Comparison", "markdown_table", "results"]

# Studies whose results stand in README.md, in this order; the first is the headline network.
HEADLINES = (
    "headline",
    "baseline",
    "residual_best",
    "dsd",
    "deep_compression",
    "deep_compression_vgg",
)
MISSING = "not trained yet"


@dataclass(frozen=True)
class Comparison:
    """One arm of a study against its control: a question that the series answers.

    `labels` choose the part of the study; an arm may have several rates in common with its
    control, and then each is taken at its better one.
    """

    question: str
    study: str
    by: str
    arm: str
    control: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    has_rates: bool = False

    def row(self, found: Results) -> list[str]:
        """Question, arm and control, difference with interval, verdict, networks, epochs."""
        part = found.where(**self.labels) if self.labels and len(found) else found
        part = part.at_best_rate(self.by) if self.has_rates else part
        gaps, names = part.compare(self.by, self.control), f"{self.arm} − {self.control}"
        if self.arm not in gaps.index or gaps.loc[self.arm, "n"] < 2:
            return [self.question, names, "", MISSING, "", ""]
        gap = gaps.loc[self.arm]
        difference = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})"
        frame = part.frame[part.frame[self.by] == self.arm]
        epochs = f"{frame['epochs'].iloc[0]:.0f}"
        return [self.question, names, difference, f"**{gap['verdict']}**", str(gap["n"]), epochs]


COMPARISONS = (
    Comparison("Does a bypass help? (09)", "residual_long", "network", "simple bypass", "plain"),
    Comparison(
        "Do squeeze layers need their ReLU? (06)",
        "linear_squeeze_long",
        "squeeze",
        "linear",
        "ReLU",
        has_rates=True,
    ),
    Comparison(
        "Is a sparse phase better than training for longer? (11)",
        "dsd_long",
        "recipe",
        "DSD 50%",
        "dense control",
    ),
    Comparison(
        "Are 90 % zeros better than a small dense network? (10)",
        "pruning_long",
        "network",
        "magnitude",
        "dense, the scan's widths",
    ),
    Comparison(
        "What do weights of 3 bits cost? (12)",
        "quantization_training_long",
        "method",
        "learned steps",
        "float, trained on",
        labels={"weights": (3, 32)},
    ),
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
    header = ["", "arm − control", "points (95 % interval)", "verdict", "networks an arm", "epochs"]
    rows = [comparison.row(records) for comparison, records in found]
    head = (
        "**Five comparisons**: half-width SqueezeNet, all 45,000 training images of CIFAR-10, "
        "test accuracy of networks with equal epochs and learning rates tuned alike"
    )
    return f"{head}\n\n{markdown_table(header, rows)}"


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
