from __future__ import annotations

import io

import pytest
import torch
from biased_networks import biased_network, grey_images
from torch import nn
from tqdm import tqdm

from squeeze_utils.compress.pricing import (
    Squeezed,
    after_training,
    frontier,
    layers_and_inputs,
    squeeze,
)
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import build


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return biased_network(0.125)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return grey_images()


@pytest.fixture(scope="module")
def squeezed(model, images) -> Squeezed:
    return squeeze(model, images, dense_bytes(model) // 8)


def dense_bytes(model: nn.Module) -> int:
    return 4 * sum(p.numel() for p in model.parameters())


def test_dense_layers_are_rounded_too(images):
    torch.manual_seed(0)
    network, images = build("lenet_300_100", image_size=8).eval(), images[:, :, :8, :8]
    found = squeeze(network, images, dense_bytes(network) // 12)
    dense = ["classifier.0", "classifier.2", "classifier.4"]
    assert [fact["layer"] for fact in found.layers] == dense
    assert len(found.model.classifier[0].weight.unique()) < 64
    assert torch.equal(container.decode_sqz(found.data)(images), found.model(images))
    assert (found.model(images) - network(images)).square().mean() < 0.1 * network(images).var()


def test_the_bar_of_one_target_ends_at_its_end(images, monkeypatch):
    bars = []

    def counted(**options):
        bars.append(tqdm(**{**options, "disable": False, "file": io.StringIO()}))
        return bars[-1]

    monkeypatch.setattr(after_training, "tqdm", counted)
    torch.manual_seed(0)
    network = build("lenet_300_100", image_size=8).eval()
    squeeze(network, images[:, :, :8, :8], dense_bytes(network) // 12, progress=True)
    (bar,) = bars
    assert bar.n == bar.total == 1 + after_training.PASSES + 1


@pytest.mark.slow
def test_one_frontier_learns_once_and_keeps_to_every_target(model, images, squeezed, monkeypatch):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    targets = [dense_bytes(model) // 8, dense_bytes(model) // 12]
    learned, learn = [], after_training.learn
    monkeypatch.setattr(after_training, "learn", lambda *a: learned.append(1) or learn(*a))
    found = list(frontier(model, images, targets))
    assert len(learned) == 1
    assert all(len(f.data) <= target for f, target in zip(found, targets, strict=True))
    assert found[0].data == squeezed.data  # repeatable
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_rows_of_large_layers_tell_the_price(model, images, squeezed, monkeypatch):
    seen, whole = [], layers_and_inputs.round_layer

    def noted(weight, *others):
        seen.append(tuple(weight.shape))
        return whole(weight, *others)

    monkeypatch.setattr(layers_and_inputs, "round_layer", noted)
    monkeypatch.setattr(after_training, "LARGE", 300)
    monkeypatch.setattr(after_training, "EVERY", 4)
    target = dense_bytes(model) // 8
    found = squeeze(model, images, target)
    rows = [c.weight.flatten(1) for c in layers_and_inputs.weighted(model).values()]
    large = [weight for weight in rows if weight.numel() > 300]
    assert large and {(-(-len(w) // 4), w.shape[1]) for w in large} < set(seen)
    assert 0.98 * target < len(found.data) <= target  # how near depends on the processor
    wanted = model(images)
    changed, usual = ((f.model(images) - wanted).square().mean() for f in (found, squeezed))
    assert 0 < changed < 4 * usual  # these samples are of four rows; the prices differ


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
        nearest = biased_network(0.125)
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
        ("squeezenet_small", {"norm": "batch"}, "accepted: a network after FoldBatchNorm"),
        ("squeezenet_small", {"norm": "none", "expand": "depthwise"}, "accepted: plain conv"),
        ("resnet20", {}, "A ResNet, or a network with strided blocks, cannot be folded"),
        ("detector", {"image_size": 48}, "a Detector cannot be rounded layer by layer; accepted"),
        ("vgg11", {"image_size": 32}, "accepted: a network after FoldBatchNorm"),
    ],
)
def test_other_networks_are_refused(name, options, message, images):
    with pytest.raises(ValueError, match=message):
        squeeze(build(name, num_classes=10, in_channels=1, **options), images, 10_000)


def test_a_network_of_another_kind_is_refused(images):
    with pytest.raises(
        ValueError, match="a Sequential cannot be rounded layer by layer; accepted: a SqueezeNet"
    ):
        squeeze(nn.Sequential(nn.Conv2d(1, 4, 3)), images, 10_000)


def test_bad_sizes_and_images_are_refused(model, images):
    with pytest.raises(ValueError, match="target_bytes must be"):
        squeeze(model, images, 0)
    with pytest.raises(ValueError, match="at least two"):
        squeeze(model, images[:1], 10_000)
    with pytest.raises(ValueError, match="1,000 bytes cannot be reached"):
        squeeze(model, images, 1_000)
