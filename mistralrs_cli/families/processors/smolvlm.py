"""SmolVLM's processor for images and videos together, and for videos of different lengths.

The one in transformers writes the prompt of a mixed conversation, but then lets the videos' pixels take the place of
the images', and it tells every video that it has as many frames as the longest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as functional
from transformers import SmolVLMProcessor

PIXELS, MASK = "pixel_values", "pixel_attention_mask"
VIDEO_PREFIX = "clip_"


class MixingProcessor(SmolVLMProcessor):
    """A SmolVLM processor whose tiles and frames follow the prompt's order."""

    @classmethod
    def of(cls, processor: Any) -> MixingProcessor:
        """The same parts and settings as ``processor``."""
        return cls(
            processor.image_processor,
            processor.tokenizer,
            processor.video_processor,
            image_seq_len=processor.image_seq_len,
            chat_template=processor.chat_template,
        )

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any) -> Any:
        """Encode one conversation: pixels [1, tiles and frames, 3, height, width] in the order of the prompt."""
        if videos is None:
            return super().__call__(images=images, text=text, **kwargs)
        found = super().__call__(
            images=images, text=text, videos=videos, **kwargs, return_text_replacement_offsets=True
        )
        (places,) = found.pop("text_replacement_offsets")
        order = [
            (place["type"], place["replacement"].count(self.image_token) // self.image_seq_len) for place in places
        ]
        for key in (PIXELS, MASK):
            views = list(in_order(order, found.get(key), found.pop(VIDEO_PREFIX + key)))
            height, width = (max(view.shape[axis] for view in views) for axis in (-2, -1))
            found[key] = torch.cat([padded(view, height, width) for view in views])[None]
        return found

    def _process_videos(self, videos: Any, **kwargs: Any) -> Any:
        processed, replacements = super()._process_videos(videos, **kwargs)
        return {
            VIDEO_PREFIX + key if key in (PIXELS, MASK) else key: value for key, value in processed.items()
        }, replacements

    def replace_video_token(self, video_inputs: Any, video_idx: int, **kwargs: Any) -> str:
        """The text of one video, with its own number of frames."""
        frames = len(video_inputs["video_metadata"][video_idx].frames_indices)
        own = {**video_inputs, PIXELS: video_inputs[PIXELS][:, :frames]}
        return str(super().replace_video_token(own, video_idx, **kwargs))


def in_order(order: list[tuple[str, int]], images: torch.Tensor | None, videos: torch.Tensor) -> Iterator[torch.Tensor]:
    """Each medium's views, [views, …, height, width]: an image's tiles, or a video's frames without its padding."""
    tile, video = 0, 0
    for kind, views in order:
        if kind == "video":
            yield videos[video, :views]
            video += 1
        elif images is not None:
            yield images[0, tile : tile + views]
            tile += views


def padded(views: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Views with zeros at the bottom and at the right."""
    return functional.pad(views, (0, width - views.shape[-1], 0, height - views.shape[-2]))
