"""Streams long blocks to a terminal in small pieces, each from the top of a cleared screen, with a line after each."""

import sys
import time

from mistralrs_cli.terminal.markdown import MarkdownView

COUNT = 60
BLOCKS = {
    "table": "| n | name | what |\n|---|---|---|\n" + "".join(f"| {n} | name {n} | row-{n} |\n" for n in range(COUNT)),
    "code": "```python\n" + "".join(f"row-{n} = {n}\n" for n in range(COUNT)) + "```\n",
    "list": "".join(f"{n}. row-{n}\n" for n in range(COUNT)),
    "paragraph": " ".join(f"row-{n} {'word ' * 9}" for n in range(COUNT)) + "\n",
}


def feed(text: str) -> None:
    """Stream one text, as tokens come."""
    view = MarkdownView(sys.stdout)
    for start in range(0, len(text), 7):
        view.push(text[start : start + 7])
        time.sleep(0.001)
    view.close()


if __name__ == "__main__":
    for name, block in BLOCKS.items():
        sys.stdout.write("\x1b[H\x1b[2J")
        feed(f"Title of {name}\n\n{block}\nThe end.")
        print(f"after {name}", flush=True)
