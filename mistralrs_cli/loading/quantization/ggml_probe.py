"""Whether a library of ggml works on this CPU: tried in a process of its own, which may die of it.

A library that announces instructions which this CPU or its hypervisor lacks ends the process with a signal; one of
another version may compute with tensors of another form. So everything that will be used is run in another process
first and compared with what the blocks hold. What was found is kept in the cache folder for this library, CPU and
version of PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...folders import cache_folder
from ..ggml.block_types import BLOCK_TYPES, GROUPS
from ..ggml.library import GgmlError, Library, best, cpu_libraries, library_folder

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 2
"""Raised when more is tried than before."""
TIMEOUT = 300  # seconds
TOLERANCE = 0.02  # of a product whose inputs are rounded to 8 bits


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: the library for this CPU with its version, or why there is none.

    ``types`` are those that it multiplies rightly; of these ``together`` are the ones for which several tokens at once
    give each token what it gets alone, to the last bit.
    """

    file: str = ""
    version: str = ""
    failure: str = ""
    types: list[str] = field(default_factory=list)
    together: list[str] = field(default_factory=list)


@cache
def verdict() -> Verdict | None:
    """What is known of the library that is there, trying it if nothing is; ``None`` where there is none."""
    folder = library_folder()
    if folder is None:
        return None
    files = cpu_libraries(folder)
    if not files:
        return Verdict(failure=f"no libraries of ggml in {folder}")
    kept = kept_file(files)
    try:
        return Verdict(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    found = tried(folder)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(found)), encoding="utf-8")
        draft.replace(kept)
    except OSError:  # it is tried again the next time
        pass
    return found


def kept_file(files: list[Path]) -> Path:
    """Where the verdict on libraries is kept."""
    from .kernels import machine

    facts = [VERSION, machine(), [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]]
    return cache_folder() / "kernels" / f"ggml-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"


def tried(folder: Path) -> Verdict:
    """The verdict on the libraries in a folder, by processes that try them, each without the types that killed one."""
    fatal: list[str] = []
    while True:
        said, ended = child(folder, fatal)
        trying = [line["trying"] for line in said if "trying" in line]
        finished = [line for line in said if "types" in line]
        if finished:
            return Verdict(**finished[0])
        if not trying or trying[-1] in fatal:
            failures = [line["failure"] for line in said if "failure" in line]
            return Verdict(failure=failures[0] if failures else ended)
        fatal.append(trying[-1])


def child(folder: Path, without: list[str]) -> tuple[list[dict[str, Any]], str]:
    """What a process that tries a library says, line by line, and how it ended."""
    command = [sys.executable, "-m", __name__, str(folder), *without]
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=environment, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        return [], f"it could not be tried: {error}"
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode < 0:
        return said, f"it ended with {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return said, lines[-1] if lines else f"it ended with {done.returncode}"


def main(folder: str, *without: str) -> None:
    """Try the library in a folder, and say so on standard output."""

    def say(**facts: object) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()

    try:
        library = Library(best(cpu_libraries(Path(folder))))
    except GgmlError as error:
        say(failure=str(error))
        return
    types, together = [], []
    for kind in (*BLOCK_TYPES, GROUPS.name):
        if kind in without:
            continue
        say(trying=kind)
        right, same = try_type(library, kind)
        types += [kind] if right else []
        together += [kind] if right and same else []
    say(file=str(library.file), version=library.named_version, types=types, together=together)


def try_type(library: Library, name: str) -> tuple[bool, bool]:
    """Whether a type is multiplied and unpacked rightly, and several tokens to the last bit as each alone."""
    import torch
    from torch.nn.functional import linear

    from ..ggml.product import TOGETHER, Multiplier

    generator = torch.Generator().manual_seed(0)
    block = BLOCK_TYPES.get(name, GROUPS)
    right = same = True
    for rows, columns in ((96, 512), (64, 320)):
        blocks, matrix = example(name, torch.randn(rows, columns, generator=generator))
        inputs = torch.randn(2 * TOGETHER[0] - 1, columns, generator=generator)
        wanted = linear(inputs, matrix)
        linear(inputs.bfloat16(), matrix.bfloat16())  # torch's use of the CPU's matrix registers must not harm ggml's
        alone = Multiplier(library, block, rows, columns, alone=True)
        each = alone.multiply(blocks, inputs, 1)
        all_ = Multiplier(library, block, rows, columns, alone=False).multiply(blocks, inputs, 1)
        right &= bool((each - wanted).norm() < TOLERANCE * wanted.norm())
        right &= torch.allclose(alone.unpack(blocks, 1), matrix, rtol=1e-5, atol=1e-6)
        same &= torch.equal(each, all_)
    return right, same


def example(name: str, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks of a type, made of ``weights`` [rows, columns], and the matrix float32 [rows, columns] that they hold."""
    from .formats import FORMATS
    from .types import QuantType

    rows, columns = weights.shape
    if name != GROUPS.name:
        how = FORMATS[QuantType(name)]
        stored = how.pack(weights)
        return stored["blocks"], how.unpack(stored, rows, columns, weights.dtype)
    from .group_blocks import to_blocks

    groups = weights.view(rows, -1, GROUPS.size)
    offset = groups.amin(-1, keepdim=True).half().float()
    scale = ((groups.amax(-1, keepdim=True) - offset) / 15).half().float()
    integers = ((groups - offset) / scale).round_().clamp_(0, 15)
    blocks = to_blocks(integers.byte().view(rows, columns), scale.squeeze(-1), offset.squeeze(-1))
    return blocks, (integers * scale + offset).view(rows, columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
