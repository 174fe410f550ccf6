"""The map of the series, and the generated parts of README.md."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("nbformat")

from finished import finish, place
from notebook_samples import faultless

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record, record_path
from squeeze_utils.experiments.study import Arm
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies.catalogue import find
from tools import execute, readme, readme_results, title_cells
from tools.readme_results import COMPARISONS

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("headlines", "notebooks", "results", "speed")
ROWS = """

| | notebook | question | |
| --- | --- | --- | --- |
| 00 | [A sample](00_a.ipynb) | Why? | here |
| 01 | [A sample](01_b.ipynb) | How? | here |
| 02 | Later | When? | to come |"""


@pytest.fixture
def home(tmp_path):
    """Two notebooks with a map, and a README whose parts are empty."""
    for name in ("00_a.ipynb", "01_b.ipynb"):
        faultless(tmp_path, name)
    edit_map(tmp_path, "", ROWS)
    marks = [f"<!-- {name}:begin -->\nold\n<!-- {name}:end -->" for name in PARTS]
    (tmp_path / "README.md").write_text("# Title\n\n" + "\n\ntext\n\n".join(marks) + "\n\nend\n")
    return tmp_path


def edit_map(root: Path, old: str, new: str) -> None:
    path = root / "notebooks" / "00_a.ipynb"
    notebook = execute.read_notebook(path)
    source = notebook.cells[4].source
    notebook.cells[4].source = source.replace(old, new) if old else source + new
    execute.write_notebook(notebook, path)


def text(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def finished(arm: Arm, accuracy: float, **more: float) -> Record:
    """What a finished arm might have left, without training it."""
    values = arm.experiment.as_dict()
    last = {
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "parameters": 1_234_567,
        "nonzero": 1_234_567,
        "dense_bytes": 4_938_268,
        "history": [{"epoch": 1}, {"epoch": 2}],
        "precision": "bfloat16",
        **more,
    }
    return Record(
        experiment=values,
        labels=dict(arm.labels),
        steps=[last] * len(values["recipe"]),
        seed=arm.experiment.seed,
        device="a processor, 2 threads",
        versions={"python": "3.99", "torch": "9.9", "torchvision": "9.8"},
        data={**values["data"], "fingerprint": "f"},
        commit="abc",
        date="2030-01-02",
        seconds=1.0,
    )


def test_readme_is_up_to_date():
    assert readme.check_readme(ROOT) == []
    assert all(f"<!-- {name}:begin -->" in text(ROOT) for name in PARTS)


def test_the_map_lists_every_notebook():
    assert readme.check_map(ROOT) == []
    assert [row[0] for row in readme.read_map(ROOT)] == [f"{i:02}" for i in range(22)]


def test_a_notebook_that_the_map_lacks_is_named(home):
    assert readme.check_map(home) == []
    edit_map(home, "[A sample](01_b.ipynb)", "[Another title](01_b.ipynb)")
    (problem,) = readme.check_map(home)
    assert "00_a.ipynb: the map lacks the row '| 01 | [A sample](01_b.ipynb) | ... |'" in problem
    edit_map(home, "[Another title](01_b.ipynb)", "A sample")
    assert len(readme.check_map(home)) == 1


def test_the_table_of_notebooks_has_links_and_badges(home):
    assert readme.check_readme(home)
    assert readme.update_readme(home)
    badge = title_cells.badge("notebooks/01_b.ipynb")
    assert f"| 01 | [A sample](notebooks/01_b.ipynb) | How? | {badge} |" in text(home)
    assert "| 02 | Later | When? | to come |" in text(home)
    assert text(home).startswith("# Title\n") and text(home).endswith("\n\nend\n")
    assert "old" not in text(home)
    assert readme.check_readme(home) == []
    assert not readme.update_readme(home)


def test_an_edited_number_is_noticed(home):
    readme.update_readme(home)
    path = home / "README.md"
    path.write_text(text(home).replace("| to come |", "| soon |"))
    assert readme.check_readme(home) == ["README.md: the part 'notebooks' is old: run make readme"]


def test_a_readme_without_marks_is_refused(home):
    (home / "README.md").write_text("# Title\n")
    with pytest.raises(ValueError, match=r"README.md lacks <!-- headlines:begin -->"):
        readme.update_readme(home)
    (problem,) = readme.check_readme(home)
    assert problem.startswith("README.md lacks <!-- headlines:begin -->")
    (home / "README.md").unlink()
    assert not readme.update_readme(home)
    assert readme.check_readme(home) == []


def test_results_hold_the_rows_whose_seeds_are_all_there(home):
    assert "test accuracy (%)" not in readme.parts(home)["results"]
    study = find("residual_best", Scale("reference"))
    plain, other = (
        [arm for arm in study.arms if dict(arm.labels)["model"] == f"SqueezeNet, {name}"]
        for name in ("plain", "simple bypass")
    )
    for arm, accuracy in zip([*plain, other[0]], (90.0, 91.0, 92.0, 70.0), strict=True):
        record = finished(arm, accuracy)
        place(record, record_path(home / "data" / "runs" / study.name, arm.slug, record.key))
    found = readme.parts(home)["results"]
    assert "| SqueezeNet, plain | 91.00 ± 1.00 | 3 | 1,234,567 | 4.94 | 2 |" in found
    assert "SqueezeNet, simple bypass" not in found  # one of its seeds only
    assert "CIFAR-10 · 3 seeds · " in found
    assert all(part in found for part in ("a processor, 2 threads", "torch 9.9", "2030-01-02"))


def test_the_headline_takes_the_place_of_the_best_network_once_a_row_has_three_seeds(
    home, monkeypatch
):
    monkeypatch.setattr(paths, "shipped", lambda name: home / "data" / name)
    runs = home / "data" / "runs"
    finish("ladder", runs)
    finish("residual_best_lr", runs)
    for name in ("residual_best", "headline"):
        for arm in find(name, Scale("reference")).arms:
            if name == "residual_best" or not arm.experiment.seed:
                record = finished(arm, 91.0)
                place(record, record_path(runs / name, arm.slug, record.key))
    early = readme.parts(home)["results"]
    assert "(study `residual_best`)" in early and "late pooling" not in early
    for arm in find("headline", Scale("reference")).arms:
        record = finished(arm, 94.0)
        place(record, record_path(runs / "headline", arm.slug, record.key))
    found = readme.parts(home)["results"]
    assert "(study `headline`)" in found and "(study `residual_best`)" not in found
    assert "| SqueezeNet, best training | 94.00 ± 0.00 | 3 |" in found
    assert "| SqueezeNet, late pooling | 94.00 | 1 |" in found


def test_a_comparison_gives_interval_verdict_networks_and_epochs():
    one = COMPARISONS[0]
    study = find(one.study, Scale("quick"))
    firsts = {dict(arm.labels)[one.by]: arm for arm in study.arms}
    arms, records = [], {}
    for name, best in ((one.control, 90.0), (one.arm, 92.0)):
        for seed in range(3):
            experiment = replace(firsts[name].experiment, seed=seed)
            arms.append(arm := replace(firsts[name], experiment=experiment))
            records[experiment.key] = finished(arm, best + seed / 10)
    row = one.row(Results(replace(study, arms=arms), records))
    assert row[1:] == ["simple bypass − plain", "+2.00 (+1.77 to +2.23)", "**higher**", "3", "2"]
    fewer = {arm.experiment.key: records[arm.experiment.key] for arm in arms[:5]}
    row = one.row(Results(replace(study, arms=arms), fewer))
    assert row[2].startswith("+1.95 (") and row[3:] == ["not complete yet", "2 of 3", "2"]
    row = one.row(Results(replace(study, arms=arms[:4]), records))  # a single bypass
    assert row[2:] == ["", "not trained yet", "", ""]
    row = one.row(Results(replace(study, arms=[arms[0], *arms[3:]]), records))  # a single control
    assert row[2:] == ["", "not trained yet", "", ""]


def test_every_comparison_names_arms_that_its_study_has(home):
    for one in COMPARISONS:
        study = find(one.study, Scale("quick"))
        names = {dict(arm.labels)[one.by] for arm in study.planned}
        assert {one.arm, one.control} <= names, one.study
        assert all(dict(arm.labels).keys() >= one.labels.keys() for arm in study.arms)
    assert readme.parts(home)["results"].count("not trained yet") == 5


def test_the_learning_rate_is_no_part_of_a_name_in_the_results(home):
    study = find("residual_best", Scale("reference"))
    for arm in study.arms:
        record = finished(arm, 91.0)
        place(record, record_path(home / "data" / "runs" / study.name, arm.slug, record.key))
    assert "lr" in dict(study.arms[0].labels)
    found = readme.parts(home)["results"]
    assert "| SqueezeNet, simple bypass | 91.00 ± 0.00 | 3 |" in found
    rates = dict.fromkeys(dict(arm.labels)["lr"] for arm in study.arms)
    assert len(rates) == 2 and "so the rows cannot be compared" in found
    assert "SqueezeNet, simple bypass: 0.08" in found and "SqueezeNet, plain: 0.04" in found


def test_equal_rates_need_no_warning():
    assert readme_results._different_rates({"a": 0.1, "b": 0.1}) == ""
    assert readme_results._different_rates({"a": None, "b": None}) == ""
    assert "(a: 0.1; b: 0.2)" in readme_results._different_rates({"a": 0.1, "b": 0.2})


def test_small_files_are_chosen_on_validation_images_and_by_their_bytes(home):
    study = find("deep_compression", Scale("reference"))
    arms = [arm for arm in study.arms if dict(arm.labels)["network"] == "LeNet-300-100"]
    size = {"dense": 1_000_000, "paper": 18_000, "ours": 19_000}
    checked = {"dense": 99.0, "paper": 98.0, "ours": 97.0}
    for arm in arms:
        what = dict(arm.labels)["recipe"]
        found = {"file_bytes": size[what], "validation_accuracy": checked[what]}
        record = finished(arm, 90.0, **found)
        place(record, record_path(home / "data" / "runs" / study.name, arm.slug, record.key))
    found = readme.parts(home)["results"]
    assert "| MNIST | LeNet-300-100, paper | 90.00 | 3 seeds | 18,000 | 13 |" in found
    assert found.count("| MNIST |") == 1 and "CIFAR-10 |" not in found  # nothing else fits
    assert "ImageNet, 500" not in found


def test_the_best_network_comes_first_then_the_comparisons_then_the_rest(home):
    for name in ("residual_best", "deep_compression"):
        study = find(name, Scale("reference"))
        for arm in study.arms:
            record, folder = finished(arm, 91.0, file_bytes=6_000), home / "data" / "runs" / name
            place(record, record_path(folder, arm.slug, record.key))
    found = readme.parts(home)["results"]
    parts = [found.index(part) for part in ("`residual_best`", "**Five comp", "**In few bytes**")]
    assert parts == sorted(parts)


def test_the_speed_comes_from_the_benchmark(home):
    assert "Not measured yet" in readme.parts(home)["speed"]
    about = {
        "device": "a processor",
        "precision": "bfloat16",
        "images": "5000 of cifar10",
        "batch_size": 128,
        "rounds": 5,
        "versions": {"torch": "9.9"},
        "medians": {
            "ordinary_images_per_second": 201.4,
            "fit_images_per_second": 900.0,
            "ratio": 4.468,
            "input_percent": 1.234,
            "share_of_peak": 0.4321,
        },
    }
    (home / "benchmarks").mkdir()
    (home / "benchmarks" / "results.json").write_text(json.dumps(about))
    found = readme.parts(home)["speed"]
    assert "| ordinary loop, float32 | 201 images/s |" in found
    assert "| 4.47 | at least 4: reached |" in found
    assert "5000 of cifar10, batch 128, medians of 5 interleaved rounds; torch 9.9." in found
    assert "| 1.23 % of an epoch | at most 3: reached |" in found
    assert "| 0.43 | at least 0.4: reached |" in found
    assert "| not measured |" in found  # an old file has no bare passes
    about["medians"] |= {"ratio": 3.654, "fit_of_bare": 0.957, "input_percent": 3.1}
    (home / "benchmarks" / "results.json").write_text(json.dumps(about))
    found = readme.parts(home)["speed"]
    assert "| 3.65 | at least 4: missed |" in found
    assert "| 0.96 | at least 0.95: reached |" in found
    assert "| 3.10 % of an epoch | at most 3: missed |" in found


def test_the_goals_are_those_of_the_benchmark():
    source = (ROOT / "benchmarks" / "train_throughput.py").read_text(encoding="utf-8")
    (line,) = [line for line in source.splitlines() if line.startswith("GOALS = ")]
    theirs = ast.literal_eval(line.removeprefix("GOALS = "))
    assert list(theirs.values()) == list(readme.GOALS.values())
