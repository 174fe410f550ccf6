from __future__ import annotations

import pytest

from squeeze_utils.anatomy import energy
from squeeze_utils.anatomy.costs import count
from squeeze_utils.models import build


def test_energy_is_counts_times_published_figures():
    one = energy.estimate(1_000_000, 1000, 500, "float32")
    assert one.arithmetic == pytest.approx(4.6)  # 3.7 + 0.9 pJ each
    assert one.weights == pytest.approx(0.65)  # 4 bytes at 1300 / 8 pJ
    assert one.activations == pytest.approx(0.65)  # written and read
    assert one.total == pytest.approx(5.9)


def test_int8_saves_bytes_fourfold_and_arithmetic_more():
    wide, short = (energy.estimate(10**6, 1000, 500, form) for form in ("float32", "int8"))
    assert wide.weights == pytest.approx(4 * short.weights)
    assert wide.arithmetic / short.arithmetic == pytest.approx(4.6 / 0.3)


def test_activations_on_the_chip_cost_less():
    far, near = (energy.estimate(0, 0, 8000, "float32", memory) for memory in ("DRAM", "1 MB"))
    assert far.activations / near.activations == pytest.approx(13)


def test_a_memory_has_to_hold_the_peak():
    sizes = (100, 8192, 8193, 2**20, 2**20 + 1)
    assert [energy.smallest_memory(size) for size in sizes] == [
        *("8 kB", "8 kB", "32 kB", "1 MB", "DRAM")
    ]


@pytest.mark.parametrize(
    ("counts", "form", "words"),
    [((1, 1, 1), "int4", "float32, int8"), ((-1, 1, 1), "int8", "negative")],
)
def test_wrong_counts_and_formats_are_refused(counts, form, words):
    with pytest.raises(ValueError, match=words):
        energy.estimate(*counts, form)


def test_an_unknown_memory_is_refused():
    with pytest.raises(ValueError, match="1 MB"):
        energy.estimate(1, 1, 1, "int8", memory="2 MB")


def test_training_costs_three_passes_and_less_where_the_first_layers_are_frozen():
    model = build("lenet5")
    layers = {name: m for name, m in model.named_modules() if hasattr(m, "weight")}
    forward = count(model)["multiply_adds"]
    assert energy.training_multiply_adds(model, model.input_shape) == 3 * forward
    *_, last = layers
    head = layers[last].weight.numel()
    found = energy.training_multiply_adds(model, model.input_shape, (last,))
    assert found == forward + 2 * head


@pytest.mark.parametrize(
    ("trained", "words"),
    [("features.0", "trained must be the last layers, got features.0"), ("x", "no part 'x'")],
)
def test_training_the_first_layers_alone_is_refused(trained, words):
    model = build("lenet5")
    with pytest.raises(ValueError, match=words):
        energy.training_multiply_adds(model, model.input_shape, (trained,))
