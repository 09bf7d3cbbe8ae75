"""What transformers itself knows of a ``model_type``: the class that runs it, and what that class reads.

Look-ups in dictionaries, before any weights are fetched. ``transformers`` must be importable when one is called.
"""

from __future__ import annotations

from typing import Any

MULTIMODAL, CAUSAL = "AutoModelForMultimodalLM", "AutoModelForCausalLM"


def class_name(model_type: str, automodel: str) -> str | None:
    """The name of the class that an auto class loads for a ``model_type``; ``None`` where it has none."""
    from transformers.models.auto import modeling_auto

    mappings: dict[str, Any] = {
        MULTIMODAL: modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        CAUSAL: modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    }
    found = mappings[automodel].get(model_type)
    return found if found is None or isinstance(found, str) else str(found[0])


def model_class(model_type: str, automodel: str) -> Any | None:
    """That class itself. Raises ``ImportError`` where it needs a package that is not installed."""
    import transformers

    name = class_name(model_type, automodel)
    return None if name is None else getattr(transformers, name)


def is_known(model_type: str) -> bool:
    """Whether transformers has a configuration of that type, whatever it is for."""
    from transformers import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


def purpose(model_type: str) -> str | None:
    """What a type of model is for that does not answer questions, in a few words; ``None`` where no list has it."""
    from transformers.models.auto import modeling_auto

    purposes = {
        "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES": "writes down speech",
        "MODEL_FOR_CTC_MAPPING_NAMES": "writes down speech",
        "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES": "speaks or makes music",
        "MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES": "speaks",
        "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": "turns one text into another",
        "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "fills gaps in a text or makes embeddings",
        "MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES": "compares images with words",
        "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES": "sorts images into classes",
        "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES": "sorts audio into classes",
        "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES": "finds things in images",
        "MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES": "measures depth in images",
        "MODEL_FOR_MASK_GENERATION_MAPPING_NAMES": "cuts things out of images",
    }
    for mapping, words in purposes.items():
        if model_type in getattr(modeling_auto, mapping, ()):
            return words
    return None
