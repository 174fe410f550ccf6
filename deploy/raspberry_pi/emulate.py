"""`make pi-emulated`: run classify.py with the packages of a 64-bit Raspberry Pi, without one.

qemu runs programs for 64-bit ARM on another processor, one instruction after the other. It gets
a folder of Debian packages for arm64 (Python and the libraries it needs) and the wheels that a
Pi would install, and runs the same script on the same pictures as this computer's own Python.
What is compared is logits. Times of an emulated run say nothing about a Pi.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("classify.py")
ROOT = Path(__file__).resolve().parents[2]
PROCESSOR = "cortex-a72"  # a Pi 4. With qemu's default, `max`, LiteRT's int8 logits are wrong
DEBIAN = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
WHEELS = ("numpy", "pillow", "onnxruntime", "ai-edge-litert")
TAGS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
# The largest difference of logits. The int8 LiteRT file computes in integers to the end. The int8
# ONNX file averages its last map in floats, whose order of summation differs; an integer that
# differed by one before that would move a logit by 0.26 / 16 = 0.016.
TOLERANCE = {".int8.tflite": 0.0, ".int8.onnx": 1e-5}
FLOAT_TOLERANCE = 1e-4
SHOWN = 5  # lines of an output

# Both runtimes look up the processor here and crash when they find an x86 one.
CORE = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""

APT = """\
Dir::State "{folder}/";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache/";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources/";
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "";
"""


class Problem(Exception):
    """Something that is missing or went wrong; the message says what to do."""


def tool(*names: str, package: str) -> str:
    """The path of the first of `names` that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise Problem(
            f"{names[0]} is missing. On Debian, Ubuntu or Raspberry Pi OS: "
            f"sudo apt install {package}. Elsewhere this target cannot run; a container of "
            "Debian will do"
        )
    return found


def run(command: Sequence[str | Path], what: str, **options: object) -> str:
    """The output of a command; a failure says which step it was, and the last lines it wrote."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise Problem(f"{what} failed (exit {done.returncode}):\n  " + "\n  ".join(lines))
    return done.stdout


# --- a small Debian for arm64 in a folder ---------------------------------------------------------


def own_sources() -> list[Path]:
    """This computer's package sources of its own release, not those that were added to it."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    release = facts.get("VERSION_CODENAME", "").strip('"')
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}
    found = [file for file, text in texts.items() if release in text.split()]
    if not release or not found:
        raise Problem("apt's sources of this release were not found in /etc/apt")
    return found


def debian_root(folder: Path) -> Path:
    """Unpacked arm64 packages with Python: fetched by apt into `folder`, none installed here.

    apt gets a configuration of its own with an empty list of installed packages, so it works out
    everything that Python needs; this computer's package database is neither read nor written.
    """
    root = folder / "root"
    if (folder / "root.complete").is_file():
        return root
    apt, dpkg = tool("apt-get", package="apt"), tool("dpkg-deb", package="dpkg")
    home = folder / "apt"
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "sources"):
        (home / part).mkdir(parents=True)
    for source in own_sources():
        shutil.copy(source, home / "sources")
    (home / "status").touch()
    (home / "apt.conf").write_text(APT.format(folder=home), encoding="utf-8")
    private = {**os.environ, "APT_CONFIG": str(home / "apt.conf")}
    print("fetching arm64 Debian packages ...", flush=True)
    run([apt, "update"], "apt-get update for arm64", env=private)
    wanted = [apt, "install", "--download-only", "--yes", "--no-install-recommends", *DEBIAN]
    run(wanted, "apt-get download for arm64", env=private)
    for archive in sorted((home / "cache" / "archives").glob("*.deb")):
        run([dpkg, "-x", archive, root], f"unpacking {archive.name}")
    (root / "proc").mkdir()
    cores = "".join(CORE.format(number=number) for number in range(4))
    (root / "proc" / "cpuinfo").write_text(cores, encoding="utf-8")
    (folder / "root.complete").touch()
    return root


def python_of(root: Path) -> Path:
    """The interpreter in the folder, as python3.N: /usr/bin/python3 may be an absolute link."""
    found = sorted((root / "usr" / "bin").glob("python3.*[0-9]"))
    if not found:
        raise Problem(f"{root} holds no Python: remove {root.parent.name}/ and try again")
    return found[0]


