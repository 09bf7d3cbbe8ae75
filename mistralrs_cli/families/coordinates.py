"""How each family writes places in an image: the numbers of its boxes and points, as its makers publish them.

Of families that are not here no statement of their makers was found (it was looked for with Llama, Mistral 3, Phi,
Idefics and SmolVLM), or none that settles it (LLaVA's issues 606 and 822: fractions, of a padded square or not). What
their answers hold is not guessed at, unless the form itself says its scale (``mistralrs_cli.grounding.tags``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..decoded import DecodedAudio, DecodedVideo
from ..events import MediaReport
from ..grounding import ImageCoordinates
from ..messages import DecodedMedia, Message


@dataclass(frozen=True, slots=True)
class Coordinates:
    """``scale`` is what the model calls the right and the lower edge of an image; ``None``: it counts the pixels of
    the image that its processor made. ``y_first``: y comes before x. ``lists``: a box may be a list without a name.
    ``source`` is where that is published."""

    scale: float | None
    source: str
    y_first: bool = False
    lists: bool = False


THOUSANDTHS = 1000.0
_QWEN2 = Coordinates(THOUSANDTHS, "arXiv 2409.12191, section 2.2; github.com/QwenLM/Qwen3-VL/issues/866")
_QWEN25 = Coordinates(None, "arXiv 2502.13923; github.com/QwenLM/Qwen3-VL/issues/721: pixels of the resized image")
_QWEN3 = Coordinates(THOUSANDTHS, "README of github.com/QwenLM/Qwen3-VL; its issues 1427 and 1741")
_QWEN35 = Coordinates(THOUSANDTHS, "github.com/QwenLM/Qwen3.8-Flash-Next/issues/4")
_GEMMA3 = Coordinates(
    THOUSANDTHS, "huggingface.co/google/gemma-3-4b-it/discussions/38: as Gemini, [y, x, y, x]", y_first=True
)
_GEMMA4 = Coordinates(
    THOUSANDTHS, "huggingface.co/blog/gemma4: box_2d [y, x, y, x] on a grid of 1000 × 1000", y_first=True
)
_MINICPM = Coordinates(THOUSANDTHS, "github.com/OpenBMB/MiniCPM-V/issues/772 and 982")
_GLM = Coordinates(THOUSANDTHS, "skill glmv-grounding of github.com/zai-org/glm-skills", lists=True)

COORDINATES: Mapping[str, Coordinates] = {
    "deepseek_ocr2": Coordinates(999.0, "github.com/deepseek-ai/DeepSeek-VL2/issues/100: the same tags"),
    "gemma3": _GEMMA3,
    "gemma3n": _GEMMA3,
    "gemma4": _GEMMA4,
    "gemma4_unified": _GEMMA4,
    "glm46v": _GLM,
    "glm4v": _GLM,
    "glm4v_moe": _GLM,
    "internvl": Coordinates(
        THOUSANDTHS, "internvl.readthedocs.io/en/latest/get_started/chat_data_format.html", lists=True
    ),
    "kimi_vl": Coordinates(1.0, "github.com/MoonshotAI/Kimi-VL/issues/52 and 56"),
    "lfm2_vl": Coordinates(1.0, "model card of LiquidAI/LFM2.5-VL-450M: bbox [x1, y1, x2, y2] within 0..1"),
    "minicpmo": _MINICPM,
    "minicpmv4_6": _MINICPM,
    "minicpmv4_7": _MINICPM,
    "molmo": Coordinates(100.0, "arXiv 2409.17146: points in hundredths"),
    "molmo2": Coordinates(THOUSANDTHS, "model card of allenai/Molmo2-8B: points in thousandths"),
    "paligemma": Coordinates(1024.0, "huggingface.co/blog/paligemma: <loc0000> to <loc1023>, y before x", y_first=True),
    "qwen2_5_vl": _QWEN25,
    "qwen2_vl": _QWEN2,
    "qwen3_5": _QWEN35,
    "qwen3_5_moe": _QWEN35,
    "qwen3_vl": _QWEN3,
    "qwen3_vl_moe": _QWEN3,
}
"""By ``model_type``, in the order of their names."""

GROUNDING_TOKENS = (
    *("<box>", "</box>", "<ref>", "</ref>", "<point>", "</point>", "<quad>", "</quad>"),
    *("<|box_start|>", "<|box_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"),
)
"""Control tokens that are part of an answer: without them its boxes are bare numbers."""


def grounding_tokens(config: Mapping[str, Any], tokenizer: Any) -> frozenset[int]:
    """The control tokens of a tokenizer that an answer is shown with."""
    if config.get("model_type") not in COORDINATES:
        return frozenset()
    special = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return frozenset(token for name, token in special if name in GROUNDING_TOKENS)


def with_coordinates(
    config: Mapping[str, Any], messages: Sequence[Message], reports: Sequence[MediaReport], inputs: Mapping[str, Any]
) -> tuple[MediaReport, ...]:
    """The reports on the media of these messages, with what the numbers of an answer would mean in each.

    ``config`` is the checkpoint's, ``inputs`` the processor's tensors, which say what size it made of each image.
    """
    known = COORDINATES.get(str(config.get("model_type")))
    media = [(turn, each) for turn, message in enumerate(messages) for each in message.media]
    if len(media) != len(reports):
        return tuple(reports)
    grids = {kind: iter(grid_sizes(config, inputs, kind)) for kind in ("image", "video")}
    found = []
    for (turn, medium), report in zip(media, reports, strict=True):
        if not isinstance(medium, DecodedMedia) or isinstance(medium.data, DecodedAudio):
            found.append(report)
            continue
        data = medium.data
        span = None if known is None or known.scale is None else (known.scale, known.scale)
        if known is not None and known.scale is None:
            span = next(grids[medium.kind], None)
        times = tuple(round(time, 3) for time in data.times) if isinstance(data, DecodedVideo) else ()
        space = ImageCoordinates(data.width, data.height, span, turn=turn, times=times)
        if known is not None:
            space = replace(space, y_first=known.y_first, lists=known.lists)
        found.append(replace(report, space=space))
    return tuple(found)


def grid_sizes(config: Mapping[str, Any], inputs: Mapping[str, Any], kind: str) -> list[tuple[float, float]]:
    """Width and height in pixels of what the processor made of each image or video, where it says so in patches."""
    patch = (config.get("vision_config") or {}).get("patch_size", 14)
    return [(float(width) * patch, float(height) * patch) for _, height, width in inputs.get(f"{kind}_grid_thw", ())]
