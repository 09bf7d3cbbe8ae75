"""Writes docs/models.md from the families' listings: ``python -m tools.models_page``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from mistralrs_cli.families.registry import listed
from tests.checkpoints import published

PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
FILES = {"image": "--image photo.jpg", "audio": "--audio talk.wav", "video": "--video clip.mp4"}
HEAD = """\
# Models

<!-- Written by `python -m tools.models_page` from the files in mistralrs_cli/families. -->

Vision language models and other multimodal families. Each is tested by `tests/families` on small checkpoints with its
own configuration, processor and tokenizer classes, in the current file layout and the hub's older one; the last table
says which of their files are the published ones. Any other model (LLM or multimodal) that transformers runs natively is
loaded with the generic text or multimodal family: its class determines its modalities. A model that cannot be run is
rejected before its weights are downloaded.

Every modality may occur several times, in any order, in every turn. Running answers are batched, with the same tokens
as without the others in float32, unless a note says otherwise.

| family | `--arch` | `model_type` | input, besides text | example | |
|---|---|---|---|---|---|
"""

TAIL = """
Whisper, Parakeet, Canary and Moonshine write down speech and answer no questions: see [transcribe.md](transcribe.md).

## With more options

Quantized, in one run and as a server; see [quantization.md](quantization.md):

```sh
mistralrs run -m Qwen/Qwen3-VL-4B-Instruct --quant 4 --image photo.jpg -i "Describe this."
mistralrs serve -m Qwen/Qwen3-VL-4B-Instruct --quant 4 -p 1234
mistralrs run -m google/gemma-4-E4B-it --quant 8 --video clip.mp4 -i "What happens here?"
mistralrs serve vision -p 1234 -m microsoft/Phi-4-multimodal-instruct
```

Gemma 3n contains smaller models (MatFormer). The bundled table has the official E2B and others between 1.96 and 3.79
billion effective parameters; without a slice the whole model is loaded:

```sh
mistralrs run -m google/gemma-3n-E4B-it \\
  --matformer-config-path matformer_configs/gemma3n.csv \\
  --matformer-slice-name "Config for E2.49B (block-level)"
```

LLaVA on Vicuna and Mistral Small 3.2 with tools need a chat template that is bundled, found from any folder:

```sh
mistralrs run -m llava-hf/llava-v1.6-vicuna-7b-hf --quant 4 -c ./chat_templates/vicuna.json --image photo.jpg \\
  -i "Describe this."
mistralrs serve -p 1234 --quant 4 --jinja-explicit chat_templates/mistral_small_tool_call.jinja \\
  -m mistralai/Mistral-Small-3.2-24B-Instruct-2506
```

Most weights of a mixture of experts are its experts. `moqe` quantizes only those:

```sh
mistralrs run -m Qwen/Qwen3-VL-235B-A22B-Instruct --isq 4 --isq-organization moqe --image photo.jpg \\
  -i "Describe this."
```
"""


FILES_HEAD = """
## Published files

The tests run tiny random models. The files named here are the published ones, from copies in public repositories, with
every key and only sizes and ids scaled down; other files are as transformers writes them. No published weights were
run.

| model | published files in the tests | |
|---|---|---|
"""


def published_files() -> list[str]:
    """A row for each documented model: which of its files the tests' checkpoint was built from."""
    rows = {}
    for model_type, family in listed().items():
        assert family.listing is not None
        files, note = "none was found", ""
        if model_type in published.PUBLISHED:
            found = import_module(f"{published.__name__}.{model_type}")
            files = ", ".join(f"`{file}`" for file in sorted(found.FILES))
            of = "" if family.listing.example == found.MODEL else f"of `{found.MODEL}`"
            note = "; ".join(words for words in (of, getattr(found, "NOTE", "")) if words)
        if family.listing.example not in rows or model_type in published.PUBLISHED:
            rows[family.listing.example] = f"| `{family.listing.example}` | {files} | {note} |"
    return list(rows.values())


def page() -> str:
    """The page as it should be."""
    rows, commands = [], []
    for model_type, family in listed().items():
        listing = family.listing
        assert listing is not None
        reads = ", ".join(listing.reads)
        rows.append(
            f"| {family.name} | `{listing.architecture}` | `{model_type}` | {reads} | `{listing.example}` | "
            f"{listing.note} |"
        )
        media = " ".join(FILES[kind] for kind in listing.reads)
        commands.append(f'mistralrs run -m {listing.example} {media} -i "Describe this."')
    table = HEAD + "\n".join(rows) + "\n\n## Commands\n\n```sh\n" + "\n".join(dict.fromkeys(commands)) + "\n```\n"
    return table + TAIL + FILES_HEAD + "\n".join(published_files()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
