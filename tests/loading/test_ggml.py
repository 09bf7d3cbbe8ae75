"""ggml's kernels: right, the same by any cut and batch, tried in another process, chosen where they are faster."""

import ctypes.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import linear

from mistralrs_cli.cli import checkup
from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import OptionError, QuantizationError
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.loading.ggml import library, product
from mistralrs_cli.loading.ggml.block_types import BLOCK_TYPES
from mistralrs_cli.loading.ggml.library import FOLDER, FUNCTIONS, GgmlError, Library, best, library_folder
from mistralrs_cli.loading.ggml.thread_pool import ThreadPool
from mistralrs_cli.loading.quantization import QuantType, fastest, ggml_order, ggml_probe, kernel_pin, kernels
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.ggml_groups import GgmlGroups
from mistralrs_cli.loading.quantization.ggml_order import GgmlBlocks
from mistralrs_cli.loading.quantization.ggml_probe import Verdict
from mistralrs_cli.loading.quantization.group_blocks import to_blocks
from mistralrs_cli.loading.quantization.kernels import KernelChoices
from mistralrs_cli.loading.quantization.layers import QuantizedModule
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import build
from tests.default_dtype import default_dtype

CPU = torch.device("cpu")
KINDS = [QuantType(name) for name in BLOCK_TYPES]


@pytest.fixture(scope="module")
def works() -> Verdict:
    """The extra's library, tried as at a first load."""
    found = ggml_probe.verdict()
    if found is None:
        pytest.skip("the extra is not installed: pip install 'mistralrs[ggml]'")
    if found.failure:
        pytest.skip(f"ggml does not work on this CPU: {found.failure}")
    return found


