"""The names that a program chooses from."""

from __future__ import annotations

from enum import Enum


class MultimodalArchitecture(Enum):
    """What a multimodal checkpoint must be. Left out, its configuration says.

    >>> Which.MultimodalPlain("Qwen/Qwen3-VL-4B-Instruct", arch=MultimodalArchitecture.Qwen3VL).arch.name
    'Qwen3VL'
    """

    Phi3V = "phi3v"
    Idefics2 = "idefics2"
    LLaVANext = "llava_next"
    LLaVA = "llava"
    Lfm2Vl = "lfm2_vl"
    VLlama = "vllama"
    Qwen2VL = "qwen2vl"
    Idefics3 = "idefics3"
    MiniCpmO = "minicpmo"
    Phi4MM = "phi4mm"
    Qwen2_5VL = "qwen2_5vl"
    Gemma3 = "gemma3"
    Mistral3 = "mistral3"
    Llama4 = "llama4"
    Gemma3n = "gemma3n"
    Qwen3VL = "qwen3vl"
    Qwen3VLMoE = "qwen3vlmoe"
    Qwen3_5 = "qwen3_5"
    Qwen3_5Moe = "qwen3_5moe"
    Voxtral = "voxtral"
    Gemma4 = "gemma4"


VisionArchitecture = MultimodalArchitecture
"""The older name."""


class IsqOrganization(Enum):
    """Which weights are quantized: all of the text model's, or only the experts.

    >>> Which.MultimodalPlain("Qwen/Qwen3-VL-30B-A3B-Instruct", organization=IsqOrganization.MoQE).organization.value
    'moqe'
    """

    Default = "default"
    MoQE = "moqe"


class ModelDType(Enum):
    """The number type of the weights that are not quantized.

    >>> Which.Plain("demo", dtype=ModelDType.F32).dtype.value
    'f32'
    """

    Auto = "auto"
    BF16 = "bf16"
    F16 = "f16"
    F32 = "f32"


class ToolChoice(Enum):
    """Whether the model may call a tool.

    >>> tool = {"name": "now", "parameters": {"type": "object", "properties": {}}}
    >>> ChatCompletionRequest("What time is it?", tool_schemas=tool, tool_choice=ToolChoice.NoTools).tools.choice
    'none'
    """

    NoTools = "none"
    Auto = "auto"
