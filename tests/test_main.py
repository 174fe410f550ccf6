"""The one command line: `python -m squeeze_utils`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from released import released_layers

from squeeze_utils.__main__ import _parser, main
from squeeze_utils.base import machine
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.sqz.container import load_sqz, save_sqz
from squeeze_utils.deploy import network_files, optional_parts
from squeeze_utils.deploy.optional_parts import PartMissing
from squeeze_utils.imagenet import released_file
from squeeze_utils.models import build
from squeeze_utils.models.checkpoint_files import save_model
from squeeze_utils.studies import catalogue, commands, plan, record_draw, replication

COMMANDS = (
    "study",
    "search",
    "replicate",
    "released",
    "transfer",
    "compress",
    "evaluate",
    "classify",
    "deploy",
)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


# --- help and mistakes ----------------------------------------------------------------------------

PROGRAM = f"""
import sys
from squeeze_utils.__main__ import main
for command in {COMMANDS!r}:
    try:
        main([command, "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0
heavy = {{"torch", "numpy", "pandas", "sklearn", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_has_an_example_of_every_command_and_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"example:\n  python -m squeeze_utils {command} " in done.stdout


def test_every_command_is_in_that_list():
    (choices,) = (action.choices for action in _parser()._actions if action.choices)
    assert tuple(choices) == COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        "compress a.sqz -o b.sqz --target-bytes 9 --data digits --images -1",
        "compress a.sqz -o b.sqz --target-bytes 0 --data digits",
        "compress a.sqz -o b.sqz --lossless --size 0",
        "transfer pictures -o a.safetensors --size 0",
        "classify a.onnx a.png --size -5",
        "deploy a.sqz -o folder --size 1.5",
        "study run dsd --jobs 0",
    ],
)
def test_numbers_that_count_something_begin_at_one(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "argument --" in said and said.endswith("is not a whole number of at least 1")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["compress", "a.sqz"], ["study", "fly"]])
def test_wrong_usage_ends_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and "usage: python -m squeeze_utils" in capsys.readouterr().err


# --- studies and searches -------------------------------------------------------------------------


def test_studies_and_searches_are_listed(monkeypatch, capsys):
    monkeypatch.setattr(commands, "list_studies", lambda: "one study")
    monkeypatch.setattr(commands, "list_searches", lambda: "one search")
    assert run("study", "list") == run("search", "list") == 0
    assert capsys.readouterr().out == "one study\none search\n"


def test_the_plan_is_shown_and_all_of_it_run(monkeypatch, capsys):
    monkeypatch.setattr(plan, "show_plan", lambda: "a plan")
    lines = [[plan.Line("one", 3, 1, 0.5), plan.Line("two", 4, 0, 0.7)], []]
    monkeypatch.setattr(plan, "make_plan", lambda: lines.pop(0))
    monkeypatch.setattr(machine, "cores", lambda: 2)
    done = {2: ["one", "two"], 0: []}
    monkeypatch.setattr(commands, "run_everything", lambda lines, jobs: done[len(lines)])
    assert run("study", "plan") == run("study", "run", "--all") == 0
    assert run("study", "run", "--all", "--jobs", 2) == 0
    assert capsys.readouterr().out == (
        "a plan\n2 studies lack 7 experiments: about 1.2 hours with JOBS=2\n"
        "2 studies are complete now\nevery study has its records\nnothing to do\n"
    )


def test_studies_and_searches_are_run_with_what_was_asked_for(monkeypatch):
    calls = []
    for name in ("run_study_named", "run_searches"):
        monkeypatch.setattr(commands, name, lambda *args, **options: calls.append((args, options)))
    monkeypatch.setattr(catalogue, "maker", lambda name: None)
    monkeypatch.setattr(commands, "searches_named", lambda name, scale: [])
    monkeypatch.setenv("SQUEEZE_SCALE", "reference")
    assert run("study", "run", "a", "b", "--scale", "quick", "--only", "x") == 0
    assert run("search", "run", "c", "--jobs", 2) == 0
    assert run("study", "run", "d", "--scale", "quick", "--backend", "dask") == 0
    assert run("study", "run", "e", "--scale", "quick", "--backend", "loky", "--jobs", 3) == 0
    here = {"jobs": 1, "only": "x", "backend": None}
    assert calls == [
        (("a", Scale("quick")), here),
        (("b", Scale("quick")), here),
        (("c", Scale("reference")), {"jobs": 2}),
        (("d", Scale("quick")), {"jobs": -1, "only": "", "backend": "dask"}),
        (("e", Scale("quick")), {"jobs": 3, "only": "", "backend": "loky"}),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run dsd --all", "leave names and --only out"),
        ("run --all --only plain", "leave names and --only out"),
        ("run --all --scale quick", "at reference scale"),
        ("list --all", "study run --all"),
        ("list dsd", "study list is about all studies"),
        ("plan dsd", "study plan is about all studies"),
        ("export dsd --only plain", "--only is for study run, not for study export"),
        ("export dsd --jobs 7", "--jobs is for study run, not for study export"),
        ("list --scale quick", "--scale is for study run, not for study list"),
        ("plan --backend dask", "--backend is for study run, not for study plan"),
        ("run --all --backend dask", "study run --all is for this machine"),
    ],
)
def test_what_a_study_command_would_ignore_is_refused(arguments, said, says, monkeypatch):
    monkeypatch.setattr(commands, "run_everything", lambda *a, **how: pytest.fail("it was run"))
    assert said in says("study", *arguments.split())


