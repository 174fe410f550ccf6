"""`make demo`: put the browser demo together in build/demo/site, and serve it on this computer.

The folder is a plain static site: any web server may serve it. It is made of the page (this
folder), the int8 ONNX file that is committed, and onnxruntime-web, which npm fetches once.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT))  # any Python will do, the package need not be installed

from squeeze_utils.base.paths import STARTING_NETWORK  # noqa: E402

SITE = ROOT / "build" / "demo" / "site"
PAGE = ("index.html", "style.css", "demo.js", "network.js", "picture.js")
MODEL = ROOT / "data" / "checkpoints" / "deploy" / f"{STARTING_NETWORK}.int8.onnx"
CARD = MODEL.with_name(f"{STARTING_NETWORK}.json")

PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")  # 2 of its 509 files


class Problem(Exception):
    """Something that is missing or went wrong; the message says what to do."""


def fetch_runtime(target: Path) -> None:
    """Two files of the pinned onnxruntime-web; nothing to do when they are there."""
    fetch_package(PACKAGE, SHA512, RUNTIME, target, "33 MB")


def fetch_package(package: str, sha512: str, names: Sequence[str], target: Path, size: str) -> None:
    """Files of `dist/` in a pinned package, through npm; nothing to do when they are there."""
    if target.is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Problem("npm is missing; it comes with Node.js (Debian, Ubuntu: apt install npm)")
    print(f"fetching {package} ({size}, once) ...", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [npm, "pack", package, "--silent", "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise Problem(f"npm could not fetch {package}: {lines[-1]}")
        unpack(archives[0], Path(folder) / "files", sha512, names)
        (Path(folder) / "files").rename(target)  # complete, or not there at all


def unpack(
    archive: Path, target: Path, sha512: str = SHA512, names: Sequence[str] = RUNTIME
) -> None:
    """Take files out of a package, if it is the one that was pinned."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if base64.b64encode(digest).decode() != sha512:
        raise Problem(f"{archive.name} is not the package that was tested: its SHA-512 differs")
    target.mkdir()
    with tarfile.open(archive) as package:
        for name in names:
            source = package.extractfile(f"package/dist/{name}")
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read())


def build(site: Path = SITE, runtime: Path = SITE.parent / PACKAGE) -> Path:
    """Put the site together; page and model are copied anew each time."""
    missing = [path.name for path in (MODEL, CARD) if not path.is_file()]
    if missing:
        raise Problem(f"{' and '.join(missing)} not there: take them from the repository")
    fetch_runtime(runtime)
    sources = [HERE / name for name in PAGE] + [runtime / name for name in RUNTIME]
    site.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, site / source.name)
    shutil.copyfile(MODEL, site / "model.onnx")
    shutil.copyfile(CARD, site / "model.json")
    return site


class Handler(SimpleHTTPRequestHandler):
    """Files of the site, with the types that browsers insist on, whatever this computer says."""

    extensions_map = {  # noqa: RUF012  (the name and the type are the base class's)
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        """End them with one more: a browser asks anew each time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the page says what happens."""


def server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of the site for this computer only; port 0 takes any free one."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(site)))
    except (OSError, OverflowError) as error:
        raise Problem(f"port {port} cannot be used ({error}); choose another: PORT=8001") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """0: served until Ctrl-C, or only built; 1: something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--only-build", action="store_true", help="make the folder, serve nothing")
    options = parser.parse_args(arguments)
    try:
        site = build()
        if options.only_build:
            print(f"the site lies in {site.relative_to(ROOT)}")
            return 0
        with server(site, options.port) as running:
            address = f"http://127.0.0.1:{running.server_port}/"
            print(f"open {address} in a browser; Ctrl-C ends it", flush=True)
            running.serve_forever()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
