"""Tokens per second of N requests at once, each with its own picture: `mistralrs serve` beside `transformers serve`.

    python -m benchmarks.serving [--requests 1 2 4 8 16] [--tokens 32] [--threads 1] [--hidden 768] [--layers 12]

Both serve the same random Qwen3-VL in float32 on the CPU, started with their defaults, and are asked in turns: no
picture comes twice, so that nothing can be reused. The other one may need `pip install "transformers[serving]"`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import transformers
from PIL import Image

from mistralrs_cli.loading.torchvision import ensure_importable
from tests.checkpoints.builders import randomized
from tests.checkpoints.builders.qwen3_vl import QWEN, qwen_ids, qwen_processor, qwen_text, qwen_vision
from tests.checkpoints.tokens import tokenizer

PATCHES = 8  # a picture of 8 x 8 patches of 32 pixels becomes 64 tokens

# The other server, also next to a torchvision of another build of torch, where its own decoder of pictures is missing.
THEIRS = """
from mistralrs_cli.loading.torchvision import ensure_importable
ensure_importable()
from transformers import image_utils
from transformers.cli.transformers import main
try:
    from torchvision.io import image
    image._assert_has_image_ops()
except RuntimeError:
    import io, numpy, torch
    from PIL import Image
    def load(source, *rest, **more):
        if isinstance(source, str) and source.startswith("data:"):
            import base64
            source = base64.b64decode(source.partition(",")[2])
        picture = Image.open(io.BytesIO(source)).convert("RGB")
        return torch.from_numpy(numpy.asarray(picture).copy()).permute(2, 0, 1)
    image_utils.load_image_as_tensor = load
    from transformers import image_processing_backends
    image_processing_backends.load_image_as_tensor = load
main()
"""


def build(folder: Path, hidden: int, layers: int) -> None:
    """A random Qwen3-VL whose tower is as wide as its decoder, and a third as deep."""
    tokens = tokenizer(QWEN)
    heads = hidden // 64
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12], "mrope_interleaved": True, "rope_theta": 10000.0}
    shape = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "head_dim": 64, "num_hidden_layers": layers}
    text = qwen_text(tokens, **shape, num_attention_heads=heads, num_key_value_heads=4, rope_parameters=rope)
    tower = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_heads": heads, "depth": layers // 3}
    vision = qwen_vision(**tower, out_hidden_size=hidden, deepstack_visual_indexes=[0], num_position_embeddings=256)
    config = transformers.Qwen3VLConfig(**qwen_ids(tokens), text_config=text, vision_config=vision)
    model = randomized(transformers.Qwen3VLForConditionalGeneration(config))
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    processor = qwen_processor(tokens)
    processor.image_processor.size = {"shortest_edge": 32 * 32, "longest_edge": (32 * PATCHES) ** 2}
    processor.save_pretrained(folder)


def picture(dice: random.Random) -> str:
    """A picture nobody has seen, as a data: URL."""
    packed = io.BytesIO()
    side = 32 * PATCHES
    Image.frombytes("RGB", (8, 8), dice.randbytes(192)).resize((side, side)).save(packed, "PNG")
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()


@contextmanager
def server(command: list[str], threads: int, sign: str) -> Iterator[str]:
    """A server of its own process on a free port: its URL, once it answers at the path ``sign``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([*command, "--port", str(port)], env=os.environ | shared, stdout=sys.stderr)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(url + sign, timeout=5).status_code == 200:
                    break
            time.sleep(0.5)
        else:
            raise RuntimeError(f"{command} did not start")
        yield url
    finally:
        process.terminate()
        process.wait(30)


async def at_once(url: str, model: str, pictures: list[str], tokens: int) -> float:
    """Tokens per second of all answers together."""
    async with httpx.AsyncClient(base_url=url, timeout=1200) as client:

        async def ask(number: int, source: str) -> int:
            parts: list[dict[str, Any]] = [
                {"type": "image_url", "image_url": {"url": source}},
                {"type": "text", "text": f"Request {number}. " + "Some words. " * (number % 5 + 1)},
            ]
            body = {"model": model, "messages": [{"role": "user", "content": parts}], "max_tokens": tokens}
            response = await client.post("/v1/chat/completions", json=body | {"temperature": 0, "stream": False})
            assert response.status_code == 200, response.text
            made: int = response.json()["usage"]["completion_tokens"]
            return made

        begin = time.perf_counter()
        made = await asyncio.gather(*(ask(number, source) for number, source in enumerate(pictures)))
        return sum(made) / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print one row for each number of requests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ensure_importable()
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), given.hidden, given.layers)
        size = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors")) / 4e6
        ours = [sys.executable, "-m", "mistralrs_cli", "serve", "-m", folder, "--served-model-name", folder]
        ours += ["--dtype", "f32", "--cpu", "--threads", str(given.threads)]
        theirs = [sys.executable, "-c", THEIRS, "serve", folder, "--dtype", "float32", "--device", "cpu"]
        print(
            f"{size:.0f} M parameters, float32, {given.threads} thread(s), a picture of {PATCHES**2} tokens and "
            f"{given.tokens} answer tokens a request,\n"
            f"medians of {given.rounds}, transformers {transformers.__version__}"
        )
        print(f"{'requests':>8} {'transformers serve':>20} {'mistralrs serve':>20} {'ratio':>6}", flush=True)
        with server(theirs, given.threads, "/health") as slow, server(ours, given.threads, "/ready") as fast:
            for url in (slow, fast):  # the first request loads what is loaded late
                asyncio.run(at_once(url, folder, [picture(dice)], 4))
            for count in given.requests:
                rates: list[tuple[float, float]] = []
                for _ in range(given.rounds):
                    pictures = [picture(dice) for _ in range(count)]
                    pair = [asyncio.run(at_once(url, folder, pictures, given.tokens)) for url in (slow, fast)]
                    rates.append((pair[0], pair[1]))
                one, other = (median(side) for side in zip(*rates, strict=True))
                ratio = median(mine / their for their, mine in rates)
                print(f"{count:>8} {one:>14.1f} tok/s {other:>14.1f} tok/s {ratio:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
