"""Mistral Small 3.1 and later: an image is rows of patches, each row closed by a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..decoded import DecodedImage
from ..messages import DecodedMedia, Part
from .base import Family
from .listing import Listing
from .tekken import load_tokenizer


class Mistral3(Family):
    """``model_type: mistral3``."""

    name: ClassVar[str] = "Mistral Small 3"
    listing: ClassVar[Listing | None] = Listing(
        "Mistral3",
        "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        ("image",),
        note="For tools, add `-j mistral_small_tool_call.jinja`.",
    )
    image_end_token: ClassVar[str | None] = "[IMG_END]"
    described: ClassVar[tuple[str, ...]] = ()
    bundled_template: ClassVar[str | None] = "mistral_small_tool_call.jinja"

    @property
    def max_aspect_ratio(self) -> float | None:
        """What is scaled down to the tower's size must keep a pixel of its shorter edge."""
        return float(self.config["vision_config"]["image_size"])

    def content(self, part: Part) -> list[dict[str, Any]]:
        """An image smaller than a token is enlarged to two: transformers fails on a prompt with a single one."""
        match part:
            case DecodedMedia(data=DecodedImage(image=image)) if max(image.size) <= self.cell:
                scale = 2 * self.cell / max(image.size)
                return [{"type": "image", "image": image.resize([max(1, round(edge * scale)) for edge in image.size])}]
            case _:
                return super().content(part)

    @property
    def cell(self) -> int:
        """The edge of the square that becomes a token, in pixels."""
        return int(self.config["vision_config"]["patch_size"]) * int(self.config.get("spatial_merge_size", 2))

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """Mistral Small 3.2 is published without a processor's files: what they would say is in its ``config.json``."""
        from transformers import PixtralImageProcessor, PixtralProcessor

        vision = self.config["vision_config"]
        patch, merge = int(vision["patch_size"]), int(self.config.get("spatial_merge_size", 2))
        tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
        if any((folder / name).is_file() for name in Family.described):
            processor = super().load_processor(folder, trust_remote_code=trust_remote_code)
            processor.tokenizer = tokenizer
            processor.patch_size, processor.spatial_merge_size = patch, merge  # published files leave them out
            return processor
        images = PixtralImageProcessor(
            size={"longest_edge": vision["image_size"]}, patch_size={"height": patch, "width": patch}
        )
        return PixtralProcessor(images, tokenizer, patch_size=patch, spatial_merge_size=merge)


FAMILY = Mistral3
