from __future__ import annotations

import pytest
import torch

import squeeze_utils as sq
from squeeze_utils.compress.quantizing.integer_network import SCORE_STEP, integer_network, pool
from squeeze_utils.data import ImageSet, Split
from squeeze_utils.training.evaluation import evaluate


@pytest.fixture(scope="module")
def digits():
    return sq.load_images("digits", size=16)


def folded(digits, *steps, bits=8, **options):
    """A state after the steps, folded and calibrated."""
    torch.manual_seed(0)
    model = sq.build("squeezenet_small", **{"width": 0.25, "in_channels": 1, **options})
    state = sq.State(model, digits)
    for step in (*steps, sq.FoldBatchNorm(), sq.Calibrate(bits=bits)):
        step.apply(state)
    return state


@pytest.fixture(scope="module")
def trained(digits):
    how = {"optimizer": "muon", "batch_size": 32, "weight_decay": 0.05, "shift": 1}
    return folded(digits, sq.Train(2, lr=0.02, **how))


def noise(channels: int, size: int, count: int = 64) -> ImageSet:
    """Random bytes as pictures."""
    generator = torch.Generator().manual_seed(1)
    shape = (count, channels, size, size)
    split = Split(
        torch.randint(0, 256, shape, generator=generator).byte(),
        torch.zeros(count, dtype=torch.int64),
    )
    each = (0.47,) * channels, (0.25,) * channels
    return ImageSet("noise", ("a", "b"), split, split, split, *each, "")


def compared(state, bits=8):
    """Scores in whole numbers and simulated, as logits, and the numbers of the former."""
    data = state.data
    whole, simulated = integer_network(state.model, data, bits)
    pictures = data.test.images
    scores = whole(pictures)
    with torch.no_grad():
        wanted = simulated(sq.normalise(pictures, data.mean, data.std).double())
    return scores, scores.double() * whole.step, wanted


def test_a_trained_network_equals_its_simulation_on_every_test_picture(trained, digits):
    scores, found, wanted = compared(trained)
    assert scores.dtype == torch.int32 and scores.shape == (len(digits.test), 10)
    assert torch.equal(found, wanted)
    right = 100 * float((scores.argmax(1) == digits.test.labels).float().mean())
    float_right = evaluate(trained.model, digits.test, digits).accuracy
    assert right > 50 and abs(right - float_right) < 3
    assert scores.unique().numel() > 100


@pytest.mark.parametrize(("bits", "maps"), [(4, 8), (8, 4), (2, 4)])
def test_fewer_bits_are_exact_too(digits, bits, maps):
    state = folded(digits, bits=maps)
    _, found, wanted = compared(state, bits)
    assert torch.equal(found, wanted) and wanted.std(0).min() > 0


def test_three_channels_of_32_pixels_and_of_odd_size_are_exact():
    for size in (32, 19):
        state = folded(noise(3, size, count=16), in_channels=3, width=0.5)
        _, found, wanted = compared(state)
        assert torch.equal(found, wanted) and wanted.std(0).min() > 0


def test_the_model_that_is_written_stays_as_it_was(trained):
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    integer_network(trained.model, trained.data)
    after = trained.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_table_is_what_the_input_grid_makes_of_every_byte(trained):
    whole, _ = integer_network(trained.model, trained.data)
    point = trained.model.features[0]
    pictures = trained.data.test.images[:20]
    x = sq.normalise(pictures, trained.data.mean, trained.data.std)
    assert whole.table.shape == (1, 256)
    wanted = torch.round(point(x) / point.scale + point.zero)
    assert torch.equal(whole.numbers(pictures).float(), wanted.contiguous())


def test_pooling_whole_numbers_is_pooling():
    q = torch.randint(0, 256, (2, 3, 7, 8), dtype=torch.int32)
    real = torch.nn.MaxPool2d(3, 2, ceil_mode=True)(q.double())
    assert pool(q).dtype == torch.int32 and torch.equal(pool(q).double(), real)


def test_scores_are_multiples_of_a_power_of_two():
    assert (1 / SCORE_STEP).is_integer() and int(1 / SCORE_STEP).bit_count() == 1


def test_what_cannot_be_written_is_refused(digits):
    plain = sq.build("squeezenet_small", width=0.25, in_channels=1)
    with pytest.raises(ValueError, match="whose maps are rounded"):
        integer_network(plain, digits)
    rounding = {"width": 0.25, "in_channels": 1, "activation_bits": 8}
    with pytest.raises(ValueError, match="fold batch normalisation"):
        integer_network(sq.build("squeezenet_small", **rounding), digits)
    with pytest.raises(ValueError, match="calibrate first"):
        integer_network(sq.build("squeezenet_small", norm="none", **rounding), digits)
    with pytest.raises(ValueError, match="shaped like squeezenet_small"):
        average = sq.build("squeezenet_small", norm="none", pooling="average", **rounding)
        integer_network(average, digits)
    with pytest.raises(ValueError, match="without a bypass"):
        integer_network(folded(digits, bypass="simple").model, digits)
