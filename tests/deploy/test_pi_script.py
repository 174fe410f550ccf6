"""deploy/raspberry_pi: the script that runs on the Pi, and what runs it under emulation."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from squeeze_utils.base import paths
from squeeze_utils.data import normalise

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "raspberry_pi"
MODELS = paths.shipped("checkpoints") / "deploy"
RUNTIMES = {"onnx": "onnxruntime", "tflite": "ai_edge_litert.interpreter"}


def script(name: str) -> ModuleType:
    """A file of the folder, as a module: it is no part of the package."""
    spec = importlib.util.spec_from_file_location(f"pi_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pi = script("classify")
emulate = script("emulate")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def card():
    return pi.Card(("cat", "dog"), (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), 8)


@pytest.fixture(params=RUNTIMES)
def model(request):
    """The int8 SqueezeNet as the kind of file that each runtime takes."""
    pytest.importorskip(RUNTIMES[request.param])
    return MODELS / f"squeezenet-cifar10.int8.{request.param}"


# --- preparing a picture --------------------------------------------------------------------------


def test_a_picture_of_the_right_size_arrives_as_the_network_knows_it(card):
    picture = noise(8, 8)
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    found = pi.prepare(picture, card)
    assert found.dtype == np.float32 and found.shape == (1, 3, 8, 8)
    assert np.abs(found - normalise(tensor, card.mean, card.std).numpy()).max() < 1e-6


@pytest.mark.parametrize("size", [(40, 20), (20, 40)])
def test_the_largest_centred_square_is_taken(card, size):
    width, height = size
    picture = Image.new("RGB", size, "red")
    left, top = (width - 20) // 2, (height - 20) // 2
    picture.paste((0, 0, 255), (left, top, left + 20, top + 20))
    found = pi.prepare(picture, card)[0] * np.reshape(card.std, (3, 1, 1))
    colour = (found + np.reshape(card.mean, (3, 1, 1))).reshape(3, -1)
    assert np.allclose(colour, np.array([[0], [0], [1]]), atol=1e-6)


def test_grey_networks_get_one_channel(card):
    grey = pi.Card(("0", "1"), (0.5,), (0.5,), 4)
    found = pi.prepare(Image.new("RGB", (9, 9), "white"), grey)
    assert found.shape == (1, 1, 4, 4) and np.allclose(found, 1)


def test_what_is_transparent_becomes_white(card):
    white = pi.prepare(Image.new("RGB", (8, 8), "white"), card)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert np.array_equal(pi.prepare(clear, card), white)
    palette = Image.new("P", (8, 8), 0)
    palette.info["transparency"] = 0
    assert np.array_equal(pi.prepare(palette, card), white)


def test_a_picture_is_turned_the_way_the_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    noise(6, 4).save(tmp_path / "turned.jpg", exif=exif)
    assert pi.read_picture(tmp_path / "turned.jpg").size == (4, 6)


def test_folders_are_read_in_order_and_to_the_bottom(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.PNG", "b/a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    named = tmp_path / "notes.txt"
    found = pi.pictures_in([tmp_path, named])
    assert found == [tmp_path / "b" / "a.jpg", tmp_path / "z.PNG", named]
    (tmp_path / "empty").mkdir()
    with pytest.raises(pi.Problem, match="holds no picture"):
        pi.pictures_in([tmp_path / "empty"])


# --- answers --------------------------------------------------------------------------------------


def test_an_answer_is_class_share_time_and_name(card):
    text = pi.line("me.png", np.array([0.0, np.log(3)]), 1.234, card, top=2)
    assert text.split() == ["dog", "75.0", "%", "cat", "25.0", "%", "1.23", "ms", "me.png"]
    assert pi.probabilities(np.array([1000.0, 1000.0])).tolist() == [0.5, 0.5]


def test_the_time_is_a_median(monkeypatch):
    ticks = iter([0, 0.001, 1, 1.002, 2, 2.9])
    monkeypatch.setattr(pi.time, "perf_counter", lambda: next(ticks))
    network = pi.Network("none", lambda image: image + 1)
    logits, milliseconds = pi.timed(network, np.zeros(2), repeat=3)
    assert logits.tolist() == [1, 1] and milliseconds == pytest.approx(2)


def test_files_are_classified_as_the_package_does_it(model, tmp_path, capsys):
    from squeeze_utils.deploy.runners import open_runner

    for seed in range(3):
        noise(32, 32, seed).save(tmp_path / f"{seed}.png")
    wanted = tmp_path / "logits.npy"
    options = ["--top", "2", "--repeat", "2", "--logits", str(wanted)]
    assert pi.main([str(model), str(tmp_path), *options]) == 0
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{model.name} on ") and head.endswith("1 thread")
    assert all(text.endswith(f"  {tmp_path / f'{n}.png'}") for n, text in enumerate(lines))
    assert len(lines) == 3
    assert last.startswith("3 pictures, median ") and last.endswith(" ms each")
    logits = np.load(wanted)
    card = pi.read_card(model)
    images = np.concatenate([pi.prepare(noise(32, 32, seed), card) for seed in range(3)])
    assert logits.dtype == np.float32 and logits.shape == (3, 10)
    assert np.array_equal(logits, open_runner(model)(images))
    assert lines[0].split()[0] == card.classes[logits[0].argmax()]


def test_a_file_that_is_no_picture_is_named_and_the_others_are_classified(model, tmp_path, capsys):
    noise(40, 30).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("I am a text")
    cut = (tmp_path / "good.png").read_bytes()[:500]
    (tmp_path / "cut.png").write_bytes(cut)
    logits = tmp_path / "logits.npy"
    assert pi.main([str(model), str(tmp_path), "--logits", str(logits)]) == 1
    out, err = capsys.readouterr()
    assert "bad.png is not a picture (known are .png" in err
    assert "cut.png cannot be read as a picture" in err
    assert "logits.npy was not written" in err and not logits.exists()
    assert "good.png" in out and "1 picture, median" in out


# --- models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("part", [0, 0.4])
def test_a_file_that_is_no_model_is_refused(kind, part, tmp_path, capsys):
    pytest.importorskip(RUNTIMES[kind])
    content = (MODELS / f"squeezenet-cifar10.int8.{kind}").read_bytes()
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(content[: int(part * len(content))] or b"not a model at all")
    assert pi.main([str(path), str(tmp_path)]) == 1
    assert f"error: {path.name} is not a" in capsys.readouterr().err


def test_other_files_are_refused_with_the_way_out(tmp_path, capsys):
    for name, message in {
        "a.sqz": "needs torch: turn it into .onnx",
        "a.pt": "a.pt is neither an .onnx nor a .tflite file",
        "a.onnx": "there is no file",
    }.items():
        assert pi.main([str(tmp_path / name), str(tmp_path)]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("kind", RUNTIMES)
def test_a_missing_runtime_says_how_to_get_it(kind, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, RUNTIMES[kind], None)
    assert pi.main([str(MODELS / f"squeezenet-cifar10.int8.{kind}"), "."]) == 1
    package = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}[kind]
    assert f"python3 -m pip install {package}" in capsys.readouterr().err


GOOD = {"classes": ["a"], "input_shape": [3, 8, 8], "mean": [0, 0, 0], "std": [1, 1, 1]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": 3}, "m.json needs classes"),
        ({"input_shape": [3, 8]}, "m.json needs classes, input_shape"),
        ({"input_shape": [3, 8, 9]}, "must be square, not 8 x 9"),
        ({"mean": [0]}, "a number for each of 1 or 3 channels"),
        ({"std": [1, 0, 1]}, "a number for each of 1 or 3 channels"),
    ],
)
def test_a_wrong_card_is_refused(wrong, message, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(GOOD | wrong))
    with pytest.raises(pi.Problem, match=message):
        pi.read_card(tmp_path / "m.int8.onnx")


def test_a_card_lies_beside_its_model(tmp_path):
    with pytest.raises(pi.Problem, match=r"needs m\.json beside it"):
        pi.read_card(tmp_path / "m.int8.onnx")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(pi.Problem, match=r"m\.json needs classes"):
        pi.read_card(tmp_path / "m.int8.onnx")
    (tmp_path / "m.json").write_text(json.dumps(GOOD))
    assert pi.read_card(tmp_path / "m.onnx") == pi.Card(("a",), (0, 0, 0), (1, 1, 1), 8)


def test_a_model_of_another_card_is_refused(card):
    wrong = pi.Network("none", lambda image: np.zeros(3))
    with pytest.raises(pi.Problem, match="for 2 classes: the JSON file beside it"):
        pi.warm_up(wrong, card, Path("m.onnx"))

    def refuse(image):
        raise ValueError("got 8, expected 32")

    with pytest.raises(pi.Problem, match=r"takes no image \(1, 3, 8, 8\): got 8, expected 32"):
        pi.warm_up(pi.Network("none", refuse), card, Path("m.onnx"))


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name pictures or folders, or --camera"),
        (["a.png", "--camera"], "name pictures or folders, or --camera"),
        (["--camera", "--logits", "x.npy"], "--logits goes with pictures"),
        (["a.png", "--repeat", "0"], "needs a whole number, 1 or more, not '0'"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    # the camera's number is optional, so a picture stands before it
    with pytest.raises(SystemExit) as stopped:
        pi.main(["m.onnx", *arguments])
    assert stopped.value.code == 2 and message in capsys.readouterr().err


# --- cameras: stand-ins, no camera was ever attached ----------------------------------------------


def test_libcamera_is_preferred(monkeypatch):
    calls = []

    class Picamera2:
        def __init__(self, number):
            calls.append(number)

        def create_video_configuration(self, main):
            return main

        def configure(self, main):
            calls.append(main["format"])

        def start(self):
            calls.append("start")

        def stop(self):
            calls.append("stop")

        def capture_array(self):
            return np.full((4, 6, 3), (255, 0, 0), dtype=np.uint8)

    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=Picamera2))
    frames = pi.camera_frames(1)
    assert next(frames).getpixel((0, 0)) == (255, 0, 0)
    frames.close()
    assert calls == [1, "BGR888", "start", "stop"]


def opencv(frames: list) -> SimpleNamespace:
    """A stand-in for cv2 whose camera gives these frames, in blue, green, red."""

    class Capture:
        def __init__(self, number, way):
            self.left = iter(frames)

        def read(self):
            frame = next(self.left, None)
            return frame is not None, frame

        def release(self):
            frames.append("released")

    return SimpleNamespace(VideoCapture=Capture, CAP_V4L2=200)


def test_opencv_comes_second_and_its_colours_are_turned_round(monkeypatch, card, capsys):
    frames = [np.full((4, 4, 3), (0, 0, 255), dtype=np.uint8)] * 3
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setitem(sys.modules, "cv2", opencv(frames))
    red = pi.prepare(Image.new("RGB", (4, 4), (255, 0, 0)), card)
    network = pi.Network("none", lambda image: np.array([0.0, float(np.array_equal(image, red))]))
    pi.classify_camera(network, card, pi.options_of(["m", "--camera", "--frames", "2"]))
    lines = capsys.readouterr().out.splitlines()
    assert [text.split()[0] for text in lines] == ["dog", "dog"]
    assert lines[1].endswith("frame 2") and frames[-1] == "released"


def test_a_camera_that_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setitem(sys.modules, "cv2", opencv([]))
    with pytest.raises(pi.Problem, match="/dev/video2"):
        next(pi.camera_frames(2))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(pi.Problem, match="sudo apt install python3-picamera2"):
        next(pi.camera_frames(0))


# --- emulation: everything but the emulation itself -----------------------------------------------


def test_missing_tools_are_named_with_their_package(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(emulate.shutil, "which", lambda name: None)
    assert emulate.main(["m.onnx", "--folder", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "qemu-aarch64-static is missing" in message and "apt install qemu-user-static" in message


def test_a_step_that_fails_says_which():
    with pytest.raises(emulate.Problem, match=r"counting failed \(exit 3\):\n  two"):
        emulate.run([sys.executable, "-c", "import sys; print('two'); sys.exit(3)"], "counting")


@pytest.mark.parametrize(
    ("name", "shift", "fine"),
    [
        ("m.int8.tflite", 0.0, True),
        ("m.int8.tflite", 1e-6, False),
        ("m.int8.onnx", 1e-6, True),
        ("m.int8.onnx", 0.016, False),
        ("m.float16.onnx", 5e-5, True),
        ("m.float16.onnx", 1e-3, False),
    ],
)
def test_integers_must_be_equal_and_floats_nearly(name, shift, fine, monkeypatch, capsys, tmp_path):
    def classify(python, environment, model, pictures, logits):
        values = np.array([[0.0, 1.0]]) + (shift if python == ["arm"] else 0)
        return "head\na.png\n1 picture", values

    monkeypatch.setattr(emulate, "emulated", lambda folder: (["arm"], {}))
    monkeypatch.setattr(emulate, "classify", classify)
    assert emulate.compared(Path(name), tmp_path, tmp_path) is fine
    assert (": NOT EQUAL. Same" in capsys.readouterr().out) is not fine


def test_ties_are_said():
    """The int8 grid is coarse: two classes can have the same logit, and either may come first."""
    assert emulate.ties(np.array([[1.0, 3.0, 3.0], [0.0, 1.0, 2.0]]), 1e-5) == (
        " (1 with two equal largest logits)"
    )
    assert emulate.ties(np.array([[1.0, 2.0, 3.0]]), 1e-5) == ""
