"""`anatomy`: every count against the model itself, torch's own counter, and gradients."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from squeeze_utils import anatomy, models
from squeeze_utils.anatomy.tracing import AnatomyError
from squeeze_utils.models.layers import BlurPool

IMAGE = (3, 224, 224)
SMALL = (3, 32, 32)

# layer: weights and biases of the squeeze, 1x1 expand and 3x3 expand filters, and their total
FIRES = {
    "fire2": (1_536, 16, 1_024, 64, 9_216, 64, 11_920),
    "fire3": (2_048, 16, 1_024, 64, 9_216, 64, 12_432),
    "fire4": (4_096, 32, 4_096, 128, 36_864, 128, 45_344),
    "fire5": (8_192, 32, 4_096, 128, 36_864, 128, 49_440),
    "fire6": (12_288, 48, 9_216, 192, 82_944, 192, 104_880),
    "fire7": (18_432, 48, 9_216, 192, 82_944, 192, 111_024),
    "fire8": (24_576, 64, 16_384, 256, 147_456, 256, 188_992),
    "fire9": (32_768, 64, 16_384, 256, 147_456, 256, 197_184),
}
ENDS = {"conv1": (14_112, 96, 14_208), "conv10": (512_000, 1_000, 513_000)}


def on_meta(name, **options):
    with torch.device("meta"):
        return models.build(name, **options)


def numel(model):
    return sum(parameter.numel() for parameter in model.parameters())


def half_flops(model, shape):
    """Multiply-adds as torch counts them (it reports two operations for each)."""
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        model(torch.empty(1, *shape))
    return counter.get_total_flops() / 2


@pytest.fixture(scope="module")
def squeezenet():
    frame = anatomy.layer_table(on_meta("squeezenet1_0"), IMAGE)
    return frame.set_index("name")


@pytest.mark.parametrize("fire", FIRES)
def test_every_entry_of_the_papers_table(squeezenet, fire):
    found = []
    for part in ("squeeze", "expand1x1", "expand3x3"):
        row = squeezenet.loc[f"{fire}/{part}"]
        found += [row["parameters"] - row["biases"], row["biases"]]
    total = squeezenet.loc[squeezenet.index.str.startswith(f"{fire}/"), "parameters"].sum()
    assert (*found, total) == FIRES[fire]


@pytest.mark.parametrize("conv", ENDS)
def test_first_and_last_convolution_of_the_papers_table(squeezenet, conv):
    row = squeezenet.loc[conv]
    assert (row["parameters"] - row["biases"], row["biases"], row["parameters"]) == ENDS[conv]


def test_nothing_else_in_the_table_has_parameters(squeezenet):
    assert squeezenet["parameters"].sum() == 1_248_424
    assert (squeezenet["parameters"] > 0).sum() == 3 * len(FIRES) + len(ENDS)


def test_modules_add_up_to_the_same_table(squeezenet):
    modules = anatomy.by_module(squeezenet.reset_index())
    expected = {name: row[-1] for name, row in (FIRES | ENDS).items()}
    with_parameters = modules[modules["parameters"] > 0]
    assert with_parameters["parameters"].to_dict() == expected
    pools = ["maxpool1", "maxpool4", "maxpool8", "avgpool10"]
    assert [name for name in modules.index if "pool" in name] == pools
    assert modules.loc["fire4", "output"] == (256, 54, 54)
    assert modules.loc["fire4", "kind"] == "Fire"
    assert modules["multiply_adds"].sum() == squeezenet["multiply_adds"].sum()


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_torchvisions_squeezenet_has_the_same_anatomy(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)()
    columns = ["parameters", "biases", "multiply_adds", "activation_bytes", "receptive_field"]
    ours = anatomy.by_module(anatomy.layer_table(on_meta(name), IMAGE))
    assert ours[columns].equals(anatomy.by_module(anatomy.layer_table(theirs, IMAGE))[columns])


def test_fire_modules_keep_the_papers_numbers_behind_two_first_layers():
    once, twice = (
        anatomy.by_module(anatomy.layer_table(on_meta("squeezenet_small", first_repeat=n), SMALL))
        for n in (1, 2)
    )
    assert "conv1b" in twice.index
    assert [name for name in twice.index if "1b" not in name] == list(once.index)
    assert twice.loc["fire9", "parameters"] == once.loc["fire9", "parameters"]


VARIANTS = [
    *({"pooling": kind} for kind in (*models.POOLINGS, "blur of 3x3", "strided block")),
    *({"activation": kind} for kind in ("prelu", "gelu")),
    *({"expand": kind} for kind in models.EXPANDS),
    {"bypass": "complex", "norm": "none"},
    {"head": "dense", "first_repeat": 2},
    {"width": 0.4, "pct3x3": 0.9, "final_relu": True, "dropout": 0.5},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_variation_is_counted_in_full(options):
    model = on_meta("squeezenet_small", **options)
    frame = anatomy.layer_table(model, SMALL)
    assert frame["parameters"].sum() == numel(model)
    assert frame["multiply_adds"].sum() == half_flops(model, SMALL)


@pytest.mark.parametrize("name", [n for n in models.NAMES if "squeeze" not in n])
def test_baselines_are_counted_in_full(name):
    model = on_meta(name)
    frame = anatomy.layer_table(model, model.input_shape)
    assert frame["parameters"].sum() == numel(model)
    assert frame["multiply_adds"].sum() == half_flops(model, model.input_shape)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("alexnet", 61_100_840),
        ("vgg16", 138_357_544),
        ("resnet18", 11_689_512),
        ("vit_b_16", 86_567_656),
    ],
)
def test_torchvisions_own_models(name, parameters):
    with torch.device("meta"):
        model = getattr(torchvision.models, name)()
    found = anatomy.summary(model, IMAGE)
    assert found["parameters"] == parameters == numel(model)
    assert found["multiply_adds"] == half_flops(model, IMAGE)
    assert found["bytes"] == 4 * parameters


def test_readable_names():
    def names(model, shape):
        return anatomy.layer_table(model, shape)["name"].tolist()

    lenet = ["conv1", "maxpool1", "conv2", "maxpool2", "fc3", "relu3", "fc4"]
    assert names(on_meta("lenet5"), (1, 28, 28)) == lenet
    assert names(on_meta("alexnet"), IMAGE)[-3:] == ["fc7", "relu7", "fc8"]
    with torch.device("meta"):
        resnet = torchvision.models.resnet18()
    assert "layer1.0.conv1" in names(resnet, IMAGE)
    assert "layer1.0.add" in names(resnet, IMAGE)


def test_a_convolution_is_called_one_whichever_way_it_computes():
    class Faster(nn.Conv2d):
        pass

    row = anatomy.layer_table(nn.Sequential(Faster(3, 4, 3)), SMALL).iloc[0]
    assert (row["name"], row["kind"]) == ("conv1", "Conv2d")
    small = on_meta("vgg16", image_size=32)  # its later convolutions are of a kind of their own
    assert anatomy.layer_table(small, SMALL)["kind"].value_counts()["Conv2d"] == 13


def test_activation_bytes_by_hand():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Tanh(), nn.Flatten())
    frame = anatomy.layer_table(model, (1, 6, 6))
    assert frame["activation_bytes"].tolist() == [4 * 2 * 4 * 4] * 4
    assert frame["in_place"].tolist() == [False, True, False, True]
    assert anatomy.summary(model, (1, 6, 6))["activation_bytes"] == 2 * 128


def test_a_part_of_a_map_that_is_read_elsewhere_too_is_written_twice():
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            left, right = self.first(x).chunk(2, 1)
            return torch.cat((left, self.second(right)), 1)

    assert anatomy.written_bytes(Halves(), (3, 8, 8)) == 4 * 64 * (8 + 8)  # second: in its place


def test_what_is_concatenated_is_written_once():
    fire = models.Fire(2, 1, 3, 4)
    assert anatomy.written_bytes(fire, (2, 6, 6)) == 4 * 36 * (1 + 3 + 4)
    assert anatomy.summary(fire, (2, 6, 6))["activation_bytes"] == 4 * 36 * (1 + 2 * (3 + 4))


def test_peak_by_hand():
    chain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 1, 1))
    assert anatomy.peak_activation_bytes(chain, (1, 6, 6)) == 4 * (36 + 2 * 16)

    class Bypass(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return x + self.second(self.first(x))

    assert anatomy.peak_activation_bytes(Bypass(), (4, 5, 5)) == 4 * 3 * 100  # x waits


def test_what_is_joined_in_place_is_not_copied():
    class Fire(nn.Module):
        def __init__(self):
            super().__init__()
            self.squeeze, self.one, self.three = (
                nn.Conv2d(*sizes) for sizes in ((4, 1, 1), (1, 2, 1), (1, 2, 3, 1, 1))
            )

        def forward(self, x):
            x = self.squeeze(x)
            return torch.relu_(torch.cat([self.one(x), self.three(x)], 1))

    shape, pixels = (4, 5, 5), 4 * 25  # bytes of one channel
    peak = anatomy.peak_activation_bytes
    assert peak(Fire(), shape) == pixels * (2 + 2 + 4)  # both parts beside the result
    assert peak(Fire(), shape, join_in_place=True) == pixels * max(4 + 1, 1 + 4)
    profile = anatomy.memory_profile(Fire(), shape)
    assert profile["name"].tolist() == anatomy.layer_table(Fire(), shape)["name"].tolist()
    assert profile["alive_bytes"].tolist() == [pixels * n for n in (5, 3, 5, 8, 4)]


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 224), ("squeezenet_small", 32)])
def test_the_profile_has_the_peak(name, side):
    model, shape = on_meta(name), (3, side, side)
    for joined in (False, True):
        profile = anatomy.memory_profile(model, shape, joined)
        assert profile["module"].unique().tolist()[:3] == ["conv1", "maxpool1", "fire2"]
        assert profile["alive_bytes"].max() == anatomy.peak_activation_bytes(model, shape, joined)


# ------------------------------------------------------------------ receptive field


def seen_rows(module, shape, place):
    """First and last input row with a gradient from the middle column's output at row `place`."""
    torch.manual_seed(0)
    image = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    module.eval().double()
    output = module(image)
    output[0, :, place, output.shape[3] // 2].sum().backward()
    rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    return rows[0].item(), rows[-1].item()


def soften(model):
    """Average pooling for max pooling, no ReLU: every path then carries a gradient."""
    for name, child in model.named_children():
        if isinstance(child, nn.ReLU):
            setattr(model, name, nn.Identity())
        elif isinstance(child, nn.MaxPool2d):
            window = child.kernel_size, child.stride, child.padding, child.ceil_mode
            setattr(model, name, nn.AvgPool2d(*window))
        else:
            soften(child)
    return model


STACKS = {
    "strides": nn.Sequential(nn.Conv2d(3, 4, 7, 2), nn.AvgPool2d(3, 2), nn.Conv2d(4, 4, 5, 1, 2)),
    "dilation": nn.Sequential(nn.Conv2d(3, 4, 3, 1, 4, 4), nn.Conv2d(4, 4, 3, 2, 1)),
    "even kernel": nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 4, 1, 1)),
    "same padding": nn.Sequential(nn.Conv2d(3, 4, 5, padding="same"), nn.Conv2d(4, 4, 3, 2)),
    "fire": nn.Sequential(models.Fire(3, 4, 4, 4, act="tanh"), models.Fire(8, 4, 4, 4, act="tanh")),
    "complex bypass": models.Fire(3, 4, 4, 4, act="tanh", bypass="complex"),
    "reflection": nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 4, 5, 2)),
}


