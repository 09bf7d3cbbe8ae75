"""Decoding on a CUDA GPU, captured as CUDA graphs and eagerly, as shares of what the memory's bandwidth allows.

    python -m benchmarks.gpu                 # on the GPU machine: all of it, eight minutes at most
    python -m benchmarks.gpu --dry-run       # a tiny shape on whatever there is, to try this script
    python -m benchmarks.gpu --prepare DIR   # before, where there is a network: wheels for a GPU machine without one

A random model of Qwen3-VL-4B's text shape is written to the temporary folder. Each setting (bf16 and 4 bits, captured
and eager) is a process of its own; so are the families' contract tests, with their checkpoints on the GPU in float32.
Every step prints one line of JSON when it ends, and one that fails or hangs costs only itself.

A share is the bytes of weights and of the KV cache that a step reads, times steps a second, by the measured bandwidth
of a copy. The goal is 70 % at one row, and ten times one row's rate at 32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIMIT = 470.0  # seconds for everything; a dry run may take longer
ROWS = (1, 8, 32)
SETTINGS = {
    "bf16 captured": ("", "1"),
    "bf16 eager": ("", "0"),
    "4 bits captured": ("4", "1"),
    "4 bits eager": ("4", "0"),
}
LARGE: dict[str, Any] = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
}
LARGE |= {"num_key_value_heads": 8, "head_dim": 128}
SMALL: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "head_dim": 64}
PLUGIN = '''"""Every checkpoint of the tests on the GPU, in float32 without TF32."""

import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    import torch

    from mistralrs_cli.loading import load, open_checkpoint
    from mistralrs_cli.options import ModelOptions

    torch.backends.cudnn.allow_tf32 = False

    def opened(folder):
        options = ModelOptions(model_id=str(folder), dtype="f32", cpu={cpu})
        return load(open_checkpoint(options), options)

    sys.modules["tests.checkpoints.fixtures"].opened = opened
'''
TESTS = ("tests/families/test_contract.py", "tests/engine/test_static_cache.py", "tests/engine/test_batch.py")


def report(step: str, **found: Any) -> dict[str, Any]:
    """Print a step's line."""
    row = {"step": step, **found}
    print(json.dumps(row), flush=True)
    return row


def build(folder: Path, *, dry: bool) -> None:
    """Write the random model, on the GPU where there is one."""
    import torch

    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    import transformers

    from tests.checkpoints.tokens import template, tokenizer

    tokens = tokenizer()
    tokens.chat_template = template()
    shape = SMALL if dry else LARGE
    size = 2048 if dry else 151_936
    config = transformers.Qwen3Config(
        vocab_size=size,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        bos_token_id=2,
        eos_token_id=1,
        **shape,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() and not dry else "cpu"):
        model = transformers.Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)