def test_before_a_reference_run_it_says_what_that_takes(monkeypatch, capsys):
    monkeypatch.setattr(commands, "run_study_named", lambda *args, **options: None)
    monkeypatch.setattr(plan, "announce", lambda name, only: f"{name} {only}takes hours")
    monkeypatch.setattr(catalogue, "maker", lambda name: None)
    assert run("study", "run", "a", "--scale", "quick") == 0
    assert run("study", "run", "a", "--scale", "reference", "--only", "x") == 0
    assert run("study", "run", "a", "--scale", "reference") == 0
    assert capsys.readouterr().out == "a xtakes hours\na takes hours\n"


def test_checkpoints_of_a_study_are_exported(monkeypatch, capsys):
    found = {"dsd": {}, "baseline": {"net": 1234}}
    monkeypatch.setattr(commands, "export_study_named", lambda name: found[name])
    assert run("study", "export", "dsd", "baseline") == 0
    assert capsys.readouterr().out == (
        "dsd: no checkpoint is named, or its states are not here\nnet: 1,234 bytes\n"
    )


def test_unknown_names_are_refused_with_the_known_ones_before_any_work(says, monkeypatch):
    assert "unknown study 'fly'; accepted: activation_init, " in says("study", "run", "fly")
    assert "unknown search 'fly'; accepted: tuning" in says("search", "run", "fly")
    assert "name a study; python -m squeeze_utils study list" in says("study", "run")
    cloud = says("study", "run", "dsd", "--scale", "quick", "--backend", "cloud")
    assert "joblib has no backend 'cloud' here; accepted: \"loky\"" in cloud
    monkeypatch.setattr(commands, "run_study_named", lambda *a, **b: pytest.fail("it was run"))
    monkeypatch.setattr(commands, "run_searches", lambda *a, **b: pytest.fail("it was run"))
    assert "unknown study 'fly'" in says("study", "run", "dsd", "fly")
    assert "unknown search 'fly'" in says("search", "run", "tuning", "fly")
    assert "add --scale reference" in says("search", "run", "grid", "--scale", "quick")
    assert "leave names and options out" in says("search", "list", "tuning")


def test_an_interrupted_command_says_what_is_kept(monkeypatch, capsys):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run_study_named", stop)
    assert run("study", "run", "dsd") == 130
    assert "interrupted; what has a record is kept" in capsys.readouterr().err


def test_work_that_fails_ends_with_one(monkeypatch, capsys):
    def fail(*args, **options):
        raise OSError("the disk is full\nreally")

    monkeypatch.setattr(commands, "run_study_named", fail)
    assert run("study", "run", "dsd") == 1
    assert capsys.readouterr().err == "error: the disk is full really\n"


# --- a network of one's own -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with a checkpoint of the smallest network, for digits of 8 pixels."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    save_model(build("lenet_300_100", image_size=8), folder / "net.safetensors")
    return folder


@pytest.fixture(scope="module")
def squeezed(own):
    """The same as a small .sqz file."""
    out = own / "net.sqz"
    options = ("--target-bytes", 20_000, "--data", "digits", "--images", 60)
    assert run("compress", own / "net.safetensors", *options, "-o", out) == 0
    return out


