from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from tiny import QUICK, tiny_set, tiny_spec
from torch import nn

from squeeze_utils.base import machine
from squeeze_utils.compress.pruning.during_training import Gradual, Rewire
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.models import ModelSpec
from squeeze_utils.training import optimizers
from squeeze_utils.training.epochs import Epochs
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.resuming import KEPT, HalfwayFile, TrainingState
from squeeze_utils.training.step import Step
from squeeze_utils.training.tensor_files import UnusableFileError, load_tensors, save_tensors

EPOCHS = 4
DENSE = tiny_spec(num_classes=3)
SQUEEZENET = ModelSpec.of("squeezenet_small", num_classes=3, width=0.125, in_channels=1)
PLAIN = Train(EPOCHS, shift=1, cutout=2, **QUICK)

pytestmark = pytest.mark.usefixtures("keep_every_epoch")


@pytest.fixture(scope="module")
def data():
    return tiny_set()


class CutOff(Exception):
    """The machine went away."""


def cut_off_after(batches: int, monkeypatch) -> None:
    """Let the training die in the middle of an epoch, once."""
    whole, left = Epochs._step, iter(range(batches))

    def step(*args):
        if next(left, None) is None:
            monkeypatch.setattr(Epochs, "_step", whole)
            raise CutOff
        return whole(*args)

    monkeypatch.setattr(Epochs, "_step", step)


def tensors(state) -> dict[str, torch.Tensor]:
    return {**state.model.state_dict(), **{f"mask {n}": m for n, m in state.masks.items()}}


def epochs(steps: list[dict]) -> list[dict]:
    return [{**epoch, "seconds": 0} for epoch in steps[-1]["history"]]


def halfway_files(cache: PrefixCache) -> list[str]:
    return [path.name for path in cache.folder.glob("*halfway*")]


def goes_on(recipe: tuple[Step, ...], data, cache, monkeypatch, network=DENSE) -> None:
    """Cut off in its third epoch and started again, a recipe ends as if nothing had been."""
    experiment = Experiment(network, DataSpec(), recipe, 3)
    expected, through = run_experiment(experiment, data=data)
    cut_off_after(7, monkeypatch)  # an epoch has three batches
    with pytest.raises(CutOff):
        run_experiment(experiment, data=data, cache=cache)
    assert halfway_files(cache) == [f"{experiment.key}.halfway"]

    done, whole = [], Epochs._step
    monkeypatch.setattr(Epochs, "_step", lambda *args: done.append(1) or whole(*args))
    found, again = run_experiment(experiment, data=data, cache=cache)
    assert len(done) == 6, "two of four epochs were left"
    assert epochs(again) == epochs(through) and len(epochs(again)) == EPOCHS
    assert tensors(found).keys() == tensors(expected).keys()
    assert all(torch.equal(tensors(found)[n], t) for n, t in tensors(expected).items())
    assert halfway_files(cache) == []


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_a_training_cut_off_goes_on_to_the_same_end(name, data, tmp_path, monkeypatch):
    plan = Train(EPOCHS, optimizer=name, shift=1, weight_decay=0.01, **{**QUICK, "lr": 0.01})
    goes_on((plan,), data, PrefixCache(tmp_path), monkeypatch)


def test_normalisation_and_dropout_go_on_too(data, tmp_path, monkeypatch):
    plan = Train(EPOCHS, **QUICK)
    goes_on((plan,), data, PrefixCache(tmp_path), monkeypatch, SQUEEZENET)


def test_moving_average_mixup_and_augmentation_go_on_too(data, tmp_path, monkeypatch):
    mixes = {"mixup": 0.5, "mixup_growth": 0.5, "rotation": 15, "colour": 0.2, "sharpness": 0.5}
    plan = Train(EPOCHS, ema=0.9, **mixes, **QUICK)
    goes_on((plan,), data, PrefixCache(tmp_path), monkeypatch, SQUEEZENET)