def bandwidth(device: str) -> float:
    """Bytes a second that a device reads and writes in a copy."""
    import torch

    size = 1 << 31 if device == "cuda" else 1 << 26
    one = torch.zeros(size, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    seconds = []
    for _ in range(8):
        begin = time.perf_counter()
        other.copy_(one)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return 2 * size / min(seconds)


def weight_bytes(model: Any) -> int:
    """Bytes of weights that a step reads: all but a table of embeddings that is not the head, too."""
    head = model.get_output_embeddings()
    shared = {tensor.data_ptr() for tensor in (*head.parameters(), *head.buffers())}
    found = {}
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if "embed_tokens" not in name or tensor.data_ptr() in shared:
            found[tensor.data_ptr()] = tensor.nbytes
    return sum(found.values())


def measure(folder: Path, setting: str, *, dry: bool) -> None:
    """The decode rates of one setting, in this process; prints its line."""
    import torch

    quant, captured = SETTINGS[setting]
    os.environ["MISTRALRS_STATIC_CACHE"] = captured
    from mistralrs_cli.engine import Engine
    from mistralrs_cli.loading import load, open_checkpoint
    from mistralrs_cli.loading.memory import token_cache_size
    from mistralrs_cli.options import ModelOptions

    cuda = torch.cuda.is_available() and not dry
    options = ModelOptions(model_id=str(folder), dtype="bf16", isq=quant or None, cpu=not cuda)
    begin = time.perf_counter()
    loaded = load(open_checkpoint(options), options)
    load_s = time.perf_counter() - begin
    copied = bandwidth("cuda" if cuda else "cpu")
    weights = weight_bytes(loaded.model)
    each = token_cache_size(loaded.family.text_config, 2)
    found: dict[str, Any] = {"load_s": round(load_s, 1), "copy_gb_s": round(copied / 1e9)}
    with Engine(loaded, max_rows=max(ROWS)) as engine:
        rates: dict[int, float] = {}
        for rows in ROWS:
            steps = decode_steps(engine, rows, *((24, rows + 8) if dry else (240, 128)))
            rates[rows] = rows / steps
            read = weights + rows * each * 300  # the prompt and half of the answer
            found[f"{rows} rows"] = {
                "tok_s": round(rates[rows], 1),
                "ms_a_step": round(steps * 1000, 2),
                "share_of_bandwidth": round(read / steps / copied, 3),
            }
        found["times_one_row"] = round(rates[max(ROWS)] / rates[1], 2)
        found["notes"] = [note for note in engine.info.notes if "CUDA" in note]
    if cuda:
        found["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        found["gpu"] = torch.cuda.get_device_name(0)
    report(setting, **found, torch=torch.__version__)


def decode_steps(engine: Any, rows: int, length: int, tokens: int) -> float:
    """The median seconds of a step of ``rows`` answers of ``tokens`` tokens to prompts of ``length``."""
    from concurrent.futures import ThreadPoolExecutor

    from mistralrs_cli.engine.group import DecodeGroup
    from mistralrs_cli.options import Sampling

    own, ended = DecodeGroup.step, []

    def noted(group: DecodeGroup) -> None:
        before = len(group.answers)
        own(group)
        ended.append((time.perf_counter(), before, len(group.answers)))

    def one(index: int) -> None:
        prompt = [3 + (index + place) % 250 for place in range(length)]
        with engine.continue_text(prompt, Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)) as events:
            for _ in events:
                pass

    def run() -> None:
        ended.clear()
        with ThreadPoolExecutor(rows) as pool:
            list(pool.map(one, range(rows)))

    DecodeGroup.step = noted  # type: ignore[assignment, method-assign]
    try:
        run()  # the first time steps are captured
        run()
    finally:
        DecodeGroup.step = own  # type: ignore[method-assign]
    whole = [later[0] - earlier[0] for earlier, later in pairwise(ended) if earlier[2] == later[1] == later[2] == rows]
    return median(whole)


def contract(scratch: Path, seconds: float, *, dry: bool) -> None:
    """The families' contract tests and those of batches, on the GPU; prints their line."""
    (scratch / "on_device.py").write_text(PLUGIN.replace("{cpu}", str(dry)))
    paths = os.pathsep.join(filter(None, [str(scratch), os.environ.get("PYTHONPATH", "")]))
    command = [
        sys.executable,
        "-m",
        "pytest",
        *TESTS,
        "-q",
        "-p",
        "on_device",
        "-p",
        "no:cacheprovider",
        "--tb",
        "line",
    ]
    command += ["-k", "fixed_shapes and llava_next or captured"] if dry else ["-n", "8", "--dist", "loadfile"]
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        code, said = str(done.returncode), done.stdout
    except subprocess.TimeoutExpired as error:
        code, said = "cut at its limit", (error.stdout or b"").decode(errors="replace")
    failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    tail = said.strip().splitlines()[-1:] or [""]
    report("contract", exit=code, last=tail[0], failed=failed[:40], s=round(time.perf_counter() - begin, 1))


def prepare(target: Path) -> None:
    """Download the wheels of what the project needs but PyTorch, as they are here, for CPython 3.12 on x86-64."""
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(target), "--python-version", "3.12"]
    for platform in ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"):
        command += ["--platform", platform]
    project = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in (*project["dependencies"], "pytest", "pytest-xdist", "pytest-timeout")]
    subprocess.run([*command, *needed(wanted)], check=True)
    print(f"On the GPU machine, in the project: pip install --no-index --no-deps {target}/*.whl")


def needed(requirements: Iterable[Requirement]) -> list[str]:
    """All distributions that those need, with the versions installed here; PyTorch is the GPU machine's own."""
    found: dict[str, str] = {}
    waiting = [each for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name in found or name in ("torch", "torchvision"):
            continue
        installed = distribution(name)
        found[name] = f"{name}=={installed.version}"
        more = [Requirement(line) for line in installed.requires or ()]
        waiting += [each for each in more if each.marker is None or each.marker.evaluate({"extra": ""})]
    return sorted(found.values())


def main() -> None:
    """All steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dry-run", action="store_true", help="a tiny shape, on the CPU")
    parser.add_argument("--prepare", type=Path, metavar="DIR")
    parser.add_argument("--one", choices=SETTINGS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare(given.prepare)
        return
    if given.one:
        measure(given.folder, given.one, dry=given.dry_run)
        return
    begin, limit = time.perf_counter(), 3600.0 if given.dry_run else LIMIT
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        build(folder, dry=given.dry_run)
        report("model", s=round(time.perf_counter() - begin, 1))
        for setting in SETTINGS:
            command = [sys.executable, "-m", "benchmarks.gpu", "--one", setting, "--folder", str(folder)]
            left = max(limit - (time.perf_counter() - begin), 5.0)
            try:
                done = subprocess.run(
                    [*command, *["--dry-run"] * given.dry_run],
                    timeout=left if given.dry_run else min(left, 110.0),
                    check=False,
                )
                if done.returncode:
                    report(setting, exit=done.returncode)
            except subprocess.TimeoutExpired:
                report(setting, exit="cut at its limit")
        contract(Path(scratch), max(limit - (time.perf_counter() - begin), 5.0), dry=given.dry_run)


if __name__ == "__main__":
    main()