def test_a_network_is_rounded_into_wanted_bytes(own, squeezed, capsys):
    assert 18_000 < squeezed.stat().st_size <= 20_000
    again = own / "again.sqz"
    options = ("--target-bytes", 20_000, "--data", "digits", "--images", 60)
    assert run("compress", own / "net.safetensors", *options, "-o", again) == 0
    assert again.read_bytes() == squeezed.read_bytes()
    assert f"again.sqz: {again.stat().st_size:,} bytes, calibrated on 60" in capsys.readouterr().out


def test_a_network_is_packed_without_loss(own, squeezed, tmp_path, capsys):
    assert run("compress", squeezed, "--lossless", "-o", tmp_path / "same.sqz") == 0
    assert (tmp_path / "same.sqz").read_bytes() == squeezed.read_bytes()
    assert "every weight as it was" in capsys.readouterr().out


@pytest.mark.slow
def test_every_kind_of_file_of_a_network_is_judged_alike(own, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert run("compress", own / "net.safetensors", "--lossless", "-o", tmp_path / "net.sqz") == 0
    assert run("deploy", own / "net.safetensors", "-o", tmp_path, "--data", "digits") == 0
    shown = capsys.readouterr().out
    assert f"{tmp_path / 'net.int8.onnx'}: " in shown
    about = json.loads((tmp_path / "net.json").read_text())
    assert about["classes"] == list("0123456789") and about["input_shape"] == [1, 8, 8]
    results = []
    for file in (own / "net.safetensors", tmp_path / "net.sqz", tmp_path / "net.float16.onnx"):
        assert run("evaluate", file, "digits") == 0
        size, *rest = capsys.readouterr().out.splitlines()
        assert size == f"bytes  {file.stat().st_size:,}"
        results.append(rest)
    assert results[0] == results[1] == results[2]
    assert results[0][0].startswith("top-1  ") and results[0][2] == "n      359"


def test_pictures_are_classified_with_the_names_of_the_training_set(own, tmp_path, capsys, says):
    pictures = [tmp_path / f"{name}.png" for name in "ab"]
    for seed, path in enumerate(pictures):
        noise = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    assert run("classify", own / "net.safetensors", *pictures, "--data", "digits") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(pictures[0]) and lines[6] == str(pictures[1])
    shares = [float(line.split()[0]) for line in lines[1:6]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.3
    assert {line.split()[2] for line in lines[1:6]} <= set("0123456789")
    about = {"classes": [f"class {n}" for n in range(10)], "mean": [0.5], "std": [0.5]}
    shutil.copy(own / "net.safetensors", tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "net.json").write_text(json.dumps(about))
    assert run("classify", tmp_path / "net.safetensors", pictures[0]) == 0
    assert "%  class " in capsys.readouterr().out
    about |= {"mean": [0.5] * 3, "std": [0.5] * 3}
    (tmp_path / "deploy" / "net.json").write_text(json.dumps(about))
    assert "is for 3 channels, the network takes 1" in says(
        "classify", tmp_path / "net.safetensors", pictures[0]
    )


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "digits"),
        ("compress", "--target-bytes", 20_000, "--data", "digits", "-o", "out.sqz"),
        ("deploy", "--data", "digits", "-o", "files"),
        ("deploy", "-o", "files"),
    ],
)
def test_a_size_that_a_network_does_not_take_is_named(command, own, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    assert run(name, own / "net.safetensors", *rest, "--size", 16) == 2
    *_, line = capsys.readouterr().err.splitlines()  # LiteRT's converter may be missing, too
    assert "takes no images of 1 x 16 x 16" in line or "takes 8-pixel images" in line
    assert not list(tmp_path.iterdir())


def test_what_is_no_picture_is_named(own, tmp_path, says):
    (tmp_path / "words.png").write_text("no picture")
    for name in ("words.png", "missing.png", ""):
        assert (name or tmp_path.name) in says(
            "classify", own / "net.safetensors", tmp_path / name, "--data", "digits"
        )


def test_mistakes_with_networks_and_images_are_named(own, squeezed, tmp_path, says):
    out = ("-o", tmp_path / "out.sqz")
    small = ("--target-bytes", 20_000)
    assert "give either --lossless or --target-bytes" in says("compress", squeezed, *out)
    assert "give either" in says("compress", squeezed, "--lossless", *small, *out)
    assert "needs images" in says("compress", squeezed, *small, *out)
    assert "unknown image set 'mars'" in says("compress", squeezed, *small, "--data", "mars", *out)
    tiny = ("--target-bytes", 500, "--data", "digits")
    assert "500 bytes cannot be reached" in says("compress", squeezed, *tiny, *out)
    assert "there is no file" in says("compress", tmp_path / "no.sqz", "--lossless", *out)
    assert "there is no file" in says("evaluate", tmp_path / "no.safetensors", "digits")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    pytest.importorskip("onnxruntime")
    assert "x.onnx is not an ONNX model" in says("evaluate", tmp_path / "x.onnx", "digits")
    assert "x.onnx is none of .sqz" in says("compress", tmp_path / "x.onnx", "--lossless", *out)
    wrong = ("-o", tmp_path / "out.onnx")
    assert "the output must end with .sqz" in says("compress", squeezed, "--lossless", *wrong)
    cut = tmp_path / "cut.sqz"
    cut.write_bytes(squeezed.read_bytes()[:-9])
    assert "cut.sqz is not a .sqz file: truncated" in says(
        "classify", cut, tmp_path / "a.png", "--data", "digits"
    )
    shutil.copy(squeezed, cut)
    assert "there is no cut.json beside cut.sqz" in says("classify", cut, "a.png")
    assert not (tmp_path / "out.sqz").exists()


def test_impossible_numbers_are_refused_without_the_command_line_too(own):
    net = own / "net.safetensors"
    with pytest.raises(ValueError, match="the number of images must be a whole number of at least"):
        network_files.compress_file(net, own / "out.sqz", 20_000, "digits", -1)
    for size in (0, -5):
        with pytest.raises(ValueError, match=r"size \(pixels\) must be a whole number of at least"):
            network_files.judge_file(net, "digits", size)
        with pytest.raises(ValueError, match=r"size \(pixels\) must be a whole number of at least"):
            network_files.deploy_file(net, own, size=size)
    assert not (own / "out.sqz").exists()
    dotted = own / "net.v2.safetensors"
    dotted.write_bytes(net.read_bytes())
    with pytest.raises(ValueError, match=r"rename net\.v2\.safetensors: .* may hold no dot"):
        network_files.deploy_file(dotted, own / "files", "digits")


def test_images_of_other_classes_are_refused(own, tmp_path, says, monkeypatch):
    monkeypatch.setattr("squeeze_utils.base.paths.cache", lambda: tmp_path / "cache")
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for seed in range(6):
            pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{seed}.png")
    said = says("evaluate", own / "net.safetensors", tmp_path / "pets")
    assert f"the network tells 10 classes apart, {tmp_path / 'pets'} has 2" in said


def test_what_is_missing_for_a_deployment_is_said(own, tmp_path, monkeypatch, capsys):
    def fail(*args):
        raise PartMissing("onnx is not installed: python -m pip install onnx")

    monkeypatch.setattr(optional_parts, "missing", lambda: {"LiteRT's converter": "make it"})
    monkeypatch.setattr(network_files, "write_files", fail)
    assert run("deploy", own / "net.safetensors", "-o", tmp_path) == 2
    said = capsys.readouterr().err
    assert "LiteRT's converter is not there: make it" in said
    assert "error: onnx is not installed: python -m pip install onnx" in said


# --- networks for ImageNet ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A narrow SqueezeNet 1.1 with a thousand classes and few values, as a .sqz file."""
    torch.manual_seed(0)
    network = build("squeezenet1_1", width=0.125).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            scale = parameter.abs().max().clamp(min=0.05) / 20
            parameter.copy_((parameter / scale).round() * scale + (parameter.ndim == 1) * 0.01)
    path = tmp_path_factory.mktemp("files") / "narrow.sqz"
    save_sqz(network, path)
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two pictures of noise for each of three classes."""
    root = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for name in ("n01440764", "goldfish", "n01484850"):
        (root / name).mkdir()
        for i in range(2):
            noise = torch.randint(256, (60, 80, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(noise.numpy()).resize((320, 240)).save(root / name / f"{i}.png")
    return root


def test_each_deviation_is_told_as_soon_as_it_is_known(monkeypatch, capsys):
    seen = []

    def repeated(drawn):
        yield {"study": "dsd", "record": "a-s0-1", "recorded": 80.0, "again": 80.5}
        seen.append(capsys.readouterr().out)
        raise ValueError("the second cannot be run")

    monkeypatch.setattr(record_draw, "draw_records", lambda *given, **how: record_draw.Draw([], 10))
    monkeypatch.setattr(replication, "repeat_records", repeated)
    assert run("replicate", 2) == 2
    assert "dsd/a-s0" in seen[0] and "+0.50" in seen[0]
    out, err = capsys.readouterr()
    assert out == "1 record, 0 equal to the last digit; root mean square 0.50\n"
    assert "the second cannot be run" in err


def test_the_released_file_without_loss(tmp_path, capsys):
    torch.manual_seed(0)
    network = build("squeezenet1_0", last_padding=1).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((weight * 50).round() / 50 if weight.ndim == 4 else weight + 0.1)
    source, out = tmp_path / "x.net", tmp_path / "x.sqz"
    source.write_bytes(released_file.write_released(released_layers(network)))
    assert run("released", source, "--lossless", "-o", out) == 0
    assert f"{out.stat().st_size:,} bytes, every weight as it was" in capsys.readouterr().out
    again = released_layers(load_sqz(out))
    assert released_file.write_released(again) == source.read_bytes()


@pytest.mark.slow
def test_a_network_for_imagenet_into_wanted_bytes(narrow, photographs, tmp_path, capsys):
    out = tmp_path / "a.sqz"
    options = ("--target-bytes", 40_000, "--calibrate", photographs, "--images", 4, "--seed", 3)
    assert run("released", narrow, *options, "--judge", photographs, "-o", out) == 0
    assert 0.9 * 40_000 < out.stat().st_size <= 40_000
    said, *judged = capsys.readouterr().out.splitlines()
    assert said.endswith(f"{out.stat().st_size:,} bytes, calibrated on 8 images")  # and mirrored
    assert judged[0] == f"bytes  {narrow.stat().st_size:,}"
    assert judged[4] == f"bytes  {out.stat().st_size:,}" and judged[7] == "n      6"
    assert load_sqz(out).spec.name == "squeezenet1_1"


def test_pictures_of_imagenet_are_judged_and_named(narrow, photographs, capsys):
    assert run("evaluate", narrow, photographs) == 0
    out = capsys.readouterr().out
    assert f"bytes  {narrow.stat().st_size:,}" in out and "n      6" in out
    assert "top-1  " in out and "top-5  " in out
    assert run("classify", narrow, photographs / "goldfish" / "0.png") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_the_authors_network_is_deployed_for_its_own_size_of_pictures(
    photographs, tmp_path, monkeypatch, says
):
    monkeypatch.setattr(optional_parts, "missing", dict)
    path, seen = tmp_path / "authors.sqz", []
    save_sqz(build("squeezenet1_0", width=0.125, last_padding=1).eval(), path)

    def write_files(model, target, name, shape, batch=None):
        seen.append((shape, None if batch is None else tuple(batch.shape[1:])))
        return {}

    monkeypatch.setattr(network_files, "write_files", write_files)
    for data in ((), ("--data", photographs)):
        assert run("deploy", path, *data, "-o", tmp_path) == 0
    assert seen == [((3, 227, 227), None), ((3, 227, 227), (3, 227, 227))]
    assert "leave the size out" in says("deploy", path, "--size", 64, "-o", tmp_path)


def test_mistakes_with_networks_for_imagenet_are_named(narrow, photographs, tmp_path, says):
    out = ("-o", tmp_path / "out.sqz")
    small = ("--target-bytes", 40_000)
    nowhere = ("--calibrate", tmp_path / "nowhere")
    assert "there is no folder" in says("released", narrow, *small, *nowhere, *out)
    assert "no pictures in" in says("evaluate", narrow, tmp_path)
    (tmp_path / "cut.net").write_bytes(b"\0" * 50)
    assert "cut.net: truncated" in says("released", tmp_path / "cut.net", "--lossless", *out)
    (tmp_path / "more" / "unicorn").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "more" / "unicorn" / "x.png")
    assert "'unicorn' is no class of ImageNet" in says("evaluate", narrow, tmp_path / "more")
    few = ("--target-bytes", 900, "--calibrate", photographs, "--images", 2)
    assert "900 bytes cannot be reached" in says("released", narrow, *few, *out)
    assert not (tmp_path / "out.sqz").exists()
