"""A backbone that computes what torchvision's network does, with batch normalisation in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.quantizing.fold_batch_norm import folded
from squeeze_utils.data import normalise
from squeeze_utils.models import build, pretrained
from squeeze_utils.models.pretrained import MEAN, STD
from squeeze_utils.training.start_from_imagenet import ImageNetBackbone
from squeeze_utils.training.step import State

DATA = replace(tiny_set(channels=3, size=48, counts=(8, 4, 4)), name="tiny")


@pytest.fixture
def released(monkeypatch) -> torch.nn.Module:
    """A network in the place of torchvision's, so that no file is needed."""
    torch.manual_seed(1)
    source = build("squeezenet1_1", first_padding=1)
    with torch.no_grad():
        for name, tensor in source.named_parameters():
            if name.endswith("bias"):
                tensor.normal_(std=0.2)
    monkeypatch.setattr(pretrained, "imagenet_weights", source.state_dict)
    return source.eval()


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_backbone_computes_what_the_released_one_does(released, norm: str):
    state = State(build("detector", image_size=48, norm=norm), DATA)
    before = state.model.predict.weight.clone()
    assert ImageNetBackbone(images=8).apply(state) == {"layers": 25}
    x = normalise(DATA.train.images[:4], DATA.mean, DATA.std)
    theirs = normalise(DATA.train.images[:4], MEAN, STD)
    inner = (slice(None), slice(None), slice(1, None), slice(1, None))  # padding is another grey
    depth = 2 if norm == "batch" else 1  # the normalisation adds the bias
    with torch.no_grad():
        ours = state.model.eval().backbone.features[:depth](x)
        expected = released.features[:1](theirs)
    torch.testing.assert_close(ours[inner], expected[inner], rtol=1e-3, atol=1e-3)
    assert torch.equal(state.model.predict.weight, before)


def test_with_equal_normalisation_all_maps_are_equal(released):
    data = replace(DATA, mean=MEAN, std=STD)
    state = State(build("segmenter", image_size=48), data)
    ImageNetBackbone(images=8).apply(state)
    x = normalise(data.test.images, MEAN, STD)
    with torch.no_grad():
        maps = state.model.eval().backbone(x)
        expected = released.features(x)
        torch.testing.assert_close(maps[-1], expected, rtol=1e-3, atol=1e-3)
        plain = folded(state.model).eval().backbone(x)
        torch.testing.assert_close(plain[-1], expected, rtol=1e-3, atol=1e-3)


def test_what_it_does_not_fit_is_refused(released):
    for options in ({"width": 0.5}, {"backbone": "vgg"}, {"in_channels": 1}):
        with pytest.raises(ValueError, match="squeezenet1_1 of width 1"):
            ImageNetBackbone().apply(State(build("detector", image_size=48, **options), DATA))
    with pytest.raises(ValueError, match="for detectors and segmenters"):
        ImageNetBackbone().apply(State(build("lenet5", image_size=32), DATA))
    state = State(build("detector", image_size=48), DATA, masks={"a": torch.ones(1)})
    with pytest.raises(ValueError, match="comes before Prune"):
        ImageNetBackbone().apply(state)
    with pytest.raises(ValueError, match="images"):
        ImageNetBackbone(images=0)
