"""Formulas, set by KaTeX while the site is built: a page needs no script and no network for them.

A Sphinx extension. One Node process renders all formulas; a formula that KaTeX does not understand
ends the build and says where it stands.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

SHORT = 16  # a formula of so many letters of TeX is not broken at the end of a line
SERVER = Path(__file__).with_name("katex_lines.cjs")


class Renderer:
    """A Node process that answers every line, a formula, with a line of HTML."""

    def __init__(self, folder: Path, node: str = "node"):
        self.command = [node, str(SERVER), str(folder / "katex.min.js")]
        self.process: subprocess.Popen[str] | None = None
        self.known: dict[tuple[str, bool], str] = {}

    def render(self, tex: str, display: bool) -> str:
        """The HTML of a formula.

        Raises:
            ValueError: KaTeX does not understand it; the message is KaTeX's.
        """
        key = (tex, display)
        if key not in self.known:
            if self.process is None:
                pipe = subprocess.PIPE
                self.process = subprocess.Popen(
                    self.command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8"
                )
            print(json.dumps({"tex": tex, "display": display}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the Node process that runs KaTeX has ended")
            answer = json.loads(line)
            if "error" in answer:
                raise ValueError(answer["error"])
            self.known[key] = answer["html"]
        return self.known[key]

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=30)
            self.process.stdout.close()
            self.process = None


def style_sheet(folder: Path) -> str:
    """KaTeX's style sheet with its fonts inside: some browsers load no font beside a local file."""
    text = (folder / "katex.min.css").read_text(encoding="utf-8")

    def inside(found: re.Match[str]) -> str:
        font = base64.b64encode((folder / found[1]).read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{font}) format("woff2")'

    return re.sub(r"src:url\((fonts/[^)]+\.woff2)\)[^;}]*", inside, text)


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    from sphinx.errors import ExtensionError

    app.add_config_value("katex_folder", "", "html")
    renderers: list[Renderer] = []

    def html(tex: str, display: bool, node: Any) -> str:
        if not renderers:
            renderers.append(Renderer(Path(app.config.katex_folder), "node"))
        try:
            return renderers[0].render(tex, display)
        except ValueError as error:
            raise ExtensionError(f"{node.source}:{node.line}: {error}") from None

    def inline(translator: Any, node: Any) -> None:
        from docutils.nodes import SkipNode

        tex = node.astext()
        kind = "math short-formula" if len(tex) <= SHORT else "math"
        translator.body.append(f'<span class="{kind}">{html(tex, False, node)}</span>')
        raise SkipNode

    def block(translator: Any, node: Any) -> None:
        from docutils.nodes import SkipNode

        translator.body.append(f'<div class="math">{html(node.astext(), True, node)}</div>')
        raise SkipNode

    def close(app: Any, error: Exception | None) -> None:
        while renderers:
            renderers.pop().close()

    app.add_html_math_renderer(
        "katex", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    app.connect("build-finished", close)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
