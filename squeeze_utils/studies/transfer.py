"""Chapter 18: what a network that learnt one set of images is worth on another, and in few bytes.

At reference scale SqueezeNet 1.1 comes from ImageNet to scenes (Intel) and objects (Caltech-101).
At quick scale a small one comes from digits to digits in other styles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import best_rate, extended, pilot_records, rate_arms
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.experiments.variants import MUON
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step
from squeeze_utils.training.transfer import (
    FitHead,
    LoadImageNet,
    NewHead,
    TrainElsewhere,
    fire_parts,
)

SIZE = 128  # pixels of the photographs
CLASSES = {"intel": 6, "caltech101": 102}
SEEDS = (0, 1, 2)
EPOCHS, PILOT_EPOCHS = (8, 6), (8, 2)  # (quick, reference)
FIRST_TRAINED = 6  # the first Fire module that "last modules" trains
HEAD, LAST, ALL, SCRATCH, ALEXNET = (
    "head only",
    "last modules",
    "all",
    "from scratch",
    "AlexNet, from scratch",
)
TUNED = {  # rates of the pilot
    LAST: (2.5e-4, 5e-4, 1e-3),
    ALL: (1e-4, 2e-4, 4e-4),
    SCRATCH: (0.005, 0.01, 0.02),
    ALEXNET: (0.005, 0.01, 0.02),
}
PILOT = "transfer_lr"
STYLES = ("digits_thickened", "digits_noisy", "digits_inverted")
QUICK_IMAGES = 200


def images(scale: Scale, name: str, **changes: Any) -> DataSpec:
    """Photographs of 128 pixels; digits in another style of 16, a few of them."""
    if scale.name == "quick":
        return DataSpec(name, **{"size": 16, "train_limit": QUICK_IMAGES, **changes})
    return DataSpec(name, **{"size": SIZE, **changes})


def network(scale: Scale, name: str, way: str = ALL) -> ModelSpec:
    """SqueezeNet 1.1 without the activation behind conv10, or a small one for digits."""
    if scale.name == "quick":
        return ModelSpec.of("squeezenet_small", num_classes=10, in_channels=1, width=0.25)
    if way == ALEXNET:
        return ModelSpec.of("alexnet", num_classes=CLASSES[name])
    return ModelSpec.of("squeezenet1_1", num_classes=CLASSES[name], final_relu=False)


@cache
def _last_modules(spec: ModelSpec) -> tuple[str, ...]:
    """What is trained where only the last modules are."""
    return fire_parts(spec.build(), FIRST_TRAINED)


def training(scale: Scale, way: str, lr: float, epochs: int, **changes: Any) -> Train:
    """Training on the new images; AdamW changes what is there little, Muon starts from nothing."""
    starts = way in (SCRATCH, ALEXNET)
    how: dict[str, Any] = dict(MUON) if starts else {"optimizer": "adamw", "weight_decay": 0.01}
    if scale.name == "quick":
        how = {**MUON, "batch_size": 32, "shift": 1}
    else:
        how |= {"batch_size": 64, "shift": 8, "flip": True, "precision": "bfloat16"}
    if way == LAST:
        how["only"] = _last_modules(network(scale, "intel"))
    return Train(epochs, lr=lr, **{**how, **changes})


def start(scale: Scale) -> tuple[Step, ...]:
    """What has been learnt elsewhere: ImageNet, or the digits as they are."""
    if scale.name == "reference":
        return (LoadImageNet(),)
    return (TrainElsewhere("digits", training(scale, ALL, 0.02, 4)), NewHead())


def recipe(scale: Scale, way: str, lr: float, epochs: int, **changes: Any) -> tuple[Step, ...]:
    """One way to a network for the new images."""
    if way == HEAD:
        return (*start(scale), FitHead())
    step = training(scale, way, lr, epochs, **changes)
    return (step,) if way in (SCRATCH, ALEXNET) else (*start(scale), FitHead(), step)


# --- learning rates ---


def _tried(scale: Scale, way: str, records: Mapping[str, Record]) -> dict[float, list[Experiment]]:
    """The pilot's runs by rate: scenes, two seeds, a third of the epochs."""

    def runs(lr: float) -> list[Experiment]:
        steps = recipe(scale, way, lr, scale.pick(*PILOT_EPOCHS))
        name = scale.pick(STYLES[0], "intel")
        spec, data = network(scale, name, way), images(scale, name)
        return [Experiment(spec, data, steps, seed) for seed in scale.pick((0,), (0, 1))]

    return extended(TUNED[way], records, runs)


