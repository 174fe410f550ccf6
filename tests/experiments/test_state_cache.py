"""States on disk: trained once, used only where images and steps are the same, else made anew."""

from __future__ import annotations

import gc
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tiny import QUICK, same_states, timeless, tiny_experiment, tiny_set, tiny_spec

from squeeze_utils.experiments import state_cache
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import KEPT, PrefixCache
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tensor_files import UnusableFileError, load_tensors, save_tensors

ONE, TWO = Train(1, **QUICK), Train(1, **{**QUICK, "lr": 0.02})


@pytest.fixture(scope="module")
def data():
    return tiny_set(classes=3)


@pytest.fixture
def cache(tmp_path):
    return PrefixCache(tmp_path / "states")


def test_a_shared_prefix_is_trained_once_and_the_result_is_the_same_bit_for_bit(data, cache, fits):
    plain, plain_steps = run_experiment(tiny_experiment(ONE, TWO), data=data)
    assert fits == [0.05, 0.02]
    run_experiment(tiny_experiment(ONE), data=data, cache=cache)
    cached, cached_steps = run_experiment(tiny_experiment(ONE, TWO), data=data, cache=cache)
    assert fits == [0.05, 0.02, 0.05, 0.02]  # the prefix once, then only the second step
    assert same_states(plain, cached)
    assert timeless(plain_steps) == timeless(cached_steps)
    again, again_steps = run_experiment(tiny_experiment(ONE, TWO), data=data, cache=cache)
    assert len(fits) == 4
    assert same_states(plain, again) and timeless(again_steps) == timeless(plain_steps)
    run_experiment(tiny_experiment(ONE, seed=1), data=data, cache=cache)
    assert len(fits) == 5  # another seed is another prefix


def test_what_a_cache_lacks_is_what_runs_next(data, cache):
    experiment = tiny_experiment(ONE, TWO)
    first, whole = experiment.prefix(1), experiment
    assert cache.lacks(experiment) == first.key
    assert cache.missing(experiment) == [first.key, whole.key]
    run_experiment(first, data=data, cache=cache)
    assert cache.lacks(experiment) == whole.key
    assert cache.lacks(tiny_experiment(TWO, ONE)) != first.key
    run_experiment(whole, data=data, cache=cache)
    assert cache.lacks(experiment) == whole.key  # nothing is left to run
    assert cache.missing(experiment) == []


def test_a_longer_kept_state_stands_for_a_shorter_one_that_is_gone(data, cache):
    experiment = tiny_experiment(ONE, TWO, ONE)
    run_experiment(experiment.prefix(2), data=data, cache=cache)
    cache.path(experiment.prefix(1).key).unlink(missing_ok=True)
    assert cache.missing(experiment) == [experiment.key] == [cache.lacks(experiment)]
    cache.path(experiment.prefix(2).key).unlink()
    assert cache.lacks(experiment) == experiment.prefix(1).key


def test_a_state_from_before_a_step_needed_a_field_is_not_used(data, cache, monkeypatch, recwarn):
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))

    @dataclass(frozen=True)
    class Told(Step):
        def apply(self, state: State) -> dict:
            return {}

    run_experiment(tiny_experiment(Told()), data=data, cache=cache)
    earlier = cache.path(tiny_experiment(Told()).key)

    @dataclass(frozen=True)
    class Told(Step):
        what: str

        def apply(self, state: State) -> dict:
            return {"what": self.what}

    now = tiny_experiment(Told("more"))
    earlier.rename(cache.path(now.key))
    _, steps = run_experiment(now, data=data, cache=cache)
    assert steps[0]["what"] == "more" and not recwarn


def test_all_that_binds_a_state_comes_back_from_the_cache(data, cache):
    experiment = tiny_experiment()
    state, steps = run_experiment(experiment, data=data)
    state.masks = {"classifier.0.weight": torch.ones(300, 64)}
    state.codebooks = {"classifier.0.weight": torch.arange(4.0)}
    state.saved = {"revived": {"classifier.0.weight": torch.ones(2)}, "remembered": {}}
    cache.save(experiment, state, steps)
    fresh = State(tiny_spec().build(), data)
    before = torch.get_rng_state()
    assert cache.restore(experiment, fresh) == json.loads(json.dumps(steps))
    assert torch.equal(torch.get_rng_state(), before)
    assert same_states(fresh, state)
    assert torch.equal(fresh.masks["classifier.0.weight"], torch.ones(300, 64))
    assert torch.equal(fresh.codebooks["classifier.0.weight"], torch.arange(4.0))
    assert fresh.saved.keys() == {"revived", "remembered"}
    assert torch.equal(fresh.saved["revived"]["classifier.0.weight"], torch.ones(2))


def test_other_images_under_the_same_name_are_trained_on_again(data, cache, fits):
    run_experiment(tiny_experiment(), data=data, cache=cache)
    other = tiny_set(classes=3, seed=1)
    assert other.fingerprint != data.fingerprint
    found, _ = run_experiment(tiny_experiment(), data=other, cache=cache)
    assert len(fits) == 2
    expected, _ = run_experiment(tiny_experiment(), data=other)
    assert same_states(found, expected)