def wheels(folder: Path, version: str) -> Path:
    """The aarch64 wheels that a Pi with Python `version` would install, unpacked, by pip.

    Their versions are those of this computer; when these change, the wheels are fetched anew.
    """
    site, complete = folder / f"site-{version}", folder / f"site-{version}.complete"
    pins = ROOT / "constraints.txt"
    if complete.is_file() and complete.read_bytes() == pins.read_bytes():
        return site
    complete.unlink(missing_ok=True)
    shutil.rmtree(site, ignore_errors=True)
    print("fetching aarch64 wheels ...", flush=True)
    platforms = [option for tag in TAGS for option in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", site, "--only-binary=:all:", "--python-version", version, *platforms]
    run([*command, "--constraint", pins, *WHEELS], "pip install of aarch64 wheels")
    shutil.copyfile(pins, complete)
    return site


# --- the same script twice ------------------------------------------------------------------------


def emulated(folder: Path) -> tuple[list[str | Path], dict[str, str]]:
    """The command that stands for `python3` on a Pi, and its environment."""
    qemu = tool("qemu-aarch64-static", "qemu-aarch64", package="qemu-user-static")
    root = debian_root(folder)
    python = python_of(root)
    site = wheels(folder, python.name.removeprefix("python"))
    there = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return [qemu, "-cpu", PROCESSOR, "-L", root, python], there


def classify(
    python: list[str | Path],
    environment: dict[str, str],
    model: Path,
    pictures: Path,
    logits: Path,
) -> tuple[str, np.ndarray]:
    """What classify.py printed, and the logits it wrote."""
    command = [*python, SCRIPT, model, pictures, "--logits", logits]
    text = run(command, f"classify.py with {model.name}", env=environment)
    return text, np.load(logits, allow_pickle=False)


def photographs(folder: Path) -> Path:
    """Crops of the two photographs that come with scikit-learn, for when no pictures are named."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        picture = Image.fromarray(pixels)
        for place, left in enumerate(range(0, picture.width - 213, 71)):
            crop = picture.crop((left, 30 * place, left + 213, 30 * place + 213))
            crop.save(folder / f"{name}-{place}.png")
    return folder


def compared(model: Path, pictures: Path, folder: Path) -> bool:
    """Run one model natively and emulated; print both and how they differ; say if that is fine."""
    here = ([sys.executable], dict(os.environ))
    answers = {}
    for way, (python, environment) in {"native": here, "emulated": emulated(folder)}.items():
        where = folder / f"{model.name}.{way}.npy"
        text, answers[way] = classify(python, environment, model, pictures, where)
        lines = text.replace(f"{pictures}{os.sep}", "").splitlines()
        left_out = len(lines) - SHOWN - 2
        more = [f"... {left_out} more"] if left_out > 0 else []
        print(f"\n[{way}]", *lines[: SHOWN + 1], *more, lines[-1], sep="\n", flush=True)
    one, other = answers["native"], answers["emulated"]
    allowed = TOLERANCE.get("".join(model.suffixes[-2:]), FLOAT_TOLERANCE)
    difference = float(np.abs(one - other).max())
    same = int((one.argmax(1) == other.argmax(1)).sum())
    fine = difference <= allowed
    print(
        f"\n{model.name}: largest difference of logits {difference:.2g} "
        f"(allowed {allowed:g}): {'equal' if fine else 'NOT EQUAL'}. "
        f"Same answer for {same} of {len(one)} pictures{ties(one, allowed)}."
    )
    return fine


def ties(logits: np.ndarray, allowed: float) -> str:
    """How many pictures have two largest logits that are equal within what is allowed, if any."""
    second, first = np.sort(logits, axis=1)[:, -2:].T
    number = int((first - second <= 2 * allowed).sum())
    return f" ({number} with two equal largest logits)" if number else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all models agree; 1: one does not, or something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help=".onnx or .tflite files")
    parser.add_argument("--pictures", type=Path, help="a folder (default: two photographs, cut up)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "pi", help="for everything")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    try:
        emulated(folder)
        pictures = options.pictures or photographs(folder / "pictures")
        fine = [compared(model, pictures, folder) for model in options.models]
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(f"\n{sum(fine)} of {len(fine)} models give the same logits on 64-bit ARM.")
    print("The times of [emulated] are those of qemu: they say nothing about a Raspberry Pi.")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
