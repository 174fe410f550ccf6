"""``load_images``: a named image set, or any folder of images, as three splits in memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from squeeze_utils.base.paths import repository
from squeeze_utils.data import by_hand, dense_sets, sources
from squeeze_utils.data.copies import without_copies
from squeeze_utils.data.digit_styles import STYLES
from squeeze_utils.data.image_files import (
    classes_folder,
    decode_files,
    has_split_folders,
    list_folder,
)
from squeeze_utils.data.packing import Packed, Raw, cached, pack
from squeeze_utils.data.sources import NAMED_SETS, NamedSet
from squeeze_utils.data.types import DataError, ImageSet, Split, checked_count

FOLDER_SIZE = 64  # pixels, where a folder of images is loaded without a size
MAX_SIZE = 4096


def find_root(root: str | os.PathLike | None = None) -> Path:
    """The folder that holds the image sets.

    ``root`` where given, else the environment variable ``SQUEEZE_DATA``, else ``data/`` of the
    repository (the one this package lies in, or the one around the current folder), else
    ``./data``. It need not exist.
    """
    if root is not None:
        return Path(root).expanduser()
    if os.environ.get("SQUEEZE_DATA"):
        return Path(os.environ["SQUEEZE_DATA"]).expanduser()
    checkout = repository()
    if checkout is not None:
        return checkout / "data"
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "squeeze_utils").is_dir():
            return folder / "data"
    return here / "data"


def is_built_in(name: str) -> bool:
    """Whether a set comes with the package: digits, in whatever style, and scenes of them."""
    return name in STYLES or name in dense_sets.BUILT_IN


def is_here(name: str | os.PathLike, root: str | os.PathLike | None = None) -> bool:
    """Whether `load_images` finds the images of a set without downloading anything."""
    where, name = find_root(root), os.fspath(name)
    if is_built_in(name):
        return True
    known = NAMED_SETS.get(name)
    if known:
        return has_split_folders(where / name) or known.original_files(where) is not None
    return _folder_of(name, where) is not None


def load_images(
    name: str | os.PathLike = "digits",
    size: int | None = None,
    root: str | os.PathLike | None = None,
    *,
    download: bool = False,
    train_limit: int | None = None,
    channels: int | None = None,
    train_on_validation: bool = False,
    copies: bool = True,
) -> ImageSet:
    """Load an image set.

    ``name`` is ``digits`` (inside scikit-learn, needs no files; also ``digits_inverted``,
    ``digits_noisy`` and ``digits_thickened``), ``mnist``, ``fashion_mnist``,
    ``cifar10``, a folder under ``root`` or the path of any folder of images, laid out as
    ``{train,validation,test}/CLASS/*`` or ``CLASS/*``. Missing splits are cut from the training
    images with a fixed seed, class by class: 20 % for test, then 10 % of the rest for validation.

    ``size`` is the side in pixels (default: the set's own, 32 for digits, 64 for a folder).
    Square images are resized; others are cropped to their central square and resized, so that
    the shorter side fills it. ``channels`` is 1 or 3; grey images may be asked for with 3,
    coloured ones not with 1. ``train_limit`` keeps that many training images, the classes as
    even as possible; a smaller limit is always a part of a larger one. With
    ``train_on_validation`` the validation images are trained on too, for a last run whose settings
    are chosen: they stay the validation split, whose accuracy then says nothing. Without
    ``copies``, images that nearly equal one of the test split are left out of the other two.

    ``digit_scenes`` and ``bccd`` have boxes as labels, ``digit_masks`` and ``camvid`` masks (see
    `dense_sets`); their ``size`` is the height.

    Nothing is downloaded unless ``download`` is true.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=16)
    >>> digits.channels, len(digits.train) + len(digits.validation) + len(digits.test)
    (1, 1797)
    """
    where = find_root(root)
    if os.fspath(name) in dense_sets.NAMES:
        asked = {"train_on_validation": train_on_validation, "copies=False": not copies}
        asked["channels"] = channels
        return dense_sets.load(os.fspath(name), size, where, train_limit, asked)
    known = NAMED_SETS.get(os.fspath(name))
    size = _check_size(size, known)
    channels = _check_channels(channels, known)
    if known:
        packed = _packed_known(known, where, size, channels, download)
        found = _image_set(known.name, packed, train_limit, train_on_validation)
    else:
        folder = _find_folder(name, where)
        packed = _packed_folder(classes_folder(folder), None, size, channels)
        found = _image_set(folder.name, packed, train_limit, train_on_validation)
    return found if copies else without_copies(found)


def _check_size(size: int | None, known: NamedSet | None) -> int:
    if size is None:
        return known.size if known else FOLDER_SIZE
    return checked_count("size (pixels)", size, 1, MAX_SIZE)


def _check_channels(channels: int | None, known: NamedSet | None) -> int:
    if channels is None:
        return known.channels if known else 3
    if isinstance(channels, bool | float) or channels not in (1, 3):
        raise DataError(f"channels must be 1 (grey) or 3 (colour), not {channels!r}")
    if known and known.channels > channels:
        raise DataError(f"{known.name} is coloured: channels must be 3, not {channels}")
    return channels


def _packed_known(known: NamedSet, root: Path, size: int, channels: int, download: bool) -> Packed:
    name = known.name
    if name in STYLES:
        return pack(known.classes, sources.digits(size, channels, name))
    if has_split_folders(root / name):
        return _packed_folder(root / name, known, size, channels)
    base = known.original_files(root)
    if download:  # torchvision fetches nothing where the files are whole
        base = base or root
        known.download(base)
    if base is None:
        raise DataError(
            f"{name} is not in {root}. Call load_images({name!r}, download=True) to download "
            f"{known.megabytes} MB, or {known.placing(root)}"
        )
    return cached(
        f"{name}-{size}-{channels}",
        known.key(base),
        lambda: pack(known.classes, known.read(base, size, channels)),
    )


def _folder_of(name: str | os.PathLike, root: Path) -> Path | None:
    """The folder of images that is called so, in `root` or from here; None where there is none."""
    for folder in (root / name, Path(name).expanduser()):
        if str(name) not in ("", ".") and folder.is_dir():
            return folder.resolve()
    return None


def _find_folder(name: str | os.PathLike, root: Path) -> Path:
    folder = _folder_of(name, root)
    if folder is not None:
        return folder
    if os.fspath(name) in by_hand.SOURCES:
        raise DataError(f"{name} is not in {root}. {by_hand.how_to_get(os.fspath(name), root)}")
    accepted = ", ".join((*NAMED_SETS, *dense_sets.NAMES))
    raise DataError(
        f"unknown image set {str(name)!r}. Accepted: {accepted}; the name of a folder in {root}; "
        "or the path of a folder of images."
    )


def _packed_folder(folder: Path, known: NamedSet | None, size: int, channels: int) -> Packed:
    """The images in ``folder``; where its classes are those of a known set, in its own order."""
    standard = {_plain(label): i for i, label in enumerate(known.classes)} if known else {}

    def in_order(names: list[str]) -> list[str]:
        is_standard = {_plain(name) for name in names} == set(standard)
        return sorted(names, key=lambda name: standard[_plain(name)] if is_standard else name)

    listing = list_folder(folder, in_order)
    is_standard = list(map(_plain, listing.classes)) == list(standard)

    def make() -> Packed:
        images = decode_files(listing.paths, size, channels, f"packing {folder.name}")
        raw = Raw(images, listing.labels, listing.spans)
        return pack(known.classes if is_standard else listing.classes, raw)

    return cached(f"{folder.name}-{size}-{channels}", listing.key, make)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _image_set(
    name: str, packed: Packed, train_limit: int | None, train_on_validation: bool
) -> ImageSet:
    train, validation, _ = packed.counts
    cut = train + validation
    most = cut if train_on_validation else train
    keep = checked_count(
        f"train_limit of {name}", most if train_limit is None else train_limit, 1, most
    )
    return ImageSet(
        name=name,
        classes=packed.classes,
        train=_split(packed, 0, keep),
        validation=_split(packed, train, cut),
        test=_split(packed, cut, len(packed.labels)),
        mean=packed.mean,
        std=packed.std,
        fingerprint=packed.fingerprint,
    )


def _split(packed: Packed, start: int, stop: int) -> Split:
    images = torch.from_numpy(packed.images[start:stop]).permute(0, 3, 1, 2)
    return Split(images, torch.from_numpy(packed.labels[start:stop]))
