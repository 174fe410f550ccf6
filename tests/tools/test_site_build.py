"""The site as it was built: formulas, the explorer against Python, and its pages in a browser.

`make test-site` builds the site and runs these; each test says what it needs and is skipped
without it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from browser import Browser, chromium

from tools.site import build, katex, links

NODE = shutil.which("node")
TOOLS = build.ROOT / ".venv-site" / "share" / "site"
EXPLORER = build.HERE / "static" / "explorer.js"
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js")


# --- the explorer ---------------------------------------------------------------------------------

SETTINGS = [
    {"ratio": 0.125, "share": 0.5, "width": 1},
    {"ratio": 0.5, "share": 0.95, "width": 0.25},
    {"ratio": 0.0625, "share": 0.05, "width": 0.75},
    {"ratio": 0.6875, "share": 0.35, "width": 1.25},
    {"ratio": 1, "share": 0.65, "width": 2},
]
COUNT = """
const { count, round } = require(process.argv[1]);
const settings = JSON.parse(process.argv[2]);
const halves = [0.5, 1.5, 2.5, 2.4, 2.6].map(round);
process.stdout.write(JSON.stringify({ counts: settings.map(count), halves }));
"""


@needs_node
def test_the_explorer_counts_as_the_package_does():
    import torch

    import squeeze_utils as sq
    from squeeze_utils.anatomy import by_module, layer_table

    command = [NODE, "-e", COUNT, str(EXPLORER), json.dumps(SETTINGS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["halves"] == [0, 2, 2, 2, 3]
    for setting, counts in zip(SETTINGS, found["counts"], strict=True):
        options = {
            "squeeze_ratio": setting["ratio"],
            "pct3x3": setting["share"],
            "width": setting["width"],
        }
        with torch.device("meta"):
            model = sq.build("squeezenet1_0", **options)
        table = by_module(layer_table(model, (3, 224, 224)))
        for module in counts:
            row = table.loc[module["name"]]
            assert (module["parameters"], module["multiplyAdds"]) == (
                row["parameters"],
                row["multiply_adds"],
            ), (setting, module)
        assert sum(module["parameters"] for module in counts) == table["parameters"].sum()


# --- formulas -------------------------------------------------------------------------------------


@pytest.fixture
def renderer():
    folder = TOOLS / build.KATEX
    if NODE is None or not folder.is_dir():
        pytest.skip("needs Node.js and KaTeX: make site fetches it")
    made = katex.Renderer(folder, NODE)
    yield made
    made.close()


def test_a_formula_becomes_html(renderer):
    assert "mfrac" in renderer.render(r"\frac{1}{2}", True)
    assert renderer.render("x", False) != renderer.render("x", True)


def test_a_wrong_formula_is_said_and_the_next_one_works(renderer):
    with pytest.raises(ValueError, match="KaTeX parse error"):
        renderer.render(r"\frac{1}{", True)
    assert "katex" in renderer.render("y", False)


def test_fonts_are_inside_the_style_sheet(tmp_path):
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "A.woff2").write_bytes(b"font")
    rule = '@font-face{src:url(fonts/A.woff2) format("woff2"),url(fonts/A.ttf) format("truetype")}'
    (tmp_path / "katex.min.css").write_text(rule)
    text = katex.style_sheet(tmp_path)
    assert text == '@font-face{src:url(data:font/woff2;base64,Zm9udA==) format("woff2")}'


# --- the pages ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site():
    if not (build.SITE / "index.html").is_file():
        pytest.skip("needs the site: make site")
    return build.SITE


def test_no_link_is_broken(site):
    assert links.problems(site, build.published()) == []


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    if chromium() is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    pytest.importorskip("websocket", reason="needs websocket-client")
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture(scope="module")
def address(site):
    with build.browser_demo().server(site, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def opened(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.wait(lambda: browser.evaluate("document.readyState") == "complete", "the page")


MOVE = """(() => {
  const input = document.querySelector("[data-explorer] input");
  input.value = 0.5;
  input.dispatchEvent(new Event("input"));
  return document.querySelector(".explorer-totals").textContent;
})()"""


def page_of(site: Path, number: str) -> Path:
    return next((site / "notebooks").glob(f"{number}_*.html"))


def test_the_explorer_moves_in_a_page_opened_as_a_file(site, browser):
    opened(browser, page_of(site, "02").as_uri())
    totals = "document.querySelector('.explorer-totals').textContent"
    assert browser.evaluate(totals).startswith("1,248,424 parameters (4.99 MB)")
    assert browser.evaluate(MOVE).startswith("3,404,392 parameters (13.62 MB), 2.73 times")
    assert browser.evaluate("document.querySelectorAll('.katex').length") > 50


def test_the_demo_says_that_it_needs_a_server(site, browser):
    opened(browser, (site / "live.html").as_uri())
    said = "document.querySelector('[data-demo]').textContent"
    assert "make site-serve" in browser.evaluate(said)


def test_the_search_finds_a_word_without_a_server(site, browser):
    opened(browser, (site / "search.html").as_uri() + "?q=codebook")
    count = "document.querySelectorAll('#search-results li a').length"
    assert browser.wait(lambda: browser.evaluate(count), "results")


def test_the_demo_runs_in_the_page(address, browser):
    opened(browser, f"{address}/live.html")
    browser.evaluate("document.querySelector('[data-demo] button').click()")
    status = "document.querySelector('iframe')?.contentDocument?.getElementById('status')"
    browser.wait(lambda: browser.evaluate(f"{status}?.textContent") == "Ready.", "the network")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(site, browser, width):
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
    )  # fmt: skip
    wide = []
    for page in [*sorted(site.glob("*.html")), *sorted((site / "notebooks").glob("*.html"))]:
        opened(browser, page.as_uri())
        if browser.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wide.append(page.name)
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert not wide
