"""What every worker does: load, then time prompts and answers, and print a JSON line for each figure.

Workers are scripts that run in the environment of the engine they measure, which has nothing of this project's; the
one argument is a JSON object. An engine is two functions: ``ask`` answers one prompt with so many tokens, ``together``
answers several at once. Both get indices of prompts.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

BEGUN = time.perf_counter()
SPEC = json.loads(sys.argv[1])
OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever a library prints goes to the log


def say(name, value):
    OUT.write(json.dumps({"name": name, "value": value}) + "\n")
    OUT.flush()


def seconds(run, *given):
    begun = time.perf_counter()
    run(*given)
    return time.perf_counter() - begun


def peak_memory():
    """GiB of this program; getrusage would count the parent that it was forked from."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(ask, together):
    """Print load time, first token, decode rate, throughput of several requests, and peak memory."""
    say("load", time.perf_counter() - BEGUN)
    tokens, long, short = SPEC["tokens"], SPEC["long"], SPEC["short"]
    ask(short[0], 4)
    ask(long[0], 1)  # where kernels are chosen by measuring, this is where
    say("first", seconds(ask, long[1], 1))
    alone = min(seconds(ask, short[1], 1), seconds(ask, short[3], 1))
    say("decode", tokens / (seconds(ask, short[2], tokens + 1) - alone))
    if together is not None:
        try:
            say("together", len(SPEC["several"]) * tokens / seconds(together, SPEC["several"], tokens))
        except Exception as error:  # mistral.rs takes no second request from Python while it answers one
            say("note", f"several requests at once: {type(error).__name__}: {error}")
    say("memory", peak_memory())
    OUT.flush()
    os._exit(0)
