"""Whether a checkpoint can be run here at all, by its configuration: asked before its weights are fetched."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedModel, first_line
from . import READERS, own_family
from .automodels import CAUSAL, MULTIMODAL, class_name, is_known, model_class, purpose

if TYPE_CHECKING:
    from .base import Family

WRITES_TEXT = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForImageTextToText", "ForVision2Seq")
LOADABLE = (MULTIMODAL, CAUSAL, "AutoModelForImageTextToText", "AutoModelForVision2Seq")
TEXT = "-m Qwen/Qwen3-4B"
TWINS = {
    "chatglm": "zai-org/GLM-4.1V-9B-Thinking",
    "internvl_chat": "OpenGVLab/InternVL3-8B-hf",
    "llava_llama": "llava-hf/llava-1.5-7b-hf",
    "llava_mistral": "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava_qwen": "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "minicpmv": "openbmb/MiniCPM-V-4_6",
    "molmo": "allenai/Molmo2-8B",
    "qwen": "Qwen/Qwen3-VL-4B-Instruct",
}
"""Models in transformers' own layout beside those that are only run by code of their own, by ``model_type``."""


def require_runnable(name: str, config: Mapping[str, Any], family: Family, *, trust_remote_code: bool) -> None:
    """Raise ``UnsupportedModel`` for a checkpoint that this version cannot run, with the cause and what would do.

    ``transformers`` must be importable, unless the family has a file of its own.
    """
    family.require_version(name)
    model_type = str(family.config.get("model_type"))
    if own_family(model_type) is not None:
        return
    offered = config.get("auto_map")
    if class_name(model_type, family.automodel) is not None:
        require_task(name, config, family, model_type)
        require_class(name, family, model_type)
    elif isinstance(offered, Mapping) and not is_known(model_type):
        require_code(name, config, model_type, offered, trusted=trust_remote_code)
    elif is_known(model_type):
        does = purpose(model_type)
        what = f"a model that {does}" if does else f"a {model_type} model, which writes no text"
        raise UnsupportedModel(f"{name} is {what}, and answers no questions.", instead(config))
    else:
        import transformers

        raise UnsupportedModel(
            f"{name} cannot be loaded: its architecture {model_type} is not known to transformers "
            f"{transformers.__version__}.",
            f"Use -m {TWINS[model_type]}" if model_type in TWINS else instead(config),
        )


def require_class(name: str, family: Family, model_type: str) -> None:
    """Refuse a class that needs a package, or that takes no positions and no cache: decoding states both."""
    try:
        found = model_class(model_type, family.automodel)
    except ImportError as error:
        raise UnsupportedModel(
            f"{name} needs a package that is not installed: {first_line(error)}", "Install it with pip."
        ) from error
    takes = inspect.signature(found.forward).parameters if found is not None else {}
    lacking = {"position_ids", "past_key_values"} - takes.keys()
    if lacking or not hasattr(found, "generate"):
        what = f"takes no {' and no '.join(sorted(lacking))}" if lacking else "does not write token by token"
        raise UnsupportedModel(
            f"{name} is a {class_name(model_type, family.automodel)}, which {what}: it cannot be run here.",
            instead(family.config),
        )


def require_task(name: str, config: Mapping[str, Any], family: Family, model_type: str) -> None:
    """Refuse a checkpoint whose weights are another model's of that type: an encoder's, a classifier's."""
    architectures = config.get("architectures")
    published = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    if config.get("is_encoder_decoder") is True and family.automodel == CAUSAL:
        does = purpose(model_type) or "turns one text into another"
        raise UnsupportedModel(f"{name} is a model that {does}, and answers no questions.", instead(config))
    if not published or published == class_name(model_type, family.automodel) or family.part is not None:
        return
    if not published.endswith(WRITES_TEXT) and (published.endswith("Model") or "For" in published):
        raise UnsupportedModel(
            f"{name} is a {published}, which writes no text: it answers no questions.", instead(config)
        )


def require_code(
    name: str, config: Mapping[str, Any], model_type: str, offered: Mapping[str, Any], *, trusted: bool
) -> None:
    """Refuse code of a checkpoint's own that the user does not trust, or that holds no model which writes text."""
    twin = twin_of(name, model_type)
    if not trusted:
        use = f"Use -m {twin}, which needs none; or add" if twin else "Add"
        raise UnsupportedModel(
            f"{name} cannot be loaded without code of its own, which is not run unasked.",
            f"{use} --trust-remote-code if you trust it (code for older versions of transformers often fails).",
        )
    if not any(automodel in offered for automodel in LOADABLE):
        raise UnsupportedModel(
            f"The code of {name} offers {', '.join(sorted(map(str, offered)))}, and none of {', '.join(LOADABLE[:2])}.",
            f"Use -m {twin}" if twin else instead(config),
        )


def twin_of(name: str, model_type: str) -> str | None:
    """The model in transformers' own layout that stands beside one with code of its own."""
    if model_type == "internvl_chat" and name.startswith("OpenGVLab/InternVL3"):
        return f"{name}-HF" if "InternVL3_5" in name else f"{name}-hf"
    return TWINS.get(model_type)


def instead(config: Mapping[str, Any]) -> str:
    """A model to try, of the kinds of media that a configuration speaks of."""
    said = " ".join(key for key in config if isinstance(key, str))
    kinds = " ".join(map(str, config.get("architectures") or ())) + said + str(config.get("model_type"))
    if any(word in kinds.lower() for word in ("vision", "visual", "image", "vl", "llava")):
        return f"For images, try {READERS['image']}"
    if any(word in kinds.lower() for word in ("audio", "speech", "whisper", "mel_bins", "asr")):
        return f"For questions about audio, try {READERS['audio']}, or -m mistralai/Voxtral-Mini-3B-2507"
    return f"For text, try {TEXT}; for images, {READERS['image']}"
