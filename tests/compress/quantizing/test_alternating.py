"""Pruning and rounding in turns: what holds in each turn, at the end, and after a break."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_set, tiny_spec

from squeeze_utils.compress.quantizing.alternating import Alternate
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.training.loop import Train
from squeeze_utils.training.resuming import HalfwayFile
from squeeze_utils.training.step import State, Step

WEIGHTS = ("classifier.0.weight", "classifier.2.weight", "classifier.4.weight")


def state() -> State:
    torch.manual_seed(0)
    return State(tiny_spec(num_classes=3).build(), tiny_set(counts=(96, 24, 24)))


def step(way: Alternate, epochs: int = 4, **how) -> QuantizedTrain:
    settings = {"batch_size": 16, "lr": 0.01, "precision": "float32", "steps": "learned"}
    return QuantizedTrain(epochs, **{**settings, **how}, bits=3, during=(way,))


def seen(way: Alternate, epochs: int = 4) -> tuple[State, list[tuple[float, bool]]]:
    """The state at the end, and after each epoch the share of zeros and whether weights are few."""
    here, notes = state(), []

    def note(epoch) -> None:
        weight = here.model.classifier[0].weight.detach()
        few = max(len(row.unique()) for row in weight) <= 7
        original = here.model.classifier[0].parametrizations.weight.original
        notes.append((float((original == 0).float().mean()), few))

    here.after_epoch = note
    step(way, epochs).apply(here)
    return here, notes


@pytest.mark.parametrize("scope", ["layer", "sensitivity"])
def test_turns_prune_and_round_one_after_the_other_and_end_with_both(scope):
    here, notes = seen(Alternate(0.75, turns=4, scope=scope))
    # An epoch ends just when the next turn begins: what is seen is that of the turn to come.
    assert [few for _, few in notes] == [True, False, True, True]
    if scope == "layer":
        assert [round(zeros, 2) for zeros, _ in notes] == [0.5, 0.75, 0.75, 0.75]
    total = sum(here.model.get_parameter(name).numel() for name in WEIGHTS)
    kept = sum(int(here.masks[name].sum()) for name in WEIGHTS)
    assert kept / total == pytest.approx(0.25, abs=0.01)
    for name in WEIGHTS:
        weight = here.model.get_parameter(name)
        assert not weight[~here.masks[name]].any()
        assert max(len(row.unique()) for row in weight) <= 7


@pytest.mark.parametrize("sparsity", [0.5, 0.98765, 0.9996])
def test_the_last_turn_that_prunes_ends_at_the_sparsity_that_was_asked_for(sparsity):
    way = Alternate(sparsity, turns=6)
    assert way.sparsity_of(3) == pytest.approx(sparsity, abs=1e-12) and way.sparsity_of(3) < 1
    assert way.sparsity_of(1) < way.sparsity_of(2) < way.sparsity_of(3)


def test_with_round_first_weights_stay_rounded_to_the_end():
    way = Alternate(0.75, turns=2, first="round", scope="layer")
    assert [way.rounds(turn) for turn in (0, 1)] == [True, True]
    assert [way.prunes(turn) for turn in (0, 1)] == [False, True]
    _, notes = seen(way)
    assert all(few for _, few in notes)
    assert [zeros > 0.7 for zeros, _ in notes] == [False, True, True, True]


def test_a_training_that_was_cut_off_goes_on_in_the_right_turn(tmp_path):
    way = Alternate(0.75, turns=4, scope="sensitivity")
    whole = state()
    step(way).apply(whole)
    broken = state()
    broken.halfway = HalfwayFile(tmp_path / "training.halfway", seconds=0.0)

    def stop(epoch) -> None:
        if epoch["epoch"] == 2:
            raise RuntimeError("the machine went away")

    broken.after_epoch = stop
    with pytest.raises(RuntimeError, match="went away"):
        step(way).apply(broken)
    again = state()
    again.halfway = HalfwayFile(tmp_path / "training.halfway", seconds=0.0)
    step(way).apply(again)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_ordinary_rounding_has_no_switch_in_its_state():
    here = state()
    names = set(here.model.state_dict())
    plain = QuantizedTrain(1, batch_size=16, lr=0.01, precision="float32", bits=3)
    inside = []
    here.after_epoch = lambda epoch: inside.extend(here.model.state_dict())
    plain.apply(here)
    assert set(here.model.state_dict()) == names
    assert not [name for name in inside if name.endswith("is_on")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 1.0}, "sparsity"),
        ({"sparsity": 0.5, "turns": 3}, "turns must be even"),
        ({"sparsity": 0.5, "turns": 0}, "turns"),
        ({"sparsity": 0.5, "first": "code"}, "first"),
        ({"sparsity": 0.5, "scope": "global"}, "scope"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Alternate(**options)


def test_it_needs_rounding_around_it_and_enough_steps():
    way = Alternate(0.5, scope="layer")
    with pytest.raises(ValueError, match="use Alternate within QuantizedTrain"):
        Train(1, batch_size=16, during=(way,)).apply(state())
    with pytest.raises(ValueError, match="40 turns need as many steps, not 6"):
        step(Alternate(0.5, turns=40, scope="layer"), epochs=1).apply(state())


def test_it_comes_back_from_its_fields():
    made = step(Alternate(0.75, turns=4, exclude=("classifier.0",)))
    assert Step.from_dict(made.as_dict()) == made
