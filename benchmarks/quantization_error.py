"""How far do a model's logits move when its weights have fewer bits?

Every type is compared with float32 on the same prompts, teacher-forced: the model reads its own float32 answer, so that
no comparison depends on a token drawn earlier. The error is the norm of the difference of all logits of the answers,
over the norm of the float32 logits around their mean; agreement is how often the likeliest token is the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.options import DEMO_MODEL, MediaPolicy, ModelOptions

MEDIA = Path(__file__).parent.parent / "examples" / "media"
QUESTIONS = (
    ("shapes.png", "What is in this picture?"),
    ("red_circle.png", "What is in this picture?"),
    ("chart.png", "Which bar is the tallest?"),
    ("sign.png", "What does the sign say?"),
    (None, "Hello!"),
    (None, "What can you do?"),
)
TYPES = ("int8", "int6", "int5", "int4", "nf4", "fp4", "int3", "int2")


def prompts(loaded: Any) -> list[dict[str, Any]]:
    """The questions as tensors, each with the float32 model's own answer after it; ``answer`` is its length."""
    import torch

    from mistralrs_cli.media import decode
    from mistralrs_cli.media.sources import fetch
    from mistralrs_cli.messages import MediaRef, Message, Text

    found = []
    for file, question in QUESTIONS:
        media = []
        if file is not None and "image" in loaded.family.modalities:
            media = [decode(fetch(MediaRef("image", str(MEDIA / file)), MediaPolicy()), MediaPolicy())]
        inputs = loaded.family.prepare(loaded.processor, (Message("user", (*media, Text(question))),)).inputs
        with torch.no_grad():
            whole = loaded.model.generate(**inputs, max_new_tokens=24, do_sample=False)
        length = inputs["input_ids"].shape[1]
        added = whole.shape[1] - length
        for name, tensor in inputs.items():
            if name == "input_ids":
                inputs[name] = whole
            elif torch.is_tensor(tensor) and tensor.dim() == 2 and tensor.shape[1] == length:
                fill = 1 if name == "attention_mask" else 0
                inputs[name] = torch.nn.functional.pad(tensor, (0, added), value=fill)
        found.append({"inputs": inputs, "answer": added})
    return found


def answers(model: Any, prompts: Sequence[dict[str, Any]]) -> Any:
    """The logits of every answer's tokens, one below the other."""
    import torch

    with torch.no_grad():
        return torch.cat(
            [model(**prompt["inputs"]).logits[0, -prompt["answer"] - 1 : -1].float() for prompt in prompts]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default=DEMO_MODEL)
    parser.add_argument("--types", nargs="+", default=list(TYPES))
    chosen = parser.parse_args()
    ensure_importable()
    import transformers

    from mistralrs_cli.loading import load, open_checkpoint
    from mistralrs_cli.loading.quantization.apply import finalize, weight_bytes
    from mistralrs_cli.loading.quantization.loader import Quantization
    from mistralrs_cli.loading.quantization.plan import Pin
    from mistralrs_cli.loading.quantization.types import QuantType

    options = ModelOptions(model_id=chosen.model, dtype="f32", cpu=True)
    checkpoint = open_checkpoint(options)
    full = load(checkpoint, options)
    repository_files = prompts(full)
    wanted = answers(full.model, repository_files)
    spread = (wanted - wanted.mean(-1, keepdim=True)).norm()
    print(f"{chosen.model}: {len(wanted)} tokens, {weight_bytes(full.model) / 2**20:.1f} MiB of weights in float32")
    print("type  MiB    error    agreement  head kept: error  agreement")
    for kind in chosen.types:
        columns = []
        for pins in ((), (Pin(None, pattern="lm_head"),)):
            model = getattr(transformers, checkpoint.family.automodel).from_pretrained(
                checkpoint.folder,
                dtype="float32",
                device_map={"": "cpu"},
                quantization_config=Quantization(QuantType(kind), pins=pins),
            )
            size = weight_bytes(model)
            finalize(model)
            found = answers(model.eval(), repository_files)
            error = float((found - wanted).norm() / spread)
            columns.append((size, error, float((found.argmax(-1) == wanted.argmax(-1)).float().mean())))
        (size, error, same), (_, error_kept, same_kept) = columns
        print(
            f"{kind:5} {size / 2**20:5.1f}  {error:7.4f}  {same:6.1%}     {error_kept:7.4f}           {same_kept:6.1%}"
        )


if __name__ == "__main__":
    main()