def pilot(scale: Scale) -> Study:
    """A learning rate for each way, chosen on the scenes' validation images."""
    records = pilot_records(PILOT, scale)
    tried = {way: _tried(scale, way, records) for way in ways(scale)[1:]}
    arms = [arm for way, runs in tried.items() for arm in rate_arms(runs, way=way)]
    return Study(PILOT, "the learning rates of: what is it worth to have learnt elsewhere?", arms)


def ways(scale: Scale) -> tuple[str, ...]:
    """All ways; AlexNet is too large for the quick scale."""
    return (HEAD, LAST, ALL, SCRATCH, *scale.pick((), (ALEXNET,)))


def rate(scale: Scale, way: str) -> float | None:
    """The learning rate of a way; None while the pilot has not settled it."""
    if way == HEAD:
        return 0.0
    if scale.name == "quick":
        return 0.02 if way == SCRATCH else 0.01
    records = pilot_records(PILOT, scale)
    return best_rate(records, _tried(scale, way, records))


def _likely(way: str) -> float:
    """A guess at the rate of a way that the pilot has not settled."""
    return TUNED[way][1]


def _study(name: str, title: str, arms: Sequence[tuple[Arm, bool]], needs: bool = True) -> Study:
    """A study of arms that come with whether their rate is known; seed by seed."""
    ordered = sorted(arms, key=lambda pair: pair[0].experiment.seed)
    known = [arm for arm, settled in ordered if settled]
    expected = [arm for arm, settled in ordered if not settled]
    return Study(name, title, known, PILOT if needs else None, expected=expected)


def _each(
    scale: Scale,
    name: str,
    way: str,
    steps: tuple[Step, ...] = (),
    /,
    seeds: Sequence[int] = SEEDS,
    data: DataSpec | None = None,
    before: tuple[Step, ...] = (),
    **labels: Any,
) -> Iterator[tuple[Arm, bool]]:
    """An arm for each seed: the way, then `steps`; and whether its rate is known."""
    found = rate(scale, way)
    lr = _likely(way) if found is None else found
    path = before or recipe(scale, way, lr, scale.pick(*EPOCHS))
    for seed in scale.pick((0,), seeds):
        spec = network(scale, name, way)
        experiment = Experiment(spec, data or images(scale, name), (*path, *steps), seed)
        yield Arm.of(experiment, **labels), found is not None


# --- the studies ---


def transfer(scale: Scale) -> Study:
    """Head, last modules or all, from ImageNet; against training from nothing."""
    arms: list[tuple[Arm, bool]] = []
    for name in scale.pick(STYLES, tuple(CLASSES)):
        for way in ways(scale):
            seeds = SEEDS[:1] if way == HEAD else SEEDS  # all images, a convex loss: no luck in it
            arms += _each(scale, name, way, seeds=seeds, images=name, way=way)
    return _study("transfer", "what is it worth to have learnt elsewhere?", arms)


def head_curve(scale: Scale) -> Study:
    """Accuracy of the head alone by images of each class; other draws in each seed."""
    counts = {"intel": (1, 5, 20, 100, 500), "caltech101": (1, 5, 20)}
    arms: list[tuple[Arm, bool]] = []
    for name, few in scale.pick({STYLES[0]: (1, 5, 20)}, counts).items():
        data = images(scale, name)
        for count in few:
            for seed in scale.pick((0, 1, 2), (0, 1, 2, 3, 4)):
                steps = (*start(scale), FitHead(per_class=count))
                experiment = Experiment(network(scale, name), data, steps, seed)
                arms.append((Arm.of(experiment, images=name, per_class=count), True))
    title = "how many images of a class does a head need?"
    return _study("transfer_head_curve", title, arms, needs=False)


