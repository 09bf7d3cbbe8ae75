"""Writes docs/models.md from what the families say of themselves: ``python -m tools.models_page``."""

from __future__ import annotations

from pathlib import Path

from mistralrs_cli.families.registry import listed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
FILES = {"image": "--image photo.jpg", "audio": "--audio talk.wav", "video": "--video clip.mp4"}
WORDS = {"image": "pictures", "audio": "sounds", "video": "clips"}
HEAD = """\
# Models

<!-- Written by `python -m tools.models_page` from the files in mistralrs_cli/families. -->

These families read more than text. Each is proven on small checkpoints with its own configuration, processor and
tokenizer classes, in today's file layout and the hub's older one, by `tests/families`. Any other model that
transformers runs natively is tried as a generic text or vision model, by its `config.json`.

All media of a kind may come several times, in any order, in every turn. Running answers decode together, with the same
tokens as alone in 32-bit precision, unless a note says otherwise.

| family | `--arch` | `model_type` | reads, beside text | example | |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    rows, commands = [], []
    for model_type, family in listed().items():
        listing = family.listing
        assert listing is not None
        reads = ", ".join(WORDS[kind] for kind in listing.reads)
        rows.append(
            f"| {family.name} | `{listing.architecture}` | `{model_type}` | {reads} | `{listing.example}` | "
            f"{listing.note} |"
        )
        media = " ".join(FILES[kind] for kind in listing.reads)
        commands.append(f'mistralrs run -m {listing.example} {media} -i "Describe this."')
    return HEAD + "\n".join(rows) + "\n\n## Try one\n\n```sh\n" + "\n".join(dict.fromkeys(commands)) + "\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
