"""Qwen2-VL: images and videos in their own shapes, with rotary positions along time, height and width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..messages import DecodedMedia, Message
from .base import Family, Prepared
from .encoder import GRIDS, Encoder
from .listing import Listing

if TYPE_CHECKING:
    import torch

MAX_ASPECT_RATIO = 200.0
IMAGE, VIDEO = 1, 2  # in a processor's mm_token_type_ids; text is 0


class Qwen2VL(Family):
    """``model_type: qwen2_vl``."""

    name: ClassVar[str] = "Qwen2-VL"
    listing: ClassVar[Listing | None] = Listing("Qwen2VL", "Qwen/Qwen2-VL-7B-Instruct", ("image", "video"))
    encoders: ClassVar[tuple[Encoder, ...]] = GRIDS
    divisible_media: ClassVar[bool] = True

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """A checkpoint that says nothing about videos gets its class's limits, not those of single images.

        Without this the frames of a 1080p video would cost 2,600 tokens each, as one image does.
        """
        processor = super().load_processor(folder, trust_remote_code=trust_remote_code)
        own = [folder / name for name in ("video_preprocessor_config.json", "processor_config.json")]
        if not any(file.is_file() for file in own):
            videos = processor.video_processor
            videos.size = type(videos.size)(**type(videos).size)
        return processor

    @property
    def max_aspect_ratio(self) -> float | None:
        """The limit of its processor."""
        return MAX_ASPECT_RATIO

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Frames cost what the reference implementation lets them cost."""
        arguments = super().media_arguments(media)
        return arguments | {"cap_pixels_per_frame": True} if arguments else {}

    def runs_of(self, medium: DecodedMedia) -> int:
        """A video is one run of placeholders."""
        return 1

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """As every family does, with the positions of the tokens stated.

        Transformers lets the text after a video begin where the video's height or width ends, amid its time
        steps. The model learned that it begins after all three.
        """
        prepared = super().prepare(processor, messages, template_inputs)
        inputs = prepared.inputs
        if "video_grid_thw" in inputs:
            inputs["position_ids"] = self.positions(inputs)
        return prepared

    def positions(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """Position ids int64 [4, 1, tokens]: the plain count, then time, height and width."""
        import torch

        merge = int(self.config["vision_config"].get("spatial_merge_size", 2))
        grids = {kind: grid_sizes(inputs, name, merge) for kind, name in ((IMAGE, "image"), (VIDEO, "video"))}
        steps = self.time_steps(inputs)
        found: list[torch.Tensor] = []
        start = 0
        for kind, run in groupby(inputs["mm_token_type_ids"][0].tolist()):
            if kind in grids:
                times, height, width = next(grids[kind])
                step = next(steps) if kind == VIDEO else 1.0
                time = (torch.arange(times) * step).long()
                axes = torch.meshgrid(time, torch.arange(height), torch.arange(width), indexing="ij")
                here = torch.stack(axes).flatten(1)
            else:
                here = torch.arange(sum(1 for _ in run)).expand(3, -1)
            found.append(here + start)
            start = int(found[-1].max()) + 1
        positions = torch.cat(found, dim=1)
        count = torch.arange(positions.shape[1]).expand(1, -1)
        return torch.cat([count, positions])[:, None]

    def time_steps(self, inputs: Mapping[str, Any]) -> Iterator[float]:
        """How far apart the time steps of each video are, in positions."""
        return iter([1.0] * len(inputs.get("video_grid_thw", ())))


def grid_sizes(inputs: Mapping[str, Any], name: str, merge: int) -> Iterator[tuple[int, int, int]]:
    """Time steps, and tokens down and across, of each image or video."""
    for times, height, width in inputs.get(f"{name}_grid_thw", ()):
        yield int(times), int(height) // merge, int(width) // merge


FAMILY = Qwen2VL