def copies(scale: Scale) -> Study:
    """The head fitted with and without training images that nearly equal a test image."""
    arms: list[tuple[Arm, bool]] = []
    for name in scale.pick(STYLES[:1], tuple(CLASSES)):
        for kept in (True, False):
            data = images(scale, name, train_limit=None, copies=kept)
            label = "with copies" if kept else "without copies"
            steps = (*start(scale), FitHead(), ObserveAnswers(pictures=True))
            experiment = Experiment(network(scale, name), data, steps, 0)
            arms.append((Arm.of(experiment, images=name, training=label), True))
    title = "what do copies of test images in the training images add?"
    return _study("transfer_copies", title, arms, needs=False)


def few_images(scale: Scale) -> Study:
    """All ways with few images of scenes; as many epochs as let each image be seen often."""
    name = scale.pick(STYLES[0], "intel")
    arms: list[tuple[Arm, bool]] = []
    for count in scale.pick((5, 20), (5, 20, 100)):
        data = images(scale, name, train_limit=count * scale.pick(10, CLASSES["intel"]))
        for way in (HEAD, LAST, ALL, SCRATCH):
            lr = rate(scale, way)
            used = _likely(way) if lr is None else lr
            path = recipe(scale, way, used, scale.pick(8, 20), batch_size=16)
            arms += _each(scale, name, way, data=data, before=path, per_class=count, way=way)
    return _study("transfer_few_images", "which way is best with few images?", arms)


def files(scale: Scale) -> Study:
    """The transferred network in a file of so many bytes, and what each test picture is called."""
    arms: list[tuple[Arm, bool]] = []
    for name, kinds in scale.pick(
        {STYLES[0]: _shrunk(scale, 20_000)},
        {
            "intel": _shrunk(scale, 120_000, 70_000) | _pruned(scale, 120_000),
            "caltech101": _shrunk(scale, 250_000) | _balanced(250_000),
        },
    ).items():
        way = scale.pick(ALL, LAST)
        folded = scale.pick((FoldBatchNorm(),), ())
        for kind, steps in {"dense": (), **kinds}.items():
            noted = (*folded, ObserveAnswers(pictures=True), *steps)
            arms += _each(scale, name, way, noted, images=name, file=kind)
    return _study("transfer_files", "how small a file does the new network fit into?", arms)


def _shrunk(scale: Scale, *sizes: int) -> dict[str, tuple[Step, ...]]:
    shown = scale.pick(64, 500)
    ends = (Encode(), ObserveAnswers())
    return {f"{size // 1000} kB": (Squeeze(size, shown), *ends) for size in sizes}


def _pruned(scale: Scale, size: int) -> dict[str, tuple[Step, ...]]:
    """Half of the weights pruned and one epoch of healing, then rounded into the same bytes."""
    lr = (rate(scale, LAST) or _likely(LAST)) / 4
    heal = training(scale, ALL, lr, 1, schedule="linear")
    ends = (Squeeze(size, scale.pick(64, 500)), Encode(), ObserveAnswers())
    return {f"{size // 1000} kB, half pruned first": (Prune(0.5), heal, *ends)}


def _balanced(size: int) -> dict[str, tuple[Step, ...]]:
    steps = (Squeeze(size, 500, balanced=True), Encode(), ObserveAnswers())
    return {f"{size // 1000} kB, balanced calibration": steps}


STUDIES: dict[str, Callable[[Scale], Study]] = {
    PILOT: pilot,
    "transfer": transfer,
    "transfer_head_curve": head_curve,
    "transfer_copies": copies,
    "transfer_few_images": few_images,
    "transfer_files": files,
}
