"""Scenes, BCCD and CamVid: labels known exactly, and clear errors for what is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from squeeze_utils.data import Batches, DataError, Split, load_images
from squeeze_utils.data.augmenting import Augment
from squeeze_utils.data.dense_sets import NAMES
from squeeze_utils.data.types import NO_BOX, VOID

XML = """<annotation><size><width>{w}</width><height>{h}</height></size>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>
<ymax>{3}</ymax></bndbox></object>"""


def voc(objects: list[tuple], width: object = 64, height: object = 48) -> str:
    rows = "".join(OBJECT.format(*box, name=name) for name, box in objects)
    return XML.format(w=width, h=height, objects=rows)


@pytest.fixture
def bccd(tmp_path: Path) -> Path:
    folder = tmp_path / "bccd"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for part in ("train", "val", "test"):
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text(f"{part}1\n{part}2\n")
        for number in (1, 2):
            Image.new("RGB", (64, 48), (200, 10 * number, 0)).save(
                folder / "JPEGImages" / f"{part}{number}.jpg"
            )
            boxes = [("RBC", (0, 0, 32, 24)), ("WBC", (16, 12, 64, 48))][: number - 1 or 2]
            (folder / "Annotations" / f"{part}{number}.xml").write_text(voc(boxes))
    return tmp_path


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    for part in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (tmp_path / "camvid" / part / kind).mkdir(parents=True)
        Image.new("RGB", (80, 60), (10, 20, 30)).save(tmp_path / f"camvid/{part}/images/a.png")
        mask = np.full((60, 80), 3, np.uint8)
        mask[:30] = 11
        Image.fromarray(mask).save(tmp_path / f"camvid/{part}/masks/a.png")
    return tmp_path


def test_boxes_of_a_scene_are_exactly_around_its_ink():
    scenes, masks = load_images("digit_scenes"), load_images("digit_masks")
    assert torch.equal(scenes.test.images, masks.test.images)
    height, width = scenes.shape[1:]
    boxed = 0
    for rows, mask in zip(scenes.test.labels, masks.test.labels, strict=True):
        rows = rows[rows[:, 0] != NO_BOX]
        inside = torch.zeros_like(mask, dtype=torch.bool)
        for label, *sides in rows.tolist():
            x1, y1, x2, y2 = (round(s * n) for s, n in zip(sides, [width, height] * 2, strict=True))
            ink = mask[y1:y2, x1:x2] == label + 1
            assert ink.any(0)[[0, -1]].all() and ink.any(1)[[0, -1]].all()
            inside[y1:y2, x1:x2] = True
            boxed += 1
        assert not (mask.bool() & ~inside).any()
    assert boxed > len(scenes.test)
    empty = (scenes.train.labels[:, :, 0] == NO_BOX).all(1)
    assert empty.any() and not empty.all()


def test_sets_say_their_task_and_are_the_same_each_time():
    for name, task in (("digit_scenes", "detection"), ("digit_masks", "segmentation")):
        once, again = load_images(name), load_images(name, train_limit=10)
        assert once.task == task and once.fingerprint == again.fingerprint
        assert len(again.train) == 10 and once.mean == again.mean
    assert load_images("digits", size=8).task == "classification"


def test_scenes_take_another_size_and_refuse_what_they_have_not():
    assert load_images("digit_scenes", size=32, train_limit=1).shape == (1, 32, 32)
    with pytest.raises(DataError, match="channels"):
        load_images("digit_scenes", channels=3)
    with pytest.raises(DataError, match="32"):
        load_images("digit_masks", size=16)
    with pytest.raises(DataError, match="train_limit"):
        load_images("digit_scenes", train_limit=10**6)
    with pytest.raises(DataError, match=r"train_limit of digit_scenes must be .* from 1 to 1200"):
        load_images("digit_scenes", train_limit=0)
    with pytest.raises(DataError, match="digit_scenes does not take copies=False"):
        load_images("digit_scenes", copies=False)


def test_bccd_is_read_in_its_own_parts(bccd: Path):
    data = load_images("bccd", size=48, root=bccd)
    assert data.task == "detection" and data.shape == (3, 48, 64)
    assert len(data.train) == len(data.validation) == len(data.test) == 2
    expected = [[0, 0, 0, 0.5, 0.5], [1, 0.25, 0.25, 1, 1]]
    assert data.train.labels[0].tolist() == expected
    assert data.train.labels[1].tolist() == [expected[0], [NO_BOX, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "no annotation in Pascal VOC's form"),
        (voc([("Cell", (0, 0, 1, 1))]), "'Cell'; known are RBC, WBC, Platelets"),
        (voc([("RBC", ("x", 0, 1, 1))]), "bndbox/xmin is 'x'"),
        (voc([("RBC", (9, 0, 1, 1))]), "ends before it begins"),
        (voc([], width=0), "size/width is '0'"),
        ("<annotation></annotation>", "size/width is None"),
        (voc([], height="nan"), "size/height is 'nan'"),
    ],
)
def test_a_broken_annotation_is_named(bccd: Path, content: str, message: str):
    (bccd / "bccd" / "Annotations" / "val2.xml").write_text(content)
    with pytest.raises(DataError, match=r"val2\.xml") as error:
        load_images("bccd", root=bccd)
    assert message in str(error.value)


def test_boxes_are_cut_at_the_border_and_those_without_area_dropped(bccd: Path):
    boxes = [("RBC", (-5, 10, 70, 24)), ("RBC", (7, 7, 7, 9))]
    (bccd / "bccd" / "Annotations" / "train1.xml").write_text(voc(boxes))
    rows = load_images("bccd", size=48, root=bccd).train.labels[0]
    assert rows[0].tolist() == pytest.approx([0, 0, 10 / 48, 1, 0.5])
    assert rows[1:, 0].tolist() == [NO_BOX]


def test_missing_files_are_named(bccd: Path, tmp_path: Path):
    (bccd / "bccd" / "Annotations" / "test1.xml").unlink()
    with pytest.raises(DataError, match=r"test1\.xml"):
        load_images("bccd", root=bccd)
    with pytest.raises(DataError, match="SQUEEZE_DATA"):
        load_images("bccd", root=tmp_path / "nowhere")
    with pytest.raises(DataError, match="SQUEEZE_DATA"):
        load_images("camvid", root=tmp_path / "nowhere")


def test_an_unreadable_picture_is_named(bccd: Path):
    (bccd / "bccd" / "JPEGImages" / "train2.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"train2\.jpg"):
        load_images("bccd", root=bccd)


def test_camvid_has_void_where_the_files_have_11(camvid: Path):
    data = load_images("camvid", size=60, root=camvid)
    assert data.task == "segmentation" and data.shape == (3, 60, 80) and data.num_classes == 11
    assert (data.train.labels[0, :30] == VOID).all() and (data.train.labels[0, 30:] == 3).all()


def test_broken_masks_are_named(camvid: Path):
    path = camvid / "camvid" / "val" / "masks" / "a.png"
    Image.fromarray(np.full((60, 80), 12, np.uint8)).save(path)
    with pytest.raises(DataError, match="class 12; accepted: 0 to 11"):
        load_images("camvid", root=camvid)
    Image.new("RGB", (80, 60)).save(path)
    with pytest.raises(DataError, match="mode RGB"):
        load_images("camvid", root=camvid)
    path.unlink()
    with pytest.raises(DataError, match="masks holds no images"):
        load_images("camvid", root=camvid)
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(path.with_name("b.png"))
    with pytest.raises(DataError, match="lacks its image or its mask"):
        load_images("camvid", root=camvid)


def test_a_path_that_names_a_dense_set_is_that_set(camvid: Path):
    assert load_images(Path("camvid"), root=camvid).task == "segmentation"


def test_every_dense_set_is_accepted_by_name():
    assert NAMES == ("digit_scenes", "digit_masks", "bccd", "camvid")


def batch_of(labels: torch.Tensor, augment: Augment) -> tuple:
    """Images 6 pixels high and 10 wide, each pixel with its own value."""
    images = torch.arange(60, dtype=torch.uint8).view(1, 1, 6, 10)
    split = Split(images.repeat(len(labels), 1, 1, 1), labels)
    generator = torch.Generator().manual_seed(1)
    how = {"mean": (0.0,), "std": (1 / 255,), "generator": generator, "augment": augment}
    return next(iter(Batches(split, len(labels), **how)))


def test_masks_follow_every_flip_and_shift():
    labels = torch.arange(60, dtype=torch.uint8).view(1, 6, 10).repeat(40, 1, 1)
    x, y = batch_of(labels, Augment(shift=2, flip=True))
    assert torch.equal(x[:, 0].round().to(torch.uint8), y)
    assert len({tuple(mask.flatten().tolist()) for mask in y}) > 20


def test_boxes_follow_every_flip_and_shift():
    box = torch.tensor([[2.0, 0.3, 1 / 3, 0.6, 2 / 3]])
    labels = box.view(1, 1, 5).repeat(60, 1, 1)
    x, y = batch_of(labels, Augment(shift=2, flip=True))
    inside = torch.arange(60).view(6, 10)[2:4, 3:6]
    for image, (label, *sides) in zip(x[:, 0].round().long(), y[:, 0].tolist(), strict=True):
        x1, x2, y1, y2 = *(round(10 * x) for x in sides[::2]), *(round(6 * y) for y in sides[1::2])
        seen = image[y1:y2, x1:x2]
        assert label == 2 and sorted(seen.flatten().tolist()) == sorted(inside.flatten().tolist())


def test_a_box_that_leaves_the_picture_is_dropped():
    labels = torch.tensor([[[1.0, 0.0, 0.0, 0.25, 0.25], [NO_BOX, 0, 0, 0, 0]]]).repeat(200, 1, 1)
    _, y = batch_of(labels, Augment(shift=3))
    kept = y[:, 0, 0] != NO_BOX
    assert kept.any() and not kept.all() and (y[:, 1, 0] == NO_BOX).all()
    areas = ((y[..., 3] - y[..., 1]) * (y[..., 4] - y[..., 2]))[:, 0]
    assert (areas[kept] >= 0.25 / 16).all() and (y[..., 1:] >= 0).all()


def test_labels_of_a_wrong_form_and_rotation_are_refused():
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    for labels in (torch.zeros(2, 8, 7, dtype=torch.uint8), torch.zeros(2, 4, 4), torch.zeros(2)):
        with pytest.raises(DataError, match="float32 boxes of shape"):
            Split(images, labels)
    with pytest.raises(DataError, match="rotation would turn images"):
        batch_of(torch.zeros(1, 6, 10, dtype=torch.uint8), Augment(rotation=5))


def test_writing_into_loaded_scenes_changes_no_later_load():
    before = {name: load_images(name).fingerprint for name in ("digit_scenes", "digit_masks")}
    for name in before:
        load_images(name).train.images.zero_()
        load_images(name).train.labels.zero_()
    assert {name: load_images(name).fingerprint for name in before} == before


def test_camvid_files_that_are_no_pictures_or_no_pairs(camvid: Path):
    folder = camvid / "camvid" / "train" / "images"
    (folder / "._a.png").write_bytes(b"a file of macOS's")
    assert len(load_images("camvid", size=60, root=camvid).train) == 1
    Image.new("RGB", (80, 60)).save(folder / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg and a\.png: keep one of the two"):
        load_images("camvid", size=60, root=camvid)
    (folder / "a.jpg").unlink()
    Image.new("RGB", (81, 60)).save(folder / "a.png")
    with pytest.raises(DataError, match=r"\(80, 60\) pixels, its image \(81, 60\)"):
        load_images("camvid", size=60, root=camvid)
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:40] + b"broken" * 10)
    with pytest.raises(DataError, match=r"unreadable image: .*a\.png"):
        load_images("camvid", size=60, root=camvid)


def test_nothing_is_downloaded_for_a_set_that_is_placed_by_hand(tmp_path: Path):
    with pytest.raises(DataError, match="Place the folder BCCD of https"):
        load_images("bccd", root=tmp_path, download=True)
    assert len(load_images("digit_scenes", download=True).train)