def test_a_training_cut_off_after_its_last_epoch_ends_with_the_average(data, tmp_path):
    def ended(halfway: HalfwayFile) -> tuple[dict, list]:
        torch.manual_seed(0)
        model = SQUEEZENET.build()
        history = fit(model, data, Train(2, ema=0.9, **QUICK), halfway=halfway)
        return model.state_dict(), [{**epoch, "seconds": 0} for epoch in history]

    first, history = ended(HalfwayFile(tmp_path / "a.halfway", seconds=0))
    again, same = ended(HalfwayFile(tmp_path / "a.halfway", seconds=0))
    assert same == history and len(history) == 2
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())


@pytest.mark.parametrize(
    "recipe",
    [
        (Train(EPOCHS, during=(Gradual(0.8, every=2),), **QUICK),),
        (Prune(0.8), Train(EPOCHS, during=(Rewire(grow="random", every=2),), **QUICK)),
        (Prune(0.8), Train(EPOCHS, ema=0.9, during=(Rewire(every=2),), **QUICK)),
        (Share(3), TuneCentroids(EPOCHS, ema=0.9, batch_size=16, precision="float32")),
        (Share(3), TuneCentroids(EPOCHS, batch_size=16, precision="float32")),
        (QuantizedTrain(EPOCHS, bits=4, steps="learned", **{**QUICK, "lr": 0.01}),),
    ],
    ids=["gradual", "rewired", "rewired_average", "shared_average", "shared", "quantized"],
)
def test_what_binds_the_weights_goes_on_too(recipe, data, tmp_path, monkeypatch):
    goes_on(recipe, data, PrefixCache(tmp_path), monkeypatch)


def test_a_training_by_more_processes_is_another_training(data, monkeypatch):
    def name(size: int) -> str:
        group = SimpleNamespace(alone=size == 1, first=True, rank=0, size=size)
        monkeypatch.setattr("squeeze_utils.training.epochs.here", lambda: group)
        about = (torch.Generator(), torch.device("cpu"), [], {}, [])
        return Epochs(DENSE.build(), data, PLAIN, *about).name

    assert name(1) == name(1) and len({name(1), name(2), name(4)}) == 3


def kept(data, cache: PrefixCache, monkeypatch) -> tuple[Experiment, HalfwayFile]:
    experiment = Experiment(DENSE, DataSpec(), (PLAIN,), 0)
    cut_off_after(4, monkeypatch)
    with pytest.raises(CutOff):
        run_experiment(experiment, data=data, cache=cache)
    return experiment, cache.halfway(experiment.key)


def damaged(halfway: HalfwayFile) -> None:
    halfway.path.write_bytes(halfway.path.read_bytes()[:-500])


def of_another_training(halfway: HalfwayFile) -> None:
    content = load_tensors(halfway.path, KEPT)
    save_tensors(halfway.path, {**content, "name": "another"})


def of_another_network(halfway: HalfwayFile) -> None:
    content = load_tensors(halfway.path, KEPT)
    save_tensors(halfway.path, {**content, "model": nn.Linear(2, 2).state_dict()})


