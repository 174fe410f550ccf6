from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from squeeze_utils.anatomy import by_module, layer_table
from squeeze_utils.models import (
    ACTIVATIONS,
    NAMES,
    POOLINGS,
    Fire,
    ModelSpec,
    SqueezeNet,
    SqueezeNetConfig,
    build,
)
from squeeze_utils.models.baselines import ResidualBlock
from squeeze_utils.models.layers import LONG_STUDY_POOLINGS, BlurPool, MixedPool, pooling
from squeeze_utils.models.squeezenet import initialise

THIN = {"width": 0.125, "in_channels": 1}


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def on_meta(name: str, **options) -> nn.Module:
    """The model without memory: enough for shapes and counts of the large ones."""
    with torch.device("meta"):
        return build(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_takes_its_input_shape_and_gives_its_classes(name):
    model = on_meta(name, num_classes=7).eval()
    assert model.spec == ModelSpec.of(name, num_classes=7)
    assert model.num_classes == 7
    answers = {"detector": (2, 5 + 7, 14, 14), "segmenter": (2, 7, 224, 224)}
    found = model(torch.empty(2, *model.input_shape, device="meta")).shape
    assert found == answers.get(name, (2, 7))


def test_a_spec_builds_its_model_again_and_can_be_hashed():
    spec = ModelSpec.of("squeezenet_small", width=0.25, pool_after=[1, 3])
    model = spec.build()
    assert model.spec == spec == ModelSpec.of("squeezenet_small", pool_after=(1, 3), width=0.25)
    assert len({spec, model.spec}) == 1
    assert model.config.pool_after == (1, 3)


def test_a_squeezenet_knows_its_size_of_images_and_has_the_same_layers_at_each():
    usual, small = build("squeezenet1_1"), build("squeezenet1_1", image_size=64)
    assert usual.input_shape == (3, 224, 224) and small.input_shape == (3, 64, 64)
    assert small.config == usual.config and usual.spec.options == ()
    again = ModelSpec.from_dict(json.loads(json.dumps(small.spec.as_dict()))).build()
    assert again.spec == small.spec and again.input_shape == small.input_shape


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("squeezenet", {}, "unknown model 'squeezenet'; accepted: squeezenet1_0"),
        ("squeezenet1_1", {"depth": 3}, "squeezenet1_1 has no option depth; accepted: activation"),
        ("alexnet", {"bypass": "simple"}, "alexnet has no option bypass; accepted: dropout"),
        ("vgg16", {"depth": 11}, "vgg16 has no option depth"),
        ("lenet5_fire", {"fire": False}, "lenet5_fire has no option fire"),
        ("alexnet", {"image_size": 64}, "unknown image_size 64; accepted: 32, 224"),
        ("lenet5", {"num_classes": 0}, "num_classes must be a whole number of at least 1, got 0"),
        ("lenet5", {"num_classes": "ten"}, "num_classes .* got 'ten'"),
        ("lenet5", {"in_channels": 0}, "in_channels .* got 0"),
        ("lenet5", {"image_size": 12}, "at least 16 pixels, got 12"),
        ("squeezenet1_1", {"image_size": 0}, "image_size must be .* of at least 1, got 0"),
        ("squeezenet1_1", {"image_size": 5000}, "image_size must be .* to 4096, got 5000"),
        ("alexnet", {"normalisation": "layer"}, "unknown normalisation 'layer'"),
        ("squeezenet_small", {"activation": "sine"}, "unknown activation 'sine'; accepted: relu"),
        ("squeezenet_small", {"pooling": "min"}, "unknown pooling 'min'; accepted: max"),
        ("squeezenet_small", {"norm": "layer"}, "unknown normalisation 'layer'; accepted: none"),
        ("squeezenet_small", {"bypass": "long"}, "unknown bypass 'long'; accepted: none, simple"),
        ("squeezenet_small", {"pct3x3": 1.0}, r"pct3x3 must lie in \(0, 1\), got 1\.0"),
        ("squeezenet_small", {"squeeze_ratio": 0}, "squeeze_ratio must be positive"),
        ("squeezenet_small", {"width": -1.0}, "width must be positive"),
        ("squeezenet_small", {"width": 0.001}, "fewer than 2 expand filters"),
        ("squeezenet_small", {"dropout": 1.0}, "dropout must lie in"),
        ("squeezenet_small", {"pool_after": (0, 3)}, "pool_after accepts layers 1 to 9"),
        ("squeezenet_small", {"pool_after": 3}, "pool_after takes a tuple of layers, got 3"),
        ("squeezenet_small", {"fires": 5}, "fires takes 8 triples .* got 5"),
        ("squeezenet_small", {"fires": (5,) * 8}, "fires takes 8 triples"),
        ("vgg11", {"dropout": 0.9}, "vgg11 has no option dropout"),
        ("detector", {"pools": 2.0}, "pools must be a whole number from 1 to 3"),
        ("segmenter", {"skips": "no"}, "skips must be True or False, got 'no'"),
        ("squeezenet_small", {"first_kernel": 0}, "first_kernel must be a whole number"),
        ("squeezenet_small", {"base_expand": 1.5}, "base_expand must be a whole number"),
    ],
)
def test_refused(name, options, words):
    with pytest.raises(ValueError, match=words):
        build(name, **options)


