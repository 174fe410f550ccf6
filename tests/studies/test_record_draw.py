"""Which committed records are drawn to be run again: those that this machine can run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from finished import pretend

from squeeze_utils.data import sources
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record, record_path
from squeeze_utils.experiments.study import Arm
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies import durations, record_draw
from squeeze_utils.studies.record_draw import draw_records
from squeeze_utils.training.loop import Train

LENET = ModelSpec.of("lenet_300_100", image_size=8)
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(autouse=True)
def no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of image sets that is empty: only what comes with the package is here."""
    root = tmp_path / "images"
    root.mkdir()
    monkeypatch.setenv("SQUEEZE_DATA", str(root))
    return root


@pytest.fixture
def on_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with bfloat16, and no graphics card."""
    monkeypatch.setattr(durations.machine, "default_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(durations.machine, "precision", lambda *given: "bfloat16")


def pretended(experiment: Experiment, folder: Path) -> tuple[Path, Record]:
    """The file of a record of an experiment that was never run, and the record."""
    arm = Arm.of(experiment, network="LeNet")
    pretend(arm, folder)
    path = record_path(folder, arm.slug, experiment.key)
    return path, Record.parse(path.read_text())


def recorded(runs: Path, images: Iterable[str], device: str = "a processor, 1 thread") -> None:
    """Below `runs`, a record for each name of an image set; a training of one minute each."""
    for seed, name in enumerate(images):
        experiment = Experiment(LENET, DataSpec(name, size=8), (Train(1, lr=0.1),), seed)
        path, record = pretended(experiment, runs / "small")
        steps = [{**step, "seconds": 60.0, "test_accuracy": 90.0} for step in record.steps]
        path.write_text(replace(record, steps=steps, seconds=60.0, device=device).text())


def names(found: record_draw.Draw) -> list[str]:
    return [one.path.stem for one in found.drawn]


def test_records_on_images_that_are_not_here_are_left_out_and_named(tmp_path: Path) -> None:
    recorded(tmp_path, ["digits", "intel", "digits", "mnist", "intel", "my_photos"])
    found = draw_records(2, 10, 0, tmp_path)
    assert {one.images for one in found.drawn} == {"digits"}
    assert found.left_out == Counter(intel=2, mnist=1, my_photos=1)
    said = "\n".join(found.lines)
    assert said.startswith("2 records, about 2 minutes on this machine (an estimate)")
    assert "2 left out: intel is not here; it comes from https://github.com/afroozsheikh/" in said
    assert "1 left out: mnist is not here; --download gets 12 MB" in said
    assert "1 left out: there is no folder my_photos in " in said


def test_images_that_lie_in_the_folder_are_here(tmp_path: Path, no_images: Path) -> None:
    recorded(tmp_path, ["intel"])
    (no_images / "intel").mkdir()
    assert [one.images for one in draw_records(1, 10, 0, tmp_path).drawn] == ["intel"]


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), 0, -1])
def test_impossible_minutes_are_refused(minutes: float, tmp_path: Path) -> None:
    recorded(tmp_path, ["digits"])
    with pytest.raises(ValueError, match="minutes must"):
        draw_records(1, minutes, 0, tmp_path)


def test_what_can_be_downloaded_is_fetched_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, ["mnist", "intel"])
    fetched: list[str] = []
    monkeypatch.setattr(
        sources.NamedSet, "download", lambda self, root: fetched.append(f"{self.name} to {root}")
    )
    with pytest.raises(ValueError, match=r"1 records asked for; 0 can be run here.*--download"):
        draw_records(1, 10, 0, tmp_path)
    assert not fetched
    found = draw_records(1, 10, 0, tmp_path, download=True)
    assert [one.images for one in found.drawn] == ["mnist"]
    assert len(fetched) == 1 and fetched[0].startswith("mnist to ")


@pytest.mark.usefixtures("on_processor")
def test_the_minutes_are_those_of_this_machine(tmp_path: Path, no_images: Path) -> None:
    (no_images / "cifar10" / "train").mkdir(parents=True)
    here = Experiment(durations.HALF, DataSpec("cifar10"), (Train(24, lr=0.1),))
    path, record = pretended(here, tmp_path / "runs" / "half")
    steps = [{**record.steps[0], "seconds": 55.0, "test_accuracy": 90.0, "precision": "bfloat16"}]
    by_card = replace(record, steps=steps, device=H100)
    by_processor = replace(record, steps=steps, device="AMD EPYC, 1 thread")
    expected = 24 * 45_000 / durations.IMAGES_PER_SECOND["bfloat16"]
    assert durations.seconds_again(by_card) == pytest.approx(expected)
    assert durations.seconds_again(by_processor) == 55
    path.write_text(by_card.text())
    with pytest.raises(ValueError, match=r"likely to take more than 10 minutes here"):
        draw_records(1, 10, 0, tmp_path / "runs")
    (one,) = draw_records(1, 20, 0, tmp_path / "runs").drawn
    assert one.minutes == pytest.approx(expected / 60)


def test_a_card_and_a_processor_without_bfloat16_have_their_own_speeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = Experiment(durations.HALF, DataSpec("cifar10"), (Train(24, lr=0.1),))
    _, record = pretended(experiment, tmp_path)
    steps = [{**record.steps[0], "seconds": 900.0, "precision": "bfloat16"}]
    record = replace(record, steps=steps, device="AMD EPYC, 1 thread")
    monkeypatch.setattr(durations.machine, "precision", lambda *given: "float32")
    for kind, speed in (
        ("cpu", durations.IMAGES_PER_SECOND["float32"]),
        ("cuda", durations.ON_GPU),
    ):
        device = torch.device(kind)
        monkeypatch.setattr(durations.machine, "default_device", lambda found=device: found)
        assert durations.seconds_again(record) == pytest.approx(24 * 45_000 / speed)
        assert durations.likely_seconds(experiment) == pytest.approx(24 * 45_000 / speed)


def test_a_damaged_record_is_named_and_left_out(tmp_path: Path) -> None:
    recorded(tmp_path, ["digits"])
    (tmp_path / "small" / "broken.json").write_text("{")
    with pytest.warns(UserWarning, match=r"damaged record broken\.json, left out"):
        assert len(draw_records(1, 10, 0, tmp_path).drawn) == 1


def test_the_order_depends_on_the_seed_and_not_on_what_is_left_out(
    tmp_path: Path, no_images: Path
) -> None:
    recorded(tmp_path, ["digits", "intel"] * 10)
    few = names(draw_records(5, 10, 0, tmp_path))
    assert few == names(draw_records(5, 10, 0, tmp_path)) != names(draw_records(5, 10, 1, tmp_path))
    (no_images / "intel").mkdir()
    more = names(draw_records(20, 10, 0, tmp_path))
    assert [name for name in more if name in few] == few


def test_more_records_than_there_are_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path, ["digits"])
    with pytest.raises(ValueError, match="2 records asked for; 1 can be run here in at most 10"):
        draw_records(2, 10, 0, tmp_path)
    with pytest.raises(ValueError, match="0 records asked for"):
        draw_records(0, 10, 0, tmp_path)
