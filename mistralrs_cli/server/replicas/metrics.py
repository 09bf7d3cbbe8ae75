"""One ``/metrics`` of many: the text of each replica with a label that says whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>.*)$")


OF_FRONT = ("mistralrs_requests", "mistralrs_key_", "mistralrs_batch_lines")
"""What the front counts for the whole, by the beginnings of names; it also has a process of its own."""
PROCESS = "process_"


class FrontMetrics:
    """What the front counts of replicas, and the page of all."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._replicas = Gauge("mistralrs_replicas", "Number of replicas that gave their metrics.", registry=registry)
        about = "Count of requests that were sent to another replica after one could not answer, by why."
        self.rerouted = Counter("mistralrs_rerouted_requests", about, ["reason"], registry=registry)
        about = "Count of streams that ended with an error because their replica was lost."
        self.interrupted = Counter("mistralrs_interrupted_streams", about, registry=registry)

    def text(self, replicas: Mapping[str, str], front: str) -> str:
        """One page from those of the replicas, by their names, and that of the front's service."""
        self._replicas.set(len(replicas))
        return generate_latest(self._registry).decode() + merged(replicas, front)


def merged(texts: Mapping[str, str], front: str = "") -> str:
    """Prometheus' text format of several processes as one; each sample is labelled ``replica``.

    What Prometheus wants together stays together: a metric's ``HELP`` and ``TYPE`` once, then all its samples. What
    the ``front`` counts is taken from there, and without that label.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for replica, text in ((None, front), *texts.items()):
        family = ""
        for line in text.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
            of_front = family.startswith((*OF_FRONT, PROCESS) if replica is None else OF_FRONT)
            if of_front != (replica is None):
                continue
            if line.startswith("# "):
                head = heads.setdefault(family, [])
                if line not in head and len(head) < 2:
                    head.append(line)
            elif found := SAMPLE.match(line):
                name = "front" if replica is None and family.startswith(PROCESS) else replica
                labels = ",".join(filter(None, (f'replica="{name}"' if name else "", found["labels"] or "")))
                sample = f"{found['name']}{{{labels}}}" if labels else found["name"]
                samples.setdefault(family, []).append(f"{sample} {found['value']}")
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return "".join(f"{line}\n" for line in lines)
