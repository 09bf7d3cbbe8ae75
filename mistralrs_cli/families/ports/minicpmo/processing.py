"""The processor of MiniCPM-o 2.6: what an image and audio look like in its prompts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import BatchFeature, WhisperFeatureExtractor
from transformers.processing_utils import _UNMARKED, ProcessorMixin
from transformers.utils.chat_template_utils import encode_marked_chat

from ...tokenizers import load_own
from ..settings import part_settings
from .image_processing import MiniCPMOImageProcessor
from .modeling import halved

IMAGE_PLACEHOLDER, AUDIO_PLACEHOLDER = "(<image>./</image>)", "(<audio>./</audio>)"
PLACES = re.compile(f"{_UNMARKED}(?:{re.escape(IMAGE_PLACEHOLDER)}|{re.escape(AUDIO_PLACEHOLDER)})")
SEEN = ("max_slice_nums", "scale_resolution", "patch_size", "image_feature_size", "slice_mode", "use_image_id")
IMAGE_TOKEN, AUDIO_TOKEN = "<unk>", "<|audio|>"
RATE = 16_000
FRAMES_A_SECOND = 100  # of the spectrogram
HEARING = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>' }}{% endif %}"
)
"""The published template of a conversation with audio in it, whose answer could be spoken."""


class MiniCPMOProcessor(ProcessorMixin):
    """``image_token`` and ``audio_token`` are the tokens in a medium's places; ``pool`` frames make one of audio.

    Audio's places are marked second by second (``chunked``), as published.
    """

    def __init__(
        self,
        image_processor: Any,
        feature_extractor: Any,
        tokenizer: Any,
        chat_template: str | None = None,
        pool: int = 2,
        chunked: bool = True,
    ) -> None:
        self.image_token, self.audio_token, self.pool, self.chunked = IMAGE_TOKEN, AUDIO_TOKEN, pool, chunked
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        self.audio_token_id = tokenizer.convert_tokens_to_ids(AUDIO_TOKEN)
        super().__init__(  # type: ignore[no-untyped-call]
            image_processor, feature_extractor, tokenizer, chat_template=chat_template
        )

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> None:
        """The parts are of this package's own classes, which transformers does not list."""

    def __call__(self, images: Any = None, text: Any = None, audio: Any = None, **kwargs: Any) -> BatchFeature:
        """Tensors of one prompt. ``text`` may be marked by ``apply_chat_template``: what a user typed is text then."""
        prompt = text if isinstance(text, str) else text[0]
        listed = [image for some in images or () for image in (some if isinstance(some, list) else [some])]
        seen = dict(self.image_processor.preprocess(listed)) if listed else {}
        heard = self.spectrograms(list(audio)) if audio is not None and len(audio) else {}
        shown = (self.image(*numbered) for numbered in enumerate(seen.pop("grids", ())))
        played = (self.audio(int(frames)) for frames in heard.get("audio_frames", ()))
        said = PLACES.sub(lambda found: next(shown if found[0] == IMAGE_PLACEHOLDER else played), prompt)
        tokens = torch.tensor([encode_marked_chat(self.tokenizer, said)])
        return BatchFeature({"input_ids": tokens, "attention_mask": torch.ones_like(tokens), **seen, **heard})

    def spectrograms(self, audios: list[Any]) -> dict[str, torch.Tensor]:
        """``input_features`` [audio, mel bins, most frames] and ``audio_frames`` [audio]."""
        made = self.feature_extractor(
            audios, sampling_rate=RATE, return_attention_mask=True, padding="max_length", return_tensors="pt"
        )
        frames = made["attention_mask"].sum(-1)
        return {"input_features": made["input_features"][..., : int(frames.max())], "audio_frames": frames}

    def image(self, number: int, grid: tuple[int, int] | None) -> str:
        """The places of an image: its number, itself, and its slices, a line for each row of them."""
        places = self.image_token * self.image_processor.image_feature_size
        name = f"<image_id>{number}</image_id>" if self.image_processor.use_image_id else ""
        columns, rows = grid or (0, 0)
        return f"{name}<image>{places}</image>" + "\n".join([f"<slice>{places}</slice>" * columns] * rows)

    def audio(self, frames: int) -> str:
        """The places of audio."""
        count = self.places(frames)
        size = self.places(FRAMES_A_SECOND) if self.chunked else count
        chunks = [min(size, count - start) for start in range(0, count, size)]
        return "".join(f"<|audio_start|>{self.audio_token * chunk}<|audio_end|>" for chunk in chunks)

    def places(self, frames: int) -> int:
        """How many tokens so many frames of a spectrogram become."""
        return int((halved(torch.tensor(frames)) - self.pool) // self.pool + 1)


def load(folder: Path, pool: int, mel_bins: int, *, chunked: bool) -> MiniCPMOProcessor:
    """The processor of the checkpoint in a folder."""
    settings = part_settings(folder, "image_processor")
    return MiniCPMOProcessor(
        MiniCPMOImageProcessor(**{key: settings[key] for key in SEEN if key in settings}),
        WhisperFeatureExtractor(feature_size=mel_bins),
        load_own(folder),
        pool=pool,
        chunked=chunked,
    )
