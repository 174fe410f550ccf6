"""`python -m tools.site build|serve`."""

from __future__ import annotations

import argparse
import sys

from tools.site import build


def serve(port: int) -> int:
    """Serve build/site on this computer until Ctrl-C."""
    if not (build.SITE / "index.html").is_file():
        print("error: there is no site yet: make site", file=sys.stderr)
        return 1
    demo = build.browser_demo()
    try:
        with demo.server(build.SITE, port) as running:
            address = f"http://127.0.0.1:{running.server_port}/"
            print(f"open {address} in a browser; Ctrl-C ends it", flush=True)
            running.serve_forever()
    except demo.Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.site")
    parser.add_argument("what", choices=("build", "serve"))
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    return serve(options.port) if options.what == "serve" else build.build()


if __name__ == "__main__":
    sys.exit(main())