@pytest.mark.parametrize("name", STACKS)
def test_receptive_field_of_stacks_against_gradients(name):
    last = anatomy.layer_table(STACKS[name], (3, 40, 40)).iloc[-1]
    place = last["output"][1] // 2
    start = last["start"] + place * last["jump"]
    expected = (start, start + last["receptive_field"] - 1)
    assert seen_rows(STACKS[name], (3, 40, 40), place) == expected


@pytest.mark.parametrize(
    ("name", "upto"),
    [
        *(("squeezenet1_0", upto) for upto in ("conv1", "avgpool1", "fire2", "avgpool4", "fire6")),
        *(("squeezenet1_1", upto) for upto in ("conv1", "avgpool1", "fire3", "avgpool3", "fire5")),
    ],
)
def test_receptive_field_of_squeezenet_against_gradients(name, upto):
    model = soften(models.build(name, bypass="simple", width=0.1, num_classes=2))
    frame = anatomy.layer_table(model, (3, 160, 160))
    last = frame[frame["name"].str.split("/").str[0] == upto].iloc[-1]
    stage = model.features[: int(last["layer"].split(".")[1]) + 1]
    place = last["output"][1] // 2
    start = last["start"] + place * last["jump"]
    clipped = max(0, start), min(159, start + last["receptive_field"] - 1)
    assert seen_rows(stage, (3, 160, 160), place) == clipped


