"""How much memory does loading take, at most, while it quantizes, and how much time of a CPU?

A random checkpoint at real size tells.
The checkpoint has the text decoder's shape of a 2-billion-parameter model, in bfloat16 shards, and is written to a
temporary folder that is removed afterwards. It is loaded in a process of its own, whose private memory is read from
/proc every few milliseconds. Pages of the files themselves, which the system takes back when it needs them, are told
apart: they are mapped, not held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SHAPE: dict[str, Any] = {
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 34,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}
LOADER = """
import json, sys, time
from benchmarks.load_memory import Watch
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
ensure_importable()
from mistralrs_cli.loading.quantization.apply import weight_bytes
from mistralrs_cli.options import ModelOptions
from transformers import LlamaForCausalLM  # what is imported later would count
options = ModelOptions(model_id=sys.argv[1], isq=sys.argv[2], dtype=sys.argv[3], cpu=True, threads=int(sys.argv[4]))
start, used = time.perf_counter(), time.process_time()
with Watch() as watch:
    loaded = load(open_checkpoint(options), options)
times = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used}
print(json.dumps({**watch.result(), **times, "model": weight_bytes(loaded.model), "note": loaded.notes[0]}))
"""


class Watch:
    """The most private memory a process held, and the most with mapped pages, in bytes above what it began with."""

    def __init__(self) -> None:
        self.begin = memory()
        self.most = dict(self.begin)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self) -> None:
        """Read the numbers until it is over."""
        while not self.over.wait(0.005):
            for key, value in memory().items():
                self.most[key] = max(self.most[key], value)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def result(self) -> dict[str, int]:
        """``private`` and ``resident`` bytes."""
        return {
            "private": self.most["RssAnon"] - self.begin["RssAnon"],
            "resident": self.most["VmRSS"] - self.begin["VmRSS"],
        }


def memory() -> dict[str, int]:
    """Private and resident memory of this process in bytes, as Linux counts them."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {key: int(fields[key].split()[0]) * 1024 for key in ("RssAnon", "VmRSS")}


def write_checkpoint(folder: Path, layers: int, shard: int) -> tuple[int, int]:
    """A random checkpoint in shards of at most ``shard`` bytes: its size, and its largest shard's."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models

    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    config = LlamaConfig(**{**SHAPE, "num_hidden_layers": layers}, dtype="bfloat16")
    config.architectures = ["LlamaForCausalLM"]
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    shards: list[dict[str, torch.Size]] = [{}]
    size = total = 0
    for name, parameter in model.named_parameters():
        weight = 2 * parameter.numel()
        if size + weight > shard and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = parameter.shape
        size, total = size + weight, total + weight
    random: dict[torch.Size, torch.Tensor] = {}
    places = {}
    for number, shapes in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        random |= {shape: (torch.randn(shape) * 0.02).bfloat16() for shape in shapes.values() if shape not in random}
        tensors = {name: random[shape].clone() for name, shape in shapes.items()}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(tensors, file))
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    config.save_pretrained(folder)
    tokens = Tokenizer(models.WordLevel({"a": 0, "</s>": 1}, unk_token="a"))
    PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="</s>").save_pretrained(folder)
    return total, max(file.stat().st_size for file in folder.glob("*.safetensors"))


def measure(folder: Path, bits: str, dtype: str, threads: int) -> dict[str, float]:
    """Load a checkpoint in a process of its own and tell what that took."""
    words = [sys.executable, "-c", LOADER, str(folder), bits, dtype, str(threads)]
    result: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", nargs="+", default=["4"])
    parser.add_argument("--layers", type=int, default=SHAPE["num_hidden_layers"])
    parser.add_argument("--shard", type=float, default=0.7, help="largest shard in GiB")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        total, shard = write_checkpoint(folder, chosen.layers, int(chosen.shard * 2**30))
        print(
            f"{total / 2e9:.2f} B parameters, {total / 2**30:.2f} GiB in bfloat16, "
            f"largest shard {shard / 2**30:.2f} GiB"
        )
        print("type  model   private peak  limit   mapped too  seconds  of CPU")
        for bits in chosen.bits:
            found = measure(folder, bits, chosen.dtype, chosen.threads)
            limit = 1.5 * shard + found["model"]
            columns = (found["model"], found["private"], limit, found["resident"])
            model, private, most, resident = (value / 2**30 for value in columns)
            print(
                f"{bits:>4}  {model:.2f} GiB  {private:.2f} GiB       {most:.2f} GiB {resident:.2f} GiB     "
                f"{found['seconds']:.0f}  {found['cpu']:.0f}  {found['note']}",
                flush=True,
            )
            time.sleep(1)


if __name__ == "__main__":
    main()
