"""From records to what a reader sees: where numbers come from, mean ± sd tables.

Works on the records of any study, live or committed, whole or still growing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from squeeze_utils.data.sets import is_built_in
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.results import costs
from squeeze_utils.results.statistics import mean_sd

ACCURACY = "test_accuracy"
NO_RECORDS = "no reference records yet"
NOT_TRAINED = "not trained yet"
SET_NAMES = {
    "cifar10": "CIFAR-10",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "bccd": "BCCD",
    "camvid": "CamVid",
    "intel": "Intel scenes",
    "caltech101": "Caltech-101",
}


def results_table(study: Study, records: Mapping[str, Record]) -> pd.DataFrame:
    """One row for each record: labels, seed, and the numbers after the last step.

    `first_dense_bytes` are the parameters in float32 after the first step: before anything is
    taken out of the network.
    """
    rows = []
    for named, record in recorded(study, records):
        numbers = {
            name: value
            for name, value in record.final.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        whole = {"first_dense_bytes": record.steps[0].get("dense_bytes")}
        times = {"seconds": record.seconds, "epochs": record.epochs}
        rows.append({**named, **numbers, **whole, **times})
    return pd.DataFrame(rows)


def recorded(
    study: Study, records: Mapping[str, Record]
) -> Iterator[tuple[dict[str, Any], Record]]:
    """Each arm that has a record: its labels and seed as the beginning of a row, and the record."""
    for arm in study.arms:
        record = records.get(arm.experiment.key)
        if record is not None:
            yield {**dict(arm.labels), "seed": record.seed}, record


def summary_table(
    study: Study, records: Mapping[str, Record], by: str | None = None
) -> pd.DataFrame:
    """A row for each arm: accuracy (mean ± sd), n, rate, size, and what training it takes.

    `by` is the label that tells arms apart; without it all labels do, but the learning rate. The
    time is that of one training step, where `costs` has measured it at reference scale.
    """
    frame = results_table(study, records)
    labels = [by] if by else [name for name in _labels(study) if name != "lr"]
    if frame.empty:
        return pd.DataFrame(columns=["test accuracy (%)", "n"])
    rows, title = {}, f"test {measure_of(records)} (%)"
    for group, part in frame.groupby(labels, sort=False):
        rows[group if len(labels) > 1 else group[0]] = _summary(part, title)
    named = labels if len(labels) > 1 else labels[0]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(named)
    return _with_costs(table, study, records, by) if by else table


def measure_of(records: Mapping[str, Record]) -> str:
    """What the score of these records is called: accuracy, mAP50 or mIoU."""
    names = {record.final.get("measure", "accuracy") for record in records.values()}
    return " or ".join(sorted(names)) or "accuracy"


def _labels(study: Study) -> list[str]:
    return list(dict.fromkeys(name for arm in study.arms for name, _ in arm.labels))


def _summary(part: pd.DataFrame, title: str) -> dict[str, Any]:
    """The cells of one arm, from its rows of `results_table`."""
    row = {title: mean_sd(part[ACCURACY], 2), "n": len(part)}
    if "lr" in part:
        least, most = part["lr"].min(), part["lr"].max()
        row["learning rate"] = f"{least:g}" if least == most else f"{least:g} to {most:g}"
    row["parameters"] = f"{part['parameters'].iloc[0]:,}"
    if (part["nonzero"] < 0.99 * part["parameters"]).any():
        row["not zero"] = f"{part['nonzero'].mean():,.0f}"
    if "file_bytes" in part and part["file_bytes"].notna().all():
        row["file (bytes)"] = mean_sd(part["file_bytes"], 0)
        row["times smaller"] = f"{times_smaller(part):,.1f}"
    return row


def times_smaller(part: pd.DataFrame) -> float:
    """How often the mean file of some rows of `results_table` goes into their dense bytes."""
    return float(part["first_dense_bytes"].mean() / part["file_bytes"].mean())


def _with_costs(
    table: pd.DataFrame, study: Study, records: Mapping[str, Record], by: str
) -> pd.DataFrame:
    """The table with multiply-adds, and with milliseconds of a step at reference scale."""
    counted = costs.count_variants(study, by)["multiply_adds"]
    table["multiply-adds (M)"] = [f"{counted[name] / 1e6:.2f}" for name in table.index]
    timed = costs.kept_timings(study.name, by)
    if not all(is_built_in(record.data["name"]) for record in records.values()) and len(timed):
        milliseconds = timed["milliseconds"].reindex(table.index)
        table["ms per step"] = milliseconds.map("{:.1f}".format, na_action="ignore")
    return table


def source_line(records: Mapping[str, Record], study: Study) -> str:
    """Where results come from, in one line: data set, seeds, epochs, device, versions, date.

    How many of the study's experiments have no record yet is said too, expected ones included.
    """
    lacking = len({arm.experiment.key for arm in study.planned} - records.keys())
    found = list(records.values())
    if not found:
        return NO_RECORDS
    parts = [
        _any_of(_data(record) for record in found),
        _seeds(records, study),
        numbered({_planned(record) for record in found}, "epoch"),
        _any_of(_devices(found)),
        _any_of(_versions(record) for record in found),
        _dates({record.date for record in found}),
    ]
    if lacking:
        parts.append(f"{lacking} of {lacking + len(found)} experiments still to come")
    return " · ".join(parts)


def _data(record: Record) -> str:
    name, limit = str(record.data["name"]), record.data.get("train_limit")
    size = f" at {record.data['size']} pixels" if record.data.get("size") else ""
    few = record.data.get("per_class")
    notes = [
        f"{limit:,} training images" if limit else "",
        f"{few} training images of a class" if few else "",
        "without copies" if record.data.get("copies") is False else "",
        "validation images trained on" if record.data.get("train_on_validation") else "",
    ]
    said = "; ".join(filter(None, notes))
    return f"{SET_NAMES.get(name, name)}{size}{f' ({said})' if said else ''}"


def _planned(record: Record) -> int:
    """Epochs that the recipe asks for; a run that diverged has finished fewer."""
    return sum(s.get("epochs", 0) * s.get("rounds", 1) for s in record.experiment["recipe"])


def _seeds(records: Mapping[str, Record], study: Study) -> str:
    """How many seeds each group of equal labels has; arms with equal experiments share records."""
    groups: dict[tuple[tuple[str, Any], ...], set[int]] = {}
    for arm in study.arms:
        if arm.experiment.key in records:
            groups.setdefault(arm.labels, set()).add(arm.experiment.seed)
    return numbered({len(seeds) for seeds in groups.values()}, "seed")


def _devices(records: Sequence[Record]) -> list[str]:
    """The devices that ran the records' steps, each with the precision in which it trained.

    A device without training has no precision of its own: it is not named as another one.
    """
    named = []
    for record in records:
        trained: dict[str, dict[str, None]] = {device: {} for device in record.devices}
        for step in record.steps:
            if "precision" in step:
                for device in record.devices_of(step):
                    trained[device][step["precision"]] = None
        named += [", ".join((device, *precisions)) for device, precisions in trained.items()]
    return [name for name in named if not any(other.startswith(f"{name}, ") for other in named)]


def _versions(record: Record) -> str:
    shown = (f"{name} {record.versions[name]}" for name in ("torch", "torchvision"))
    return f"Python {record.versions['python']}, {', '.join(shown)}"


def _any_of(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(texts))


def numbered(counts: Collection[int], unit: str) -> str:
    """How many: "1 seed", "3 seeds" or "3 to 5 seeds"."""
    low, high = min(counts), max(counts)
    number = f"{low}" if low == high else f"{low} to {high}"
    return f"{number} {unit}{'' if high == 1 else 's'}"


def _dates(dates: Collection[str]) -> str:
    return " to ".join(sorted({min(dates), max(dates)}))
