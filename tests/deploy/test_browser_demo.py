"""deploy/browser: how the site is put together, and the page itself in a headless Chromium.

The page's tests need Chromium and the runtime that npm fetches (`make test-demo` fetches it).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from types import ModuleType
from urllib.request import urlopen

import numpy as np
import pytest
from browser import Browser, chromium
from PIL import Image

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def script(path: Path) -> ModuleType:
    """A program of deploy/ as a module: it is no part of the package."""
    spec = importlib.util.spec_from_file_location(f"deploy_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


serve = script(DEPLOY / "browser" / "serve.py")
pi = script(DEPLOY / "raspberry_pi" / "classify.py")
RUNTIME = serve.SITE.parent / serve.PACKAGE


def test_the_program_needs_nothing_but_python():
    program = f"""
import sys
sys.modules["torch"] = sys.modules["numpy"] = None
sys.argv = ["serve.py", "--help"]
import runpy
runpy.run_path({str(DEPLOY / "browser" / "serve.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and "usage: serve.py" in done.stdout


# --- the site -------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A site with a stand-in for the runtime, and the server's address."""
    runtime = tmp_path / serve.PACKAGE
    runtime.mkdir()
    for name in serve.RUNTIME:
        (runtime / name).write_text("runtime")
    site = serve.build(tmp_path / "site", runtime)
    with serve.server(site, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield site, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def test_the_site_holds_page_model_and_runtime(built):
    site, address = built
    assert {path.name for path in site.iterdir()} == {
        *serve.PAGE, *serve.RUNTIME, "model.onnx", "model.json"
    }  # fmt: skip
    types = {"": "text/html", "demo.js": "text/javascript", serve.RUNTIME[0]: "text/javascript"}
    for name, kind in (types | {serve.RUNTIME[1]: "application/wasm"}).items():
        with urlopen(address + name) as answer:
            assert answer.headers.get_content_type() == kind and answer.read()


def test_nothing_comes_from_elsewhere():
    for name in serve.PAGE:
        assert "://" not in (DEPLOY / "browser" / name).read_text(encoding="utf-8"), name


def test_a_missing_npm_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(serve.shutil, "which", lambda name: None)
    with pytest.raises(serve.Problem, match=r"npm is missing; it comes with Node\.js"):
        serve.build(tmp_path / "site", tmp_path / "runtime")


def test_a_download_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(serve.shutil, "which", lambda name: sys.executable)  # "python pack ..."
    with pytest.raises(serve.Problem, match=r"npm could not fetch onnxruntime-web@.*: "):
        serve.fetch_runtime(tmp_path / "demo" / serve.PACKAGE)
    assert list((tmp_path / "demo").iterdir()) == []


def test_another_package_than_the_pinned_one_is_refused(tmp_path):
    with tarfile.open(tmp_path / "other.tgz", "w:gz"):
        pass
    with pytest.raises(serve.Problem, match="its SHA-512 differs"):
        serve.unpack(tmp_path / "other.tgz", tmp_path / "files")


def test_a_port_in_use_is_said(built):
    site, address = built
    with pytest.raises(serve.Problem, match="choose another: PORT=8001"):
        serve.server(site, int(address.rstrip("/").rpartition(":")[2]))


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page in a browser, its network loaded."""
    if chromium() is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    if not RUNTIME.is_dir():
        pytest.skip("needs onnxruntime-web: make test-demo fetches it")
    pytest.importorskip("websocket", reason="needs websocket-client")
    folder = tmp_path_factory.mktemp("browser")
    site = serve.build(folder / "site", RUNTIME)
    with serve.server(site, 0) as running, Browser(folder / "profile") as browser:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{running.server_port}/")
        browser.wait(lambda: status(browser) == "Ready.", "the network to load")
        yield browser
        running.shutdown()


@pytest.fixture(scope="module")
def flower(tmp_path_factory):
    """A photograph that comes with scikit-learn, as a PNG file: every browser reads it alike."""
    from sklearn.datasets import load_sample_image

    path = tmp_path_factory.mktemp("pictures") / "flower.png"
    Image.fromarray(load_sample_image("flower.jpg")).save(path)
    return path


def status(page: Browser) -> str:
    return page.evaluate("document.getElementById('status')?.textContent") or ""


def problem(page: Browser) -> str:
    return page.evaluate(
        "document.getElementById('problem').hidden ? '' "
        ": document.getElementById('problem').textContent"
    )


def in_python(picture: Image.Image) -> np.ndarray:
    """The logits of the same file in ONNX Runtime for Python, by the script for the Pi."""
    pytest.importorskip("onnxruntime")
    network = pi.open_model(serve.MODEL, threads=1)
    return network.run(pi.prepare(picture, pi.read_card(serve.MODEL)))


def test_a_chosen_picture_is_answered_as_in_python(page, flower):
    page.choose("#file", flower)
    page.wait(lambda: "flower.png" in status(page), "an answer")
    shown = page.evaluate(
        "Array.from(document.querySelectorAll('#shares li'), row => row.innerText.split('\\n'))"
    )
    shares = pi.probabilities(in_python(Image.open(flower)))
    classes = pi.read_card(serve.MODEL).classes
    best = np.argsort(-shares, kind="stable")[:5]
    assert shown == [[classes[k], f"{100 * shares[k]:.1f} %"] for k in best]
    assert page.evaluate("document.getElementById('answer').textContent") == ", ".join(shown[0])
    size = serve.MODEL.stat().st_size
    found = page.evaluate("document.getElementById('network-bytes').textContent")
    assert found.startswith(f"{round(size / 1e3)} kB")
    assert " ms (median of 20" in page.evaluate("document.getElementById('time').textContent")
    assert problem(page) == ""


# Fetches what is at `address` as a file and gives back what the network takes and what it says.
RUN = """(async () => {{
  const {{ openNetwork, classify }} = await import("./network.js");
  const {{ normalised, squareOf }} = await import("./picture.js");
  const content = Uint8Array.from(atob("{content}"), (letter) => letter.charCodeAt(0));
  const square = await squareOf(new File([content], "a.png"));
  const network = await openNetwork();
  const {{ logits, seen }} = await classify(network, square);
  const {{ mean, std }} = network.card;
  return JSON.stringify([Array.from(normalised(seen, mean, std)), logits]);
}})()"""


@pytest.mark.parametrize("size", [(32, 32), (640, 427), (97, 211), (20, 24)])
def test_input_and_logits_are_those_of_python(page, size, tmp_path):
    import base64

    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    content = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    values, logits = json.loads(page.evaluate(RUN.format(content=content)))
    card = pi.read_card(serve.MODEL)
    assert np.array_equal(np.float32(values), pi.prepare(picture, card).ravel())
    # The last average is computed in floats; one integer off would move a logit by 0.016.
    assert np.abs(np.array(logits) - in_python(picture)).max() < 1e-5


GIVE = """(async () => {{
  const data = new DataTransfer();
  {add}
  window.dispatchEvent(new {event});
}})()"""
DROP = "DragEvent('drop', {dataTransfer: data, cancelable: true})"
PASTE = "ClipboardEvent('paste', {clipboardData: data})"
PICTURE = """
  const canvas = new OffscreenCanvas(50, 40);
  canvas.getContext("2d").fillRect(0, 0, 50, 40);
  const blob = await canvas.convertToBlob();
  data.items.add(new File([blob], "{name}", {{ type: "image/png" }}));"""


@pytest.mark.parametrize(("event", "name"), [(DROP, "dropped.png"), (PASTE, "pasted.png")])
def test_a_picture_can_be_dropped_and_pasted(page, event, name):
    page.evaluate(GIVE.format(add=PICTURE.format(name=name), event=event))
    page.wait(lambda: name in status(page), "an answer")
    assert problem(page) == ""


@pytest.mark.parametrize(
    ("add", "message"),
    [
        ("data.items.add(new File(['text'], 'notes.txt'));", "“notes.txt” is not a picture"),
        ("data.items.add('a word', 'text/plain');", "That holds no file."),
    ],
)
def test_what_is_no_picture_is_refused(page, add, message):
    page.evaluate(GIVE.format(add=add, event=DROP))
    page.wait(lambda: message in problem(page), "the message")
    assert page.evaluate("document.getElementById('result').hidden")
    page.evaluate(GIVE.format(add=PICTURE.format(name="next.png"), event=DROP))
    page.wait(lambda: "next.png" in status(page), "an answer after the mistake")
    assert problem(page) == ""
