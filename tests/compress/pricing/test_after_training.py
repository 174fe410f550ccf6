from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from squeeze_utils.compress.pricing import (
    Squeezed,
    after_training,
    frontier,
    layer_inputs,
    priced_rounding,
    squeeze,
)
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import build

OPTIONS = {"num_classes": 10, "in_channels": 1, "width": 0.25, "norm": "none"}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    network = build("squeezenet_small", **OPTIONS).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.1)
    return network


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(12, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def with_dense_layers() -> list[nn.Module]:
    """LeNet-5, a SqueezeNet with a dense head, and VGG-11 of thin Fire modules for 32 pixels."""
    torch.manual_seed(0)
    small = {"num_classes": 10, "in_channels": 1}
    return [
        build("lenet5", image_size=16, **small),
        build("squeezenet_small", width=0.25, norm="none", head="dense", **small),
        build("vgg11", image_size=32, fire=True, normalisation="none", **small),
    ]


@pytest.fixture(scope="module")
def squeezed(model, images) -> Squeezed:
    return squeeze(model, images, dense_bytes(model) // 8)


def dense_bytes(model: nn.Module) -> int:
    return 4 * sum(p.numel() for p in model.parameters())


def test_windows_times_weights_are_the_convolution():
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    x = torch.randn(2, 3, 9, 9)
    at = layer_inputs.window_places(x, conv, 25, torch.Generator().manual_seed(0))
    seen = layer_inputs.windows(x, conv, at) @ conv.weight.flatten(1).T + conv.bias
    wanted = conv(x)[:, :, at[:, 0], at[:, 1]].permute(0, 2, 1).reshape(-1, 4)
    assert torch.allclose(seen, wanted, atol=1e-5)
    assert at.unique(dim=0).shape == (25, 2) and at.max() == 4  # every place of 5 x 5, once


def test_places_of_a_large_map_are_drawn_from_all_of_it():
    conv, x = nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.randn(2, 3, 40, 24)
    drawn = [
        layer_inputs.window_places(x, conv, 96, torch.Generator().manual_seed(seed))
        for seed in range(30)
    ]
    assert all(at.shape == (96, 2) for at in drawn)
    assert torch.cat(drawn).unique(dim=0).shape == (20 * 12, 2)


def test_of_many_images_each_gives_fewer_windows():
    found = [layer_inputs.windows_of_each(images) for images in (2, 1000, 2000, 45_000, 1_000_000)]
    assert found == [96, 96, 48, 2, 1]


@pytest.mark.parametrize("which", range(4))
def test_a_layer_sees_what_the_network_hands_it(which, model, images):
    model = [model, *with_dense_layers()][which].eval()
    images = nn.functional.interpolate(images, scale_factor=2) if which == 3 else images
    seen = {}
    handles = [
        conv.register_forward_pre_hook(lambda m, args, n=name: seen.__setitem__(n, args[0]))
        for name, conv in layer_inputs.weighted(model).items()
    ]
    with torch.no_grad():
        model(images)
        for handle in handles:
            handle.remove()
        x = images
        for stage in layer_inputs.stages(model):
            for name in (n for group in layer_inputs.layers_of(stage) for n in group):
                found = layer_inputs.input_of(stage, name, x)
                assert torch.equal(found.view_as(seen[name]), seen.pop(name)), name
            x = layer_inputs.run_stage(stage, x)
    assert not seen


def test_dense_layers_are_rounded_too(images):
    torch.manual_seed(0)
    network, images = build("lenet_300_100", image_size=8).eval(), images[:, :, :8, :8]
    found = squeeze(network, images, dense_bytes(network) // 12)
    dense = ["classifier.0", "classifier.2", "classifier.4"]
    assert [fact["layer"] for fact in found.layers] == dense
    assert len(found.model.classifier[0].weight.unique()) < 64
    assert torch.equal(container.decode_sqz(found.data)(images), found.model(images))
    assert (found.model(images) - network(images)).square().mean() < 0.1 * network(images).var()


def test_one_frontier_learns_once_and_keeps_to_every_target(model, images, squeezed):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    targets = [dense_bytes(model) // 8, dense_bytes(model) // 12]
    plans = []
    found = list(frontier(model, images, targets, on_plan=plans.append))
    assert len(plans) == 1 and all(value > 0 for value in plans[0].values())
    assert all(len(f.data) <= target for f, target in zip(found, targets, strict=True))
    assert found[0].data == squeezed.data  # repeatable
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_rows_of_large_layers_tell_the_price(model, images, squeezed, monkeypatch):
    seen, whole = [], after_training.round_layer

    def noted(weight, *others):
        seen.append(tuple(weight.shape))
        return whole(weight, *others)

    monkeypatch.setattr(after_training, "round_layer", noted)
    monkeypatch.setattr(after_training, "LARGE", 600)
    monkeypatch.setattr(after_training, "EVERY", 4)
    target = dense_bytes(model) // 8
    found = squeeze(model, images, target)
    large = [
        w for c in layer_inputs.weighted(model).values() if (w := c.weight.flatten(1)).numel() > 600
    ]
    assert large and {(-(-len(w) // 4), w.shape[1]) for w in large} < set(seen)
    assert 0.99 * target < len(found.data) <= target
    wanted = model(images)
    changed, usual = ((f.model(images) - wanted).square().mean() for f in (found, squeezed))
    assert 0 < changed < 4 * usual  # these samples are of four rows; the prices differ


def test_stages_hold_every_convolution_once(model):
    names = [
        n for stage in layer_inputs.stages(model) for g in layer_inputs.layers_of(stage) for n in g
    ]
    convolutions = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    assert sorted(names) == sorted(convolutions) and len(names) == 26
    x = torch.randn(1, 1, 16, 16)
    out = x
    for stage in layer_inputs.stages(model):
        for _, module in stage:
            out = module(out)
    assert torch.equal(out.flatten(1), model(x))


def test_the_correction_undoes_a_linear_change_of_the_inputs():
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4000, 6, generator=generator)
    mix = torch.eye(6) + 0.2 * torch.randn(6, 6, generator=generator)
    moments = layer_inputs.Moments.empty(6)
    moments.add(original @ mix, original)
    weight = torch.randn(3, 6, generator=generator)
    before = ((original - original @ mix) @ weight.T).square().mean()
    after = (original @ weight.T - original @ mix @ moments.corrected(weight).T).square().mean()
    assert after < 0.002 * before


@pytest.fixture(scope="module")
def covariance() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(2000, 24, generator=generator) @ torch.randn(24, 24, generator=generator)
    return seen.T @ seen / len(seen)


def error_of(weight: torch.Tensor, covariance: torch.Tensor) -> float:
    return float((weight @ covariance * weight).sum())


def test_later_columns_make_up_for_the_rounding_of_earlier_ones(covariance):
    weight = torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    triangle = priced_rounding.factor(covariance)
    assert torch.allclose(triangle.T @ triangle @ covariance, torch.eye(24), atol=1e-2)
    columns = priced_rounding.Columns(covariance, torch.arange(24), triangle)
    found = priced_rounding.round_layer(weight, columns, 1e-3, sweeps=0)
    plain = (weight / found.step).round() * found.step
    errors = [error_of(w - weight, covariance) for w in (plain, found.weight)]
    assert errors[1] < 0.7 * errors[0]
    assert errors[1] == pytest.approx(found.error, rel=0.02)


def test_the_order_makes_curvatures_alike_and_keeps_their_product(covariance):
    columns = priced_rounding.Columns.of(covariance)
    assert sorted(columns.order.tolist()) == list(range(24))
    assert torch.equal(columns.covariance, covariance[columns.order][:, columns.order])
    ordered, plain = (
        1 / triangle.diagonal().double() ** 2
        for triangle in (columns.triangle, priced_rounding.factor(covariance))
    )
    assert ordered.log().sum() == pytest.approx(float(plain.log().sum()), abs=0.1)
    assert ordered.sum() < 0.85 * plain.sum()
    assert columns.order[-1] == covariance.diagonal().argmin()  # nothing is left to lean on


def test_the_order_is_the_same_whatever_is_done_at_once(covariance, monkeypatch):
    """The simple way, one column after the other; also with inputs that never vary."""
    silent = covariance.clone()
    silent[3:7], silent[:, 3:7] = 0, 0
    for matrix in (covariance, silent + 1e-9 * torch.eye(len(silent))):
        expected = one_by_one(matrix)
        for block in (1, 4, len(matrix) - 1, 1000):
            monkeypatch.setattr(priced_rounding, "ORDERED", block)
            assert torch.equal(priced_rounding.order_for(matrix), expected)


def one_by_one(covariance: torch.Tensor) -> torch.Tensor:
    left, order = covariance.double().clone(), []
    for _ in range(len(left)):
        variance = left.diagonal().clone()
        variance[order] = torch.inf
        at = int(variance.argmin())
        order.append(at)
        left -= torch.outer(left[at], left[at]) / max(left[at, at], 1e-12)
    return torch.tensor(order[::-1])


def test_second_thoughts_lower_error_plus_price_and_give_numbers_in_their_places(covariance):
    weight = torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    columns, price = priced_rounding.Columns.of(covariance), 0.1
    paid = []
    for sweeps in (0, 1, 2):
        found = priced_rounding.round_layer(weight, columns, price, sweeps=sweeps)
        assert error_of(found.weight - weight, covariance) == pytest.approx(found.error, rel=0.02)
        paid.append(found.error + price * found.bits)
    assert paid[1] < paid[0] and paid[2] <= 1.001 * paid[1]


def test_one_more_look_changes_a_weight_only_for_the_better():
    """A block of columns at a time gives what one weight after the other gives."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(70, 70, generator=generator)
    covariance = (mix.T @ mix / 70 + 0.1 * torch.eye(70)).numpy()
    wanted = 2 * torch.randn(70, 3, generator=generator).numpy()
    costs, step = np.full(2 * priced_rounding.MOST + 1, 0.05, np.float32), 0.7
    found = priced_rounding._again(wanted, np.rint(wanted), covariance, step, costs)
    slow = np.rint(wanted)
    for j in range(70):
        pull = covariance[j] @ (wanted - slow)
        slow[j] = np.rint(slow[j] + pull / covariance[j, j])  # all bits cost the same here
    assert np.array_equal(found, slow) and not np.array_equal(slow, np.rint(wanted))


def test_a_bias_gets_the_grid_of_a_column_that_always_sees_one():
    bias = torch.randn(40, generator=torch.Generator().manual_seed(0))
    found = priced_rounding.round_bias(bias, 1e-2)
    step = priced_rounding.step_for(1e-2, priced_rounding.STEADY, float(bias.abs().max()))
    assert (found - bias).abs().max() <= 0.51 * step and 10 < len(found.unique()) < 40
    assert torch.equal(priced_rounding.round_bias(torch.zeros(3), 1e-3), torch.zeros(3))


def test_a_covariance_that_is_none_is_mended():
    broken = torch.diag(torch.tensor([1.0, 1.0, -1e-7]))
    triangle = priced_rounding.factor(broken)
    assert torch.isfinite(triangle).all() and (triangle.diagonal() > 0).all()


def test_a_higher_price_needs_fewer_bits_and_makes_more_zeros():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 32, generator=generator)
    plain = priced_rounding.Columns.of(torch.eye(32))
    cheap, dear = (priced_rounding.round_layer(weight, plain, price) for price in (1e-3, 1e-1))
    assert dear.bits < 0.6 * cheap.bits and dear.error > cheap.error
    assert (dear.numbers == 0).sum() > (cheap.numbers == 0).sum()
    counts = torch.bincount((dear.numbers + priced_rounding.MOST).flatten())
    shares = counts[counts > 0] / weight.numel()
    entropy = -(shares * shares.log2()).sum() * weight.numel()
    assert dear.bits == pytest.approx(float(entropy), rel=0.05)


def test_a_layer_of_zeros_stays_zero():
    found = priced_rounding.round_layer(
        torch.zeros(4, 6), priced_rounding.Columns.of(torch.eye(6)), 1e-6
    )
    assert not found.numbers.any() and found.error == 0


def test_the_file_fits_says_what_was_done_and_gives_the_same_outputs(model, images, squeezed):
    target = dense_bytes(model) // 8
    assert 0.9 * target < len(squeezed.data) <= target
    assert sum(squeezed.parts.values()) == len(squeezed.data)
    decoded = container.decode_sqz(squeezed.data)
    assert torch.equal(decoded(images), squeezed.model.eval()(images))
    assert [fact["weights"] for fact in squeezed.layers] == [
        m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d)
    ]


def test_it_changes_less_than_rounding_to_the_nearest_in_as_many_bytes(model, images, squeezed):
    with torch.no_grad():
        wanted = model(images)
        error = (squeezed.model(images) - wanted).square().mean()
        nearest = build("squeezenet_small", **OPTIONS).eval()
        for bits in range(8, 1, -1):  # the finest plain grid that fits
            for (_, p), (_, q) in zip(
                model.named_parameters(), nearest.named_parameters(), strict=True
            ):
                step = p.abs().max() / (2 ** (bits - 1) - 1)
                q.copy_((p / step).round() * step if p.ndim == 4 else p.half().float())
            if len(container.encode_sqz(nearest)[0]) <= len(squeezed.data):
                break
        assert error < 0.5 * (nearest(images) - wanted).square().mean()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("squeezenet_small", {"norm": "batch"}, "fold the batch normalisation"),
        ("squeezenet_small", {"norm": "none", "expand": "depthwise"}, "accepted: plain conv"),
        ("vgg11", {"image_size": 32}, "fold the batch normalisation"),
    ],
)
def test_other_networks_are_refused(name, options, message, images):
    with pytest.raises(ValueError, match=message):
        squeeze(build(name, num_classes=10, in_channels=1, **options), images, 10_000)


def test_a_network_of_another_kind_is_refused(images):
    with pytest.raises(ValueError, match="a Sequential cannot be rounded so"):
        squeeze(nn.Sequential(nn.Conv2d(1, 4, 3)), images, 10_000)


def test_bad_sizes_and_images_are_refused(model, images):
    with pytest.raises(ValueError, match="target_bytes must be"):
        squeeze(model, images, 0)
    with pytest.raises(ValueError, match="at least two"):
        squeeze(model, images[:1], 10_000)
    with pytest.raises(ValueError, match="1,000 bytes cannot be reached"):
        squeeze(model, images, 1_000)
