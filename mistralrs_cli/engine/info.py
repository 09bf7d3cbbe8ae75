"""What a face may know of a running engine: values, without the model behind them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EngineDown
from ..events import MediaReport
from ..media.video import VideoSampling
from ..messages import Modality


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A loaded model. ``modalities`` is what it reads beside text.

    ``audio_rate`` (Hz) and ``video_sampling`` are how its audio and video must be decoded; ``max_images`` is the most
    images of one request, ``context_length`` the most tokens of prompt and answer, ``vocabulary`` the count of token
    ids. ``can_think`` says whether its chat template can be told to have it think. ``device`` and ``dtype`` are
    PyTorch's names, such as ``cpu`` and ``bfloat16``; ``notes`` are lines for the user on how the weights were loaded.
    ``speech_times`` says that it gives the times of what it transcribes.
    """

    name: str
    family: str
    modalities: tuple[Modality, ...]
    context_length: int | None
    max_images: int | None
    audio_rate: int
    video_sampling: VideoSampling
    can_think: bool
    vocabulary: int
    device: str
    dtype: str
    notes: tuple[str, ...]
    speech_times: bool = False


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine is doing now.

    ``running`` sequences are being decoded and ``waiting`` requests have none yet; ``kv_capacity_tokens`` is how many
    tokens all sequences may have together, ``kv_tokens`` how many they have. Snapshots of earlier prompts take
    ``prefix_bytes``, outputs of the encoders ``encoder_bytes``; of the items that went through an encoder
    ``encoder_hits`` came from its cache. ``failure`` is why the engine is down, if it is.
    """

    running: int
    waiting: int
    kv_capacity_tokens: int
    prefix_entries: int
    prefix_bytes: int
    encoder_bytes: int
    encoder_hits: int
    encoder_misses: int
    failure: EngineDown | None
    kv_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PromptReport:
    """What a conversation becomes for the model: the tokens of the whole prompt, and each medium's."""

    prompt_tokens: int
    media: tuple[MediaReport, ...]