def test_torchvision_alexnet_has_the_same_tensors():
    from torchvision.models import alexnet

    with torch.device("meta"):
        theirs = alexnet().state_dict()
    ours = on_meta("alexnet").state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("squeezenet1_0", {}, 1_248_424),
        ("squeezenet1_1", {}, 1_235_496),
        ("squeezenet1_0", {"num_classes": 10}, 740_554),
        ("squeezenet1_1", {"num_classes": 10}, 727_626),
        ("squeezenet1_0", {"squeeze_ratio": 0.25}, 1_967_080),
        ("squeezenet1_0", {"squeeze_ratio": 0.5}, 3_404_392),
        ("squeezenet1_0", {"squeeze_ratio": 0.75}, 4_841_704),
        ("squeezenet1_0", {"squeeze_ratio": 1.0}, 6_279_016),
        ("squeezenet1_0", {"bypass": "simple"}, 1_248_424),
        ("squeezenet1_0", {"bypass": "complex"}, 1_589_672),
        ("alexnet", {}, 61_100_840),
        ("vgg11", {}, 132_863_336),
        ("vgg16", {}, 138_357_544),
        ("resnet20", {}, 269_722),
        ("lenet_300_100", {}, 266_610),
        ("lenet5", {}, 431_080),
    ],
)
def test_published_parameter_counts(name, options, count):
    assert parameters(on_meta(name, **options)) == count


