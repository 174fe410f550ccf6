"""A network in a file of any kind: made smaller, converted, judged, asked what is on a picture.

Networks for ImageNet are given pictures as `imagenet.pictures` prepares them. All others are
given images as `load_images` does, normalised like the training images of the set that is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.base.files import write_atomically
from squeeze_utils.compress.pricing import squeeze
from squeeze_utils.compress.sqz.container import save_sqz
from squeeze_utils.data import ImageSet, normalise
from squeeze_utils.data.image_files import decode_files
from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy import scoring
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.deploy.runners import (
    ModelFileError,
    Runner,
    open_runner,
    read_network,
    torch_runner,
)
from squeeze_utils.deploy.write_files import (
    CALIBRATION,
    read_description,
    write_description,
    write_files,
)
from squeeze_utils.imagenet import judging, networks, pictures, wordnet
from squeeze_utils.models.checkpoint_files import load_model
from squeeze_utils.training.evaluation import check_size


def torch_network(source: Path | str) -> nn.Module:
    """The torch network in a `.sqz`, a checkpoint or the released `.net`, or torchvision's."""
    path = Path(source)
    if path.suffix == ".net" or str(source) == networks.TORCHVISION:
        return networks.trained(source)
    if path.suffix not in (".sqz", ".safetensors"):
        kinds = f".sqz, .safetensors, .net; or {networks.TORCHVISION}"
        raise ModelFileError(f"{path.name} is none of {kinds}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return read_network(path)


def is_for_imagenet(model: nn.Module) -> bool:
    """Whether a network names the 1,000 classes of ImageNet."""
    return model.num_classes == 1000 and model.spec.name in ("squeezenet1_0", "squeezenet1_1")


def _task(model: nn.Module) -> str:
    """What a network is made for: "classification", "detection" or "segmentation"."""
    return getattr(model, "task", "classification")


def calibration_batch(
    model: nn.Module, data: str, count: int, size: int | None = None, seed: int = 0
) -> Tensor:
    """Images (n, channels, height, width) of at most `count` pictures, as a network takes them.

    Training images of an image set with the network's task and number of classes. For a network
    for ImageNet `data` is a folder of pictures; they are drawn at random, and each comes twice,
    the second time mirrored.
    """
    if is_for_imagenet(model):
        paths = pictures.draw(pictures.find_pictures(data), count, seed)
        return pictures.calibration(paths, model)
    whole_number("the number of images", count, 1)
    images = _images(data, model.input_shape, size)
    if images.task != _task(model):
        raise ValueError(
            f"the network is made for {_task(model)}, {data} has labels for {images.task}"
        )
    _check_classes(model.num_classes, images.classes, data)
    check_size(model, images.shape, data)
    return torch.from_numpy(scoring.inputs(images.train, images, count))


def compress_file(
    source: Path | str,
    path: Path,
    target_bytes: int | None,
    data: str | None = None,
    count: int = 1000,
    *,
    size: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> tuple[int, int]:
    """Write a network as `.sqz`; return its bytes and how many images it was shown.

    Without `target_bytes` every weight is kept as it is. Otherwise batch normalisation is folded
    and weights are rounded, after a look at `count` images of `data`: see `calibration_batch`.
    """
    if path.suffix != ".sqz":
        raise ValueError(f"the output must end with .sqz, got {path.name}")
    model = torch_network(source)
    _refuse_size(model, size)
    if target_bytes is None:
        return sum(save_sqz(model, path, "contexts").values()), 0
    batch = calibration_batch(model, data, count, size, seed)
    found = squeeze(without_norm(model), batch, target_bytes, seed, progress, coder="contexts")
    write_atomically(path, found.data)
    return len(found.data), len(batch)


def deploy_file(
    source: Path | str, target: Path, data: str | None = None, size: int | None = None
) -> dict[str, int]:
    """Write the files of a network for other runtimes into a folder; return their bytes.

    With `data` there are int8 files too and, unless the network is one for ImageNet, the JSON
    that says what a picture has to become and what the classes are called.
    """
    path, model = Path(source), torch_network(source)
    if data is not None and not is_for_imagenet(model) and "." in path.stem:
        raise ValueError(f"rename {path.name}: what stands before its ending may hold no dot")
    channels, *sides = model.input_shape
    _refuse_size(model, size)
    if is_for_imagenet(model):
        size = pictures.side(model)
    shape = (channels, *(sides if size is None else 2 * [_side(size, sides[0])]))
    if data is None:
        check_size(model, shape, "a file with this size")
        return write_files(model, target, path.stem, shape)
    batch = calibration_batch(model, data, CALIBRATION, size)
    sizes = write_files(model, target, path.stem, shape, batch)
    if not is_for_imagenet(model):
        known = load_model(path.stem, path.parent)[1] if path.suffix == ".safetensors" else {}
        write_description(target, path.stem, _images(data, shape), shape, known)
    return sizes


def judge_file(source: Path | str, data: str, size: int | None = None) -> judging.Verdict:
    """How often the network in a file is right on the test split of an image set.

    For a network for ImageNet `data` is a folder of pictures, in folders named by their class.
    """
    runner, model = _opened(source)
    _refuse_size(model, size)
    if model is not None and is_for_imagenet(model):
        paths = pictures.find_pictures(data)
        labels = pictures.labels(paths)
        scores = judging.outputs(model, paths, progress=True)
        return judging.judge(scores, scores, labels)
    images = _images(data, runner.shape, size)
    if images.task != "classification":
        raise ValueError(f"{data} has labels for {images.task}, which sq.evaluate judges instead")
    _check_names_pictures(model, source)
    logits = torch.from_numpy(scoring.logits_of(runner, images.test, images))
    _check_scores(logits, source)
    _check_classes(logits.shape[1], images.classes, data)
    return judging.judge(logits, logits, images.test.labels)


def classify_files(
    source: Path | str,
    paths: Sequence[Path],
    data: str | None = None,
    size: int | None = None,
) -> Iterator[list[tuple[str, float]]]:
    """For each picture the five likeliest classes and their shares, from 0 to 1.

    What the classes are called, and how pictures are normalised, is taken from the image set
    `data` or else from the JSON beside the file, which `write_description` wrote.
    """
    runner, model = _opened(source)
    _check_names_pictures(model, source)
    _refuse_size(model, size)
    if model is not None and is_for_imagenet(model):
        classes = wordnet.classes()
        batches = (pictures.load_picture(path, model)[None].numpy() for path in paths)
    else:
        if data is None:
            about = read_description(Path(source))
            classes, mean, std = (tuple(about[key]) for key in ("classes", "mean", "std"))
            if len(mean) != runner.shape[0]:
                raise ValueError(
                    f"the JSON beside {Path(source).name} is for {len(mean)} channels, the network "
                    f"takes {runner.shape[0]}"
                )
        else:
            known = _images(data, runner.shape, size)
            classes, mean, std = known.classes, known.mean, known.std
        channels, side = runner.shape[0], _side(size, runner.shape[1])
        raw = (decode_files([str(path)], side, channels, path.name) for path in paths)
        each = (torch.from_numpy(pixels).permute(0, 3, 1, 2) for pixels in raw)
        batches = (normalise(images, mean, std).numpy() for images in each)
    for batch in batches:
        scores = torch.from_numpy(runner(batch))
        _check_scores(scores, source)
        shares = scores[0].softmax(0)
        _check_classes(len(shares), classes, data or "the JSON beside the file")
        best = shares.topk(min(5, len(shares)))
        yield [(classes[i], float(s)) for s, i in zip(*best, strict=True)]


def _opened(source: Path | str) -> tuple[Runner, nn.Module | None]:
    """A runner for any kind of file, and the torch network in it where it is one."""
    path = Path(source)
    if path.suffix in (".onnx", ".tflite"):
        return open_runner(path), None
    model = torch_network(source)
    return torch_runner(model, path.stem, torch.get_num_threads()), model


def _images(data: str, shape: tuple[int, ...], size: int | None = None) -> ImageSet:
    """An image set in a network's shape, (channels, side, side), or at another size in pixels."""
    channels, side, _ = shape
    return load_images(data, _side(size, side), channels=channels)


def _side(size: int | None, own: int) -> int:
    """The side of pictures in pixels: the network's own, unless another is asked for."""
    return own if size is None else whole_number("size (pixels)", size, 1)


def _refuse_size(model: nn.Module | None, size: int | None) -> None:
    """Refuse a size of pictures for a network for ImageNet; None stands for what is not known."""
    if size is not None and model is not None and is_for_imagenet(model):
        raise ValueError("a network for ImageNet has one size of pictures: leave the size out")


def _check_names_pictures(model: nn.Module | None, source: Path | str) -> None:
    """Refuse a network whose answer is not one class for a picture; None stands for one unknown."""
    if model is not None and _task(model) != "classification":
        raise ValueError(
            f"{Path(source).name} is a network for {_task(model)}; networks that name the class "
            "of a whole picture are accepted (sq.evaluate judges the others)"
        )


def _check_scores(scores: Tensor, source: Path | str) -> None:
    """The same for files of other runtimes, which show their task by the form of their output."""
    if scores.ndim != 2:
        form = " x ".join(map(str, scores.shape[1:]))
        raise ValueError(
            f"{Path(source).name} gives {form} numbers for a picture; one for each class is needed"
        )


def _check_classes(outputs: int, classes: Sequence[str], data: str) -> None:
    if outputs != len(classes):
        raise ValueError(f"the network tells {outputs} classes apart, {data} has {len(classes)}")