@pytest.mark.parametrize("module", [BlurPool(), models.layers.MixedPool()])
def test_receptive_field_of_pooling_modules_contains_every_gradient(module):
    row = anatomy.layer_table(module, (3, 32, 32)).iloc[-1]
    first, last = seen_rows(module, (3, 32, 32), 7)
    start = row["start"] + 7 * row["jump"]
    assert start <= first <= last <= start + row["receptive_field"] - 1
    assert row["jump"] == 2


def test_flattening_and_global_pooling_see_the_whole_map():
    whole = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    dense = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    for model in (whole, dense):
        last = anatomy.layer_table(model, SMALL).iloc[-1]
        assert (last["receptive_field"], last["jump"]) == (32, 0)


def test_an_unknown_receptive_field_is_missing_not_wrong():
    class Cropped(nn.Module):
        def forward(self, x):
            return F.interpolate(x, scale_factor=2.0) + 1

    assert anatomy.layer_table(Cropped(), SMALL)["receptive_field"].isna().all()


# ------------------------------------------------------------------ the model stays as it was


def test_the_model_is_left_alone():
    model = models.build("squeezenet_small").train()
    model.features[3].eval()
    model(torch.rand(2, *SMALL)).sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    anatomy.layer_table(model, SMALL)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(p.device.type == "cpu" and p.requires_grad for p in model.parameters())