def test_a_narrower_resnet_has_the_numbers_counted_by_hand():
    convolutions = 9 * (3 * 10 + 6 * 10 * 10 + 10 * 20 + 5 * 20 * 20 + 20 * 40 + 5 * 40 * 40)
    norms, head = 2 * (7 * 10 + 6 * 20 + 6 * 40), 40 * 10 + 10
    assert parameters(on_meta("resnet20", width=0.625)) == convolutions + norms + head
    with pytest.raises(ValueError, match="width"):
        on_meta("resnet20", width=0)


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"squeeze_ratio": 0.5, "pct3x3": 0.25},
        {"base_expand": 64, "step_expand": 32, "squeeze_ratio": 0.25, "pct3x3": 0.75},
    ],
)
def test_fire_modules_follow_section_5_1_of_the_paper(numbers):
    config = SqueezeNetConfig(**numbers)
    fires = on_meta("squeezenet1_0", **numbers).fires()
    assert list(fires) == list(range(2, 10))
    for i, fire in fires.items():
        e = config.base_expand + config.step_expand * ((i - 2) // 2)
        assert fire.squeeze.out_channels == config.squeeze_ratio * e
        assert fire.expand3x3.out_channels == config.pct3x3 * e
        assert fire.expand1x1.out_channels == e - config.pct3x3 * e == e - config.fire(i)[2]


def test_the_list_of_layers_in_the_docstring_is_true():
    lines = [line.strip() for line in SqueezeNet.__doc__.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("layer "))
    columns = [re.split(r"\s{2,}", line) for line in lines[start + 1 : lines.index("", start)]]
    for place, name in zip((-2, -1), lines[start].split()[-2:], strict=True):
        model = on_meta(name)
        shapes = by_module(layer_table(model, model.input_shape))["output"]
        written = {row[0]: row[place] for row in columns if row[place] != "-"}
        found = {n: " ".join(map(str, shape)) for n, shape in shapes.items() if "norm" not in n}
        assert written == found
        fires = {f"fire{i}": str(fire.shape) for i, fire in model.fires().items()}
        assert {row[0]: row[1] for row in columns if row[0].startswith("fire")} == fires


def test_width_multiplies_every_layer():
    full, half = on_meta("squeezenet1_0"), on_meta("squeezenet1_0", width=0.5)
    pairs = [
        (a, b)
        for a, b in zip(full.modules(), half.modules(), strict=True)
        if isinstance(a, nn.Conv2d) and a is not full.classifier[1]
    ]
    assert len(pairs) == 25
    assert all(a.out_channels == 2 * b.out_channels for a, b in pairs)


def test_a_bypass_changes_the_outputs_of_the_whole_network():
    torch.manual_seed(0)
    plain = build("squeezenet_small", **THIN).eval()
    residual = build("squeezenet_small", bypass="simple", **THIN).eval()
    residual.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(2, 1, 16, 16)
    assert not torch.allclose(plain(x), residual(x), atol=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_reaches_every_fire_module(name):
    model = build("squeezenet_small", activation=name, **THIN)
    kind = type(ACTIVATIONS[name]())
    for fire in model.fires().values():
        assert type(fire.squeeze_activation) is type(fire.expand_activation) is kind
    assert sum(type(layer) is kind for layer in model.features) == 1
    x = torch.randn(2, 1, 16, 16, requires_grad=True)
    model(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_activations_compute_different_things():
    x = torch.randn(2, 1, 16, 16)
    outputs = []
    for name in ACTIVATIONS:
        torch.manual_seed(0)
        outputs.append(build("squeezenet_small", activation=name, **THIN).eval()(x))
    for i, one in enumerate(outputs):
        assert all(not torch.equal(one, other) for other in outputs[:i])


@pytest.mark.parametrize("name", [*POOLINGS, *LONG_STUDY_POOLINGS])
def test_every_pooling_halves(name):
    x = torch.randn(2, 6, 32, 32)
    layer = pooling(name, 6)
    for side in (16, 8, 4, 2, 1):
        x = layer(x)
        assert x.shape == (2, 6, side, side)
    model = build("squeezenet_small", pooling=name, pool_after=(2, 9), **THIN).eval()
    assert model.features(torch.randn(1, 1, 16, 16)).shape[2:] == (4, 4)


def test_poolings_compute_what_their_names_say():
    constant = torch.full((1, 2, 8, 8), 3.0)
    assert torch.allclose(BlurPool()(constant), torch.full((1, 2, 4, 4), 3.0))
    x = torch.randn(1, 2, 8, 8)
    both = (pooling("max", 2)(x) + pooling("average", 2)(x)) / 2
    assert torch.allclose(MixedPool()(x), both, atol=1e-6)
    blend = MixedPool().blend
    assert blend.requires_grad and blend.ndim == 0


def test_a_residual_block_adds_its_input_or_every_other_pixel_of_it():
    x = torch.randn(2, 4, 6, 6)
    for outputs, kept in ((4, x), (8, x[:, :, ::2, ::2])):
        block = ResidualBlock(4, outputs).eval()
        nn.init.zeros_(block.path[-2].weight)  # the last convolution: the path adds nothing
        found = block(x)
        assert torch.equal(found[:, :4], kept.relu()) and not found[:, 4:].any()


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg16", "vgg16_fire"])
def test_the_32_pixel_forms(name):
    small = on_meta(name, image_size=32, num_classes=10, in_channels=1).eval()
    assert small.input_shape == (1, 32, 32)
    assert small(torch.empty(2, 1, 32, 32, device="meta")).shape == (2, 10)
    large = on_meta(name, num_classes=10)
    assert parameters(small) < parameters(large)
    convolutions = [m.out_channels for m in small.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions == [m.out_channels for m in large.modules() if isinstance(m, nn.Conv2d)]


def test_alexnet_has_five_convolutions_and_three_dense_layers():
    kinds = [type(m) for m in on_meta("alexnet", image_size=32).modules()]
    assert kinds.count(nn.Conv2d) == 5
    assert kinds.count(nn.Linear) == 3


def test_the_fire_forms_replace_the_convolutions():
    vgg = on_meta("vgg16_fire", image_size=32)
    assert [type(m) for m in vgg.features].count(Fire) == 12
    assert [type(m) for m in vgg.features].count(nn.Conv2d) == 1
    plain = on_meta("vgg16", image_size=32)
    widths = [m.out_channels for m in vgg.features if isinstance(m, Fire)]
    assert widths == [m.out_channels for m in plain.features if isinstance(m, nn.Conv2d)][1:]
    lenet, original = build("lenet5_fire"), build("lenet5")
    assert [m.out_channels for m in lenet.features if isinstance(m, Fire)] == [20, 50]
    assert lenet.classifier[0].in_features == original.classifier[0].in_features
    assert parameters(lenet.features) < parameters(original.features)


def test_a_stack_without_a_last_layer_can_be_initialised_and_one_without_memory_is_left_alone():
    stack = nn.Sequential(nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 1))
    initialise(stack, last=None)
    for conv in stack:
        assert float(conv.weight.std()) == pytest.approx(
            (2 / conv.weight[0].numel()) ** 0.5, rel=0.1
        )
        assert not conv.bias.any()
    with torch.device("meta"):
        empty = nn.Conv2d(3, 3, 1)
    initialise(empty, last=None)
    assert empty.weight.is_meta


def test_the_same_seed_builds_the_same_weights():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build("squeezenet_small", **THIN).parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
