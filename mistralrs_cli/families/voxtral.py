"""Voxtral: audio of any length, and speech written down. Mistral's own tokenizer file, without mistral-common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import OptionError
from ..messages import Media, Message
from .base import Family
from .encoder import Encoder
from .listing import Listing
from .tekken import load_tokenizer

if TYPE_CHECKING:
    import torch

WINDOW = 30 * 16_000  # samples the encoder takes at a time
FRAMES = 3000  # of the spectrogram of such a window
TOKENS = 375  # that such a window becomes


class Voxtral(Family):
    """``model_type: voxtral``. Audio is padded to windows of 30 seconds, which follow one another in the prompt."""

    name: ClassVar[str] = "Voxtral"
    listing: ClassVar[Listing | None] = Listing("Voxtral", "mistralai/Voxtral-Mini-3B-2507", ("audio",))
    bundled_template: ClassVar[str | None] = "voxtral.jinja"
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("audio_tower"),)

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """Transformers' processor around a tokenizer made of ``tekken.json``."""
        from transformers import AutoFeatureExtractor, VoxtralProcessor

        tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
        return VoxtralProcessor(AutoFeatureExtractor.from_pretrained(folder), tokenizer)

    def transcription(
        self, audio: Media, language: str | None = None, *, translate: bool = False, prompt: str | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """Transcribing is a mode of this model: audio alone, and a token for it. A translation is asked for in words.

        Raises ``OptionError`` for a prompt in that mode, whose template takes audio alone.
        """
        if translate:
            return super().transcription(audio, language, translate=True, prompt=prompt)
        if prompt:
            raise OptionError(
                f"{self.name} takes no prompt beside the audio that it transcribes.",
                "Leave prompt out.",
                param="prompt",
            )
        inputs: dict[str, Any] = {"transcribe": True}
        return [Message("user", (audio,))], inputs | ({"language": language} if language else {})

    def with_instruction(self, message: Message, template_inputs: Mapping[str, Any]) -> Message:
        """Nothing need be said to have audio written down."""
        return message if template_inputs.get("transcribe") else super().with_instruction(message, template_inputs)

    def apply_template(
        self, processor: Any, conversation: list[dict[str, Any]], arguments: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """The template's one placeholder for audio becomes as many as its windows take."""
        import torch

        tokenizer = processor.tokenizer
        tokenizer.chat_template = processor.chat_template
        audios = [item["audio"] for turn in conversation for item in turn["content"] if item["type"] == "audio"]
        marked = [
            {**turn, "content": [{key: item[key] for key in item if key != "audio"} for item in turn["content"]]}
            for turn in conversation
        ]
        inputs = super().apply_template(tokenizer, marked, {}, extra)
        windows = [spectrogram(processor.feature_extractor, audio) for audio in audios]
        lengths = iter([TOKENS * len(window) for window in windows])
        ids = list(expanded(inputs["input_ids"][0].tolist(), int(self.config["audio_token_id"]), lengths))
        tokens = torch.tensor([ids])
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        return inputs | ({"input_features": torch.cat(windows)} if windows else {})


def spectrogram(extractor: Any, audio: Any) -> torch.Tensor:
    """The windows of audio at 16 kHz: float32 [windows, mel bins, frames]."""
    features = extractor(
        audio,
        sampling_rate=extractor.sampling_rate,
        padding=True,
        truncation=False,
        pad_to_multiple_of=WINDOW,
        return_tensors="pt",
    )["input_features"]
    windows: torch.Tensor = features[0].unflatten(-1, (-1, FRAMES)).transpose(0, 1)
    return windows


def expanded(ids: list[int], placeholder: int, lengths: Iterator[int]) -> Iterator[int]:
    """Ids with every placeholder repeated."""
    for token in ids:
        yield from [token] * (next(lengths) if token == placeholder else 1)


FAMILY = Voxtral
