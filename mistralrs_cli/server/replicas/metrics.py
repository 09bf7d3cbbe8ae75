"""One ``/metrics`` of many: the text of each replica with a label that says whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>.*)$")


def merged(texts: Mapping[str, str]) -> str:
    """Prometheus' text format of several processes as one; each sample is labelled ``replica``.

    What Prometheus wants together stays together: a metric's ``HELP`` and ``TYPE`` once, then all its samples.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for replica, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if line not in head and len(head) < 2:
                    head.append(line)
            elif found := SAMPLE.match(line):
                labels = f'replica="{replica}"' + (f",{found['labels']}" if found["labels"] else "")
                samples.setdefault(family, []).append(f"{found['name']}{{{labels}}} {found['value']}")
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return "".join(f"{line}\n" for line in lines)