def without_randomness(halfway: HalfwayFile) -> None:
    content = load_tensors(halfway.path, KEPT)
    save_tensors(halfway.path, {**content, "random": torch.zeros(3, dtype=torch.uint8)})


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (damaged, "cannot be used"),
        (of_another_training, "another training"),
        (of_another_network, "Missing key"),
        (without_randomness, "RNG state size"),
    ],
)
def test_what_cannot_be_used_is_set_aside(harm, why, data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    experiment, halfway = kept(data, cache, monkeypatch)
    harm(halfway)
    with pytest.warns(UserWarning, match=why):
        found, steps = run_experiment(experiment, data=data, cache=cache)
    expected, _ = run_experiment(experiment, data=data)
    assert len(epochs(steps)) == EPOCHS
    assert all(torch.equal(tensors(found)[n], t) for n, t in tensors(expected).items())
    assert halfway_files(cache) == [f"{experiment.key}.halfway.corrupt"]


@pytest.mark.parametrize("error", [AttributeError, TypeError])
def test_a_fault_of_the_program_is_not_taken_for_a_damaged_file(error, data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    experiment, halfway = kept(data, cache, monkeypatch)

    def broken(*arguments):
        raise error("a fault")

    monkeypatch.setattr(TrainingState, "restore", broken)
    with pytest.raises(error, match="a fault"):
        run_experiment(experiment, data=data, cache=cache)
    assert halfway.path.is_file()


def test_what_is_of_another_training_leaves_everything_as_it_was(data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    _, halfway = kept(data, cache, monkeypatch)
    content = load_tensors(halfway.path, KEPT)
    network = DENSE.build()
    optimizer = optimizers.make_optimizer("nesterov", network, 0.1, 0.0)
    generator = torch.Generator().manual_seed(7)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn, everyone = generator.get_state(), torch.get_rng_state()
    training = TrainingState(content["name"], network, optimizer, generator, {})
    with pytest.raises(UnusableFileError):
        training.restore({**content, "random": torch.zeros(3, dtype=torch.uint8)})
    assert all(torch.equal(network.state_dict()[name], t) for name, t in before.items())
    assert torch.equal(generator.get_state(), drawn)
    assert torch.equal(torch.get_rng_state(), everyone)
    assert optimizer.state_dict()["state"] == {}


def test_a_default_that_has_changed_makes_another_training(data, tmp_path, monkeypatch):
    """The key leaves out what holds its default, so the name of the file stays the same."""
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))

    def plan(default: float) -> Train:
        @dataclass(frozen=True)
        class Sharper(Train):
            by: float = default

        return Sharper(EPOCHS, **QUICK)

    before, after = (Experiment(DENSE, DataSpec(), (plan(value),), 0) for value in (1.0, 2.0))
    assert before.key == after.key
    cache = PrefixCache(tmp_path)
    cut_off_after(4, monkeypatch)
    with pytest.raises(CutOff):
        run_experiment(before, data=data, cache=cache)
    with pytest.warns(UserWarning, match="cannot be used, .*it is of another training"):
        run_experiment(after, data=data, cache=cache)


def test_seconds_of_every_process_are_counted(data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    experiment, halfway = kept(data, cache, monkeypatch)
    content = load_tensors(halfway.path, KEPT)
    assert 0 < content["spent"] < 60
    save_tensors(halfway.path, {**content, "spent": 1000.0})
    _, steps = run_experiment(experiment, data=data, cache=cache)
    assert 1000 < steps[-1]["seconds"] < 1060


def test_short_trainings_are_not_written(data, tmp_path, monkeypatch):
    monkeypatch.undo()
    cache = PrefixCache(tmp_path)
    kept(data, cache, monkeypatch)
    assert halfway_files(cache) == []


def on_another_device(data, cache, monkeypatch, change=lambda content: content) -> dict:
    """The measured step of a training that was begun on "first" and goes on on "second"."""
    monkeypatch.setattr(machine, "device_name", lambda device: "first")
    experiment, halfway = kept(data, cache, monkeypatch)
    save_tensors(halfway.path, change(load_tensors(halfway.path, KEPT)))
    monkeypatch.setattr(machine, "device_name", lambda device: "second")
    done, whole = [], Epochs._step
    monkeypatch.setattr(Epochs, "_step", lambda *args: done.append(1) or whole(*args))
    _, steps = run_experiment(experiment, data=data, cache=cache)
    assert len(done) == 9, "three of four epochs were left"
    return steps[-1]


def test_a_step_names_all_devices_that_worked_on_it(data, tmp_path, monkeypatch):
    step = on_another_device(data, PrefixCache(tmp_path), monkeypatch)
    assert step["device"] == "second" and step["devices"] == ["first", "second"]


def test_a_file_that_does_not_know_its_devices_is_still_used(data, tmp_path, monkeypatch):
    def older(content):
        return {name: value for name, value in content.items() if name != "devices"}

    step = on_another_device(data, PrefixCache(tmp_path), monkeypatch, older)
    assert step["device"] == "second" and "devices" not in step


def test_a_training_that_stays_on_its_device_names_that_one_alone(data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    experiment, _ = kept(data, cache, monkeypatch)
    _, steps = run_experiment(experiment, data=data, cache=cache)
    assert steps[-1]["device"] == machine.device_name("cpu") and "devices" not in steps[-1]