def test_a_state_that_was_made_with_another_default_is_not_used(data, cache, monkeypatch, recwarn):
    """The key leaves out what holds its default, so it stays the same when a default changes."""
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))

    def scaling(default: float) -> type[Step]:
        @dataclass(frozen=True)
        class Scaled(Step):
            by: float = default

            def apply(self, state: State) -> dict:
                with torch.no_grad():
                    state.model.classifier[0].bias.fill_(self.by)
                return {}

        return Scaled

    before = tiny_experiment(scaling(1.0)())
    run_experiment(before, data=data, cache=cache)
    after = tiny_experiment(scaling(2.0)())
    assert after.key == before.key
    state, steps = run_experiment(after, data=data, cache=cache)
    assert state.model.classifier[0].bias.unique().tolist() == [2.0]
    assert steps[0]["step"]["by"] == 2.0
    assert [path.name for path in cache.folder.iterdir()] == [f"{after.key}.state"]
    assert not recwarn  # it is not damaged


def test_a_state_is_still_used_after_its_step_has_gained_a_field(data, cache, monkeypatch):
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))
    applied = []

    @dataclass(frozen=True)
    class Noted(Step):
        pairs: tuple = ()

        def apply(self, state: State) -> dict:
            applied.append(self)
            return {}

    run_experiment(tiny_experiment(Noted([["a", 1]])), data=data, cache=cache)
    earlier = Noted

    @dataclass(frozen=True)
    class Noted(earlier):
        harder: bool = False

    run_experiment(tiny_experiment(Noted([["a", 1]])), data=data, cache=cache)
    assert len(applied) == 1
    run_experiment(tiny_experiment(Noted([["a", 1]], harder=True)), data=data, cache=cache)
    assert len(applied) == 2


def _truncated(path: Path, content: dict) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _flipped(path: Path, content: dict) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # somewhere in the weights, where torch would not notice
    path.write_bytes(data)


def _of_an_earlier_form(path: Path, content: dict) -> None:
    torch.save(content, path)


def _with_code(path: Path, content: dict) -> None:
    path.write_bytes(pickle.dumps(print))


def _of_another_shape(path: Path, content: dict) -> None:
    content["model"]["classifier.0.bias"] = torch.zeros(5)
    save_tensors(path, content)


def _without_masks(path: Path, content: dict) -> None:
    content.pop("masks")
    save_tensors(path, content)


def _of_no_network(path: Path, content: dict) -> None:
    save_tensors(path, {**content, "spec": json.dumps({"name": "resnet", "options": {}})})


DAMAGES = [
    _truncated,
    _flipped,
    _of_an_earlier_form,
    _with_code,
    _of_another_shape,
    _without_masks,
    _of_no_network,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_file_is_named_and_set_aside(damage, data, cache, fits):
    experiment = tiny_experiment()
    expected, _ = run_experiment(experiment, data=data, cache=cache)
    path = cache.path(experiment.key)
    damage(path, load_tensors(path, KEPT))
    with pytest.warns(UserWarning, match=f"damaged cache file, moved to {path.name}.corrupt"):
        found, _ = run_experiment(experiment, data=data, cache=cache)
    assert len(fits) == 2
    assert same_states(found, expected)
    assert path.is_file() and path.with_name(path.name + ".corrupt").is_file()


def test_another_process_may_set_a_damaged_file_aside_first(data, cache, monkeypatch):
    experiment = tiny_experiment()
    fresh = State(tiny_spec().build(), data)
    assert cache.restore(experiment, fresh) is None  # between a look and the reading it has gone
    run_experiment(experiment, data=data, cache=cache)

    def too_late(path: Path, *rest: object) -> dict:
        path.unlink()
        raise UnusableFileError("its checksum is wrong")

    monkeypatch.setattr(state_cache, "load_tensors", too_late)
    with pytest.warns(UserWarning, match="damaged cache file"):
        assert cache.restore(experiment, fresh) is None


@pytest.mark.parametrize("error", [AttributeError, TypeError, KeyError])
@pytest.mark.parametrize("place", ["_made_by", "load_tensors", "_network"])
def test_a_fault_of_the_program_is_not_taken_for_a_damaged_file(
    error, place, data, cache, monkeypatch
):
    experiment = tiny_experiment()
    run_experiment(experiment, data=data, cache=cache)

    def broken(*arguments):
        raise error("a fault")

    monkeypatch.setattr(state_cache, place, broken)
    with pytest.raises(error, match="a fault"):
        run_experiment(experiment, data=data, cache=cache)
    assert cache.path(experiment.key).is_file()


def test_without_a_folder_the_states_go_with_the_cache(data, fits):
    cache = PrefixCache()
    folder = cache.folder
    run_experiment(tiny_experiment(), data=data, cache=cache)
    copy = pickle.loads(pickle.dumps(cache))  # helper processes get one
    run_experiment(tiny_experiment(), data=data, cache=copy)
    assert len(fits) == 1 and copy.folder == folder
    del copy
    gc.collect()
    assert len(list(folder.iterdir())) == 1
    del cache
    gc.collect()
    assert not folder.exists()


def test_a_step_that_makes_another_network_of_it_comes_back_as_that_network(data, cache):
    experiment = tiny_experiment()
    state, steps = run_experiment(experiment, data=data)
    state.model = ModelSpec.of("lenet_300_100", image_size=8, num_classes=4).build()
    cache.save(experiment, state, steps)
    fresh = State(tiny_spec().build(), data)
    assert cache.restore(experiment, fresh) is not None
    assert fresh.model.spec == state.model.spec and fresh.model.num_classes == 4
    assert same_states(fresh, state)