def weight(kind: QuantType, rows: int, columns: int) -> tuple[GgmlBlocks, dict[str, torch.Tensor], torch.Tensor]:
    """How ggml multiplies random blocks, the blocks, and what they hold."""
    order = ggml_order.ggml_order(kind, rows, columns)
    assert order is not None
    stored = FORMATS[kind].pack(torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)))
    return order, stored, FORMATS[kind].unpack(stored, rows, columns, torch.float32)


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [512, 576])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_multiplies_what_the_blocks_hold(works: Verdict, kind: QuantType, columns: int, dtype: torch.dtype) -> None:
    order, stored, matrix = weight(kind, 96, columns)
    inputs = torch.randn(2, 3, columns, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = order.linear(inputs, stored, 96, columns)
    assert found.dtype == dtype
    assert found.shape == (2, 3, 96)
    assert distance(found, linear(inputs.float(), matrix)) < 0.01, "no more than inputs in 8 bits cost"
    assert torch.allclose(order.multiplier.unpack(stored["blocks"], 2), matrix, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [512, 576])
def test_a_token_is_the_same_to_the_last_bit_alone_in_any_batch_and_by_any_cut(
    works: Verdict, kind: QuantType, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "SHARED", 1)
    order, stored, _ = weight(kind, 100, columns)
    inputs = torch.randn(37, columns, generator=torch.Generator().manual_seed(1))
    multiply = order.multiplier.multiply
    alone = torch.cat([multiply(stored["blocks"], token[None], 1) for token in inputs])
    for threads in (1, 2, 3):
        for tokens in (1, 2, 5, 37):
            found = multiply(stored["blocks"], inputs[:tokens], threads)
            assert torch.equal(found, alone[:tokens]), f"{tokens} tokens, {threads} threads"
    huge = torch.cat([inputs[:3], torch.full((2, columns), 1e30), inputs[5:]])
    assert torch.equal(multiply(stored["blocks"], huge, 2)[:3], alone[:3])


@pytest.mark.parametrize(("kind", "columns"), [(QuantType.Q4_K, 576), (QuantType.INT4, 320)])
def test_narrow_rows_of_four_bits_are_put_into_blocks_of_32(
    works: Verdict, kind: QuantType, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if FORMATS[kind].fastest(64, columns, CPU) is None:
        pytest.skip("torch has no kernel for 4 bits on this CPU")
    monkeypatch.setattr(fastest, "pin", lambda: "ggml")
    stored = FORMATS[kind].pack(torch.randn(64, columns, generator=torch.Generator().manual_seed(0)))
    order = fastest.fastest_order(kind, stored, 64, columns, CPU)
    assert isinstance(order, GgmlGroups)
    assert not order.looks_up(64), "an embedding reads the stored blocks"
    monkeypatch.setattr(fastest, "pin", lambda: None)
    measured: list[type] = []
    monkeypatch.setattr(fastest, "steps", lambda kind, order, *matrix: measured.append(type(order)))
    monkeypatch.setattr(KernelChoices, "fastest", lambda *asked: "ggml")
    assert isinstance(fastest.fastest_order(kind, stored, 64, columns, CPU), GgmlGroups)
    assert measured[1] is GgmlGroups, "what is chosen is what was measured"
    blocks = order.rearrange(stored)
    inputs = torch.randn(31, columns, generator=torch.Generator().manual_seed(1))
    wanted = linear(inputs, FORMATS[kind].unpack(stored, 64, columns, torch.float32))
    found = order.linear(inputs, blocks, 64, columns)
    assert distance(found, wanted) < 0.01
    assert distance(order.unpacked(inputs, blocks["blocks"]), wanted) < 0.001
    assert torch.equal(torch.cat([order.linear(token[None], blocks, 64, columns) for token in inputs]), found)
    monkeypatch.setattr(fastest, "pin", lambda: "ggml")
    wide = fastest.fastest_order(QuantType.Q4_K, FORMATS[QuantType.Q4_K].pack(torch.ones(64, 512)), 64, 512, CPU)
    assert type(wide) is GgmlBlocks, "whole blocks are multiplied as they are stored"


def test_the_direct_way_gives_the_same(works: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "pin", lambda: "ggml")
    order, stored, _ = weight(QuantType.Q8_0, 96, 512)
    direct = order.direct(stored, 96, 512)
    for tokens, dtype in ((1, torch.float32), (40, torch.float32), (2, torch.bfloat16)):
        inputs = torch.randn(tokens, 512, generator=torch.Generator().manual_seed(1)).to(dtype)
        assert torch.equal(direct(inputs), order.linear(inputs, stored, 96, 512))


def test_another_default_dtype_changes_nothing(works: Verdict) -> None:
    """As transformers sets it for the whole process, while another thread loads a model in 16 bits."""
    order, stored, matrix = weight(QuantType.Q8_0, 96, 512)
    inputs = torch.randn(3, 512, generator=torch.Generator().manual_seed(1))
    wanted = order.linear(inputs, stored, 96, 512)
    with default_dtype(torch.bfloat16):
        assert torch.equal(order.linear(inputs, stored, 96, 512), wanted)
        assert order.multiplier.unpack(stored["blocks"], 1).dtype == matrix.dtype


def test_scales_beyond_float16_are_refused() -> None:
    with pytest.raises(QuantizationError, match="too large"):
        to_blocks(torch.zeros(1, 32, dtype=torch.uint8), torch.full((1, 1), 1e5), torch.zeros(1, 1))


def test_two_threads_multiply_at_once(works: Verdict) -> None:
    order, stored, _ = weight(QuantType.Q8_0, 256, 512)
    inputs = [torch.randn(3, 512, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    wanted = [order.linear(given, stored, 256, 512) for given in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda given: order.linear(given, stored, 256, 512), inputs * 20))
    assert all(torch.equal(one, wanted[index % 8]) for index, one in enumerate(found))


def test_a_matrix_that_is_not_whole_blocks_is_left_to_others(works: Verdict) -> None:
    assert ggml_order.ggml_order(QuantType.Q4_K, 30, 576) is None, "four phases"
    assert ggml_order.ggml_order(QuantType.Q8_0, 64, 48) is None
    assert ggml_order.ggml_order(QuantType.INT8, 64, 64) is None


def test_ggmls_own_orders_and_threads_are_never_asked_for() -> None:
    """Its order for AMX is garbage for some types and deadly beside torch; its threads wait in a loop."""
    assert not any("backend" in name or "threadpool" in name for name in FUNCTIONS)


def test_helpers_sleep_while_there_is_nothing_to_do() -> None:
    pool, done = ThreadPool(), []
    pool.run([lambda: done.append(1)] * 6, 3)
    assert len(done) == 6
    (first, *_) = pool.threads
    assert first.ident is not None
    clock = time.pthread_getcpuclockid(first.ident) if hasattr(time, "pthread_getcpuclockid") else None
    if clock is not None:
        begun = time.clock_gettime(clock)
        time.sleep(0.3)
        assert time.clock_gettime(clock) - begun < 0.05


def test_a_helper_that_gets_no_core_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, done = ThreadPool(), []
    monkeypatch.setattr(pool, "grow", lambda helpers: None)
    pool.run([lambda: done.append(1)] * 6, 3)
    assert len(done) == 6


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_an_error_of_a_piece_ends_the_product_when_no_thread_writes_any_more(where: str) -> None:
    pool, owner = ThreadPool(), threading.get_ident()
    taken, running = threading.Event(), threading.Event()
    finished: list[int] = []

    def piece() -> None:
        own = threading.get_ident() == owner
        if own:
            taken.wait(60)
        else:
            taken.set()
            running.wait(0.2 if where == "here" else 0)
            finished.append(1)
        if own == (where == "here"):
            raise GgmlError("a product failed")

    with pytest.raises(GgmlError):
        pool.run([piece] * 4, 2)
    assert finished


def test_a_library_that_kills_its_process_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\necho '{"trying": "q3k"}'\nkill -ILL $$\n""")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert ggml_probe.tried(tmp_path) == Verdict(failure="it ended with SIGILL")


def test_a_type_that_kills_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def child(folder: Path, without: list[str]) -> tuple[list[dict[str, Any]], str]:
        if "q4k" not in without:
            return [{"trying": "q3k"}, {"trying": "q4k"}], "it ended with SIGILL"
        return [{"trying": "q3k"}, {"file": "a", "version": "1", "types": ["q3k"], "together": []}], ""

    monkeypatch.setattr(ggml_probe, "child", child)
    assert ggml_probe.tried(Path()) == Verdict(file="a", version="1", types=["q3k"])


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known of any library."""
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_pin, "pin", kernel_pin.pin.__wrapped__)
    ggml_probe.verdict.cache_clear()
    yield
    ggml_probe.verdict.cache_clear()


def test_a_verdict_is_kept_until_the_library_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unread: None
) -> None:
    tried: list[Path] = []

    def trying(folder: Path) -> Verdict:
        tried.append(folder)
        return Verdict(failure="it ended with SIGILL")

    monkeypatch.setattr(ggml_probe, "tried", trying)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    found = ggml_probe.verdict()
    assert found is not None
    assert "no libraries of ggml" in found.failure
    file = tmp_path / "libggml-cpu.so"
    for content in ("one", "another one"):
        file.write_text(content)
        for _ in range(2):
            ggml_probe.verdict.cache_clear()
            assert ggml_probe.verdict() == Verdict(failure="it ended with SIGILL")
    assert len(tried) == 2
    monkeypatch.setattr(checkup, "Finding", lambda *parts: parts)
    monkeypatch.setattr(kernel_pin, "pin", lambda: None)
    state, text = checkup.kernels()[1:3]  # type: ignore[index]
    assert state == "warn"
    assert "ggml is not used: it ended with SIGILL" in text


def test_a_library_of_another_kind_is_refused(tmp_path: Path) -> None:
    named = ctypes.util.find_library("m")
    if named is None:
        pytest.skip("no other library is found here")
    with pytest.raises(GgmlError, match=r"has no ggml_"):
        Library(Path(named))
    (tmp_path / "libggml-cpu.so").write_text("no library")
    with pytest.raises(GgmlError, match="none of its libraries runs"):
        best(library.cpu_libraries(tmp_path))
    with pytest.raises(GgmlError):
        Library(tmp_path / "libggml-cpu.so")


def test_tensors_of_an_unknown_form_are_refused(works: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Library(Path(works.file))
    monkeypatch.setattr(opened, "get_data", lambda tensor: 1)
    with pytest.raises(GgmlError, match="unknown form"):
        opened.find_data_offset()


def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pinned: str | None, **spent: float) -> Any:
    """What a weight is multiplied from, where each way takes so long."""
    measured = iter([spent[way] for _ in range(fastest.TRIES) for way in ("packed", "ggml")] if spent else [])

    def seconds(run: Callable[[], object]) -> float:
        run()
        return next(measured)

    monkeypatch.setattr(kernels, "seconds", seconds)
    monkeypatch.setattr(fastest, "pin", lambda: pinned)
    found = KernelChoices(tmp_path / "cpu.json")
    monkeypatch.setattr(fastest, "choices", lambda: found)
    stored = FORMATS[QuantType.Q4_K].pack(torch.ones(64, 256))
    return fastest.fastest_order(QuantType.Q4_K, stored, 64, 256, CPU)


def test_it_is_chosen_where_it_is_faster(works: Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = type(FORMATS[QuantType.Q4_K].fastest(64, 256, CPU))
    assert type(chosen(monkeypatch, tmp_path, None, packed=1.0, ggml=1.0)) is own
    assert type(chosen(monkeypatch, tmp_path, None)) is own, "kept"
    (tmp_path / "cpu.json").unlink()
    assert type(chosen(monkeypatch, tmp_path, None, packed=1.0, ggml=0.5)) is GgmlBlocks
    assert type(chosen(monkeypatch, tmp_path, None)) is GgmlBlocks, "kept"
    assert type(chosen(monkeypatch, tmp_path, "packed")) is own
    assert type(chosen(monkeypatch, tmp_path, "unpacked")) is own
    (kept,) = json.loads((tmp_path / "cpu.json").read_text())
    assert works.version in kept, "another version is measured again"


def test_without_it_nothing_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ggml_order, "verdict", lambda: None)
    assert type(chosen(monkeypatch, tmp_path, None)) is type(FORMATS[QuantType.Q4_K].fastest(64, 256, CPU))
    assert not (tmp_path / "cpu.json").exists()


def test_pinning_it_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unread: None) -> None:
    monkeypatch.setenv(kernel_pin.PIN, "ggml")
    monkeypatch.setenv(FOLDER, "off")
    assert library_folder() is None
    with pytest.raises(OptionError, match="not installed"):
        kernel_pin.pin()
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert kernel_pin.pin() == "ggml"
    monkeypatch.setattr(ggml_order, "pin", lambda: "ggml")
    with pytest.raises(OptionError, match="does not work here: no libraries of ggml"):
        ggml_order.ggml_order(QuantType.Q8_0, 64, 64)


@pytest.mark.parametrize("kind", ["q8_0", "q4k"])
def test_batched_equals_alone(kind: str, works: Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fastest, "pin", lambda: "ggml")
    monkeypatch.setattr(kernels, "pin", lambda: "ggml")
    options = ModelOptions(model_id=str(build("llama", tmp_path)), cpu=True, dtype="f32", isq=kind)
    loaded = load(open_checkpoint(options), options)
    orders = [
        quantized.rearranged
        for module in loaded.model.modules()
        if isinstance(module, QuantizedModule)
        for quantized in module.quantized.values()
    ]
    by_ggml = [order for order in orders if isinstance(order, GgmlBlocks)]
    assert len(by_ggml) >= len(orders) - 2, "all but the embedding and the head"
    assert deepcopy(by_ggml[0]) is not None
    sampling = Sampling(temperature=0, max_tokens=12)
    with Engine(loaded) as engine:

        def answer(seed: int) -> str:
            message = Message("user", (Text(f"question {seed} " * (1 + 7 * seed)),))
            return engine.generate([message], sampling).text

        alone = [answer(seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(answer, range(4))) == alone
