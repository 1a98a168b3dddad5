"""Run the shell and Python blocks of the pages as they stand: ``python docs/run_blocks.py [PAGE ...]``.

A block is left out where a line ``<!-- not run: REASON -->`` stands above it. The blocks of a page are run one after
the other in one folder of their own; ``EXAMPLES`` in them stands for ``docs/examples``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(?:^<!-- not run: (?P<why>.+) -->\n)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$", re.M | re.S)


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """Yield language, text and the reason not to run it, "" where it is run."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found["kind"], found["text"].replace("EXAMPLES", str(DOCS / "examples")), found["why"] or ""


def run(page: Path, folder: str) -> int:
    """Run the blocks of one page in a folder; return how many failed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    failed = 0
    for kind, text, why in blocks(page):
        if why:
            continue
        start = time.monotonic()
        command = ["bash", "-euo", "pipefail", "-c", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        print(f"{page.relative_to(DOCS.parent)}: {time.monotonic() - start:.1f} s, {text.splitlines()[0]}")
        if done.returncode:
            failed += 1
            print(text, done.stdout, done.stderr, sep="\n")
    return failed


def main() -> None:
    """Run every page that is named, or all."""
    pages = [Path(name).resolve() for name in sys.argv[1:]] or sorted(DOCS.rglob("*.md"))
    failed = 0
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            failed += run(page, folder)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