def test_the_model_is_left_alone_after_an_error():
    model = models.build("squeezenet_small").train()
    with pytest.raises(AnatomyError):
        anatomy.layer_table(model, (1, 32, 32))
    assert all(module.training for module in model.modules())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert model(torch.rand(2, *SMALL)).shape == (2, 10)


def test_half_precision_counts_the_same():
    model = models.build("squeezenet_small", width=0.2)
    expected = anatomy.layer_table(model, SMALL)
    assert anatomy.layer_table(model.bfloat16(), SMALL).equals(expected)


# ------------------------------------------------------------------ odd models


class Shared(nn.Module):
    """One layer run twice, and a second layer with the first one's weight."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(self.a(x)))


def test_shared_parameters_count_once_and_their_work_each_time():
    frame = anatomy.layer_table(Shared(), SMALL)
    assert frame["parameters"].tolist() == [84, 0, 3]
    assert frame["parameters"].sum() == numel(Shared())
    assert frame["multiply_adds"].tolist() == [32 * 32 * 81] * 3


class Loose(nn.Module):
    """A parameter outside any layer: a functional convolution and a scale."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(4, 3, 3, 3))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.inner = nn.ReLU()

    def forward(self, x):
        return self.inner(F.conv2d(x, self.kernel)) * self.scale


def test_parameters_outside_layers_are_counted_where_they_are_used():
    frame = anatomy.layer_table(Loose(), SMALL)
    assert frame[["kind", "parameters", "multiply_adds"]].values.tolist() == [
        ["convolution", 108, 30 * 30 * 108],
        ["ReLU", 0, 0],
        ["mul", 4, 0],
    ]


def test_transposed_convolution_agrees_with_torch():
    model = nn.Sequential(nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1))
    frame = anatomy.layer_table(model, SMALL)
    assert frame["multiply_adds"].sum() == half_flops(model, SMALL)


def test_a_parameter_that_is_never_used_is_named():
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    model.register_parameter("forgotten", nn.Parameter(torch.zeros(7)))
    with pytest.raises(AnatomyError, match="forgotten"):
        anatomy.layer_table(model, SMALL)


def test_an_uncountable_layer_is_named():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.eye(3))

        def forward(self, x):
            return x * torch.linalg.inv(self.factor).sum()

    with pytest.raises(AnatomyError, match=r"layer 1 uses parameter 1\.factor with aten::\w*inv"):
        anatomy.layer_table(nn.Sequential(nn.ReLU(), Odd()), SMALL)


def test_attention_without_parameters_is_refused_rather_than_counted_as_nothing():
    class Attention(nn.Module):
        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)[:, None]
            return F.scaled_dot_product_attention(tokens, tokens, tokens)

    try:
        found = anatomy.layer_table(Attention(), (8, 4, 4))["multiply_adds"].sum()
    except AnatomyError as error:
        assert "attention" in str(error)
    else:
        assert found == 2 * 16 * 16 * 8


def test_lazy_parameters_are_refused():
    with pytest.raises(AnatomyError, match=r"0\.weight has no shape yet"):
        anatomy.layer_table(nn.Sequential(nn.LazyConv2d(4, 1)), SMALL)


@pytest.mark.parametrize("shape", [(3, 32), (1, 3, 32, 32), (3, 0, 32), (3, 32.0, 32), ()])
def test_input_shape_must_be_three_positive_numbers(shape):
    with pytest.raises(AnatomyError, match="channels, height, width"):
        anatomy.layer_table(on_meta("squeezenet_small"), shape)


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("squeezenet1_0", (1, 224, 224), r"features\.0 \(Conv2d\)"),
        ("squeezenet1_0", (3, 16, 16), r"features\.\d+ \(MaxPool2d\)"),
        ("lenet_300_100", (1, 32, 32), r"classifier\.0 \(Linear\)"),
    ],
)
def test_a_shape_that_does_not_fit_names_the_layer(name, shape, layer):
    with pytest.raises(AnatomyError, match=layer):
        anatomy.layer_table(on_meta(name), shape)
