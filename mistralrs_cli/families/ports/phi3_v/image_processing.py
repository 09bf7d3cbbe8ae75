"""An image as tiles of CLIP's size: as many as the checkpoint allows, in the image's own shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as functional
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

if TYPE_CHECKING:
    from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PATCHES_A_TOKEN_EDGE = 28  # pixels: two patches of 14


class Phi3VImageProcessor(BaseImageProcessor):
    """``num_crops`` is the most tiles; 4 is published for Phi-3.5, 16 for Phi-3. ``tile`` is their edge in pixels."""

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012

    def __init__(
        self,
        num_crops: int = 4,
        image_mean: Sequence[float] = CLIP_MEAN,
        image_std: Sequence[float] = CLIP_STD,
        tile: int = 336,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_crops = num_crops
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.tile = tile

    def tiled_size(self, width: int, height: int) -> tuple[int, int]:
        """The size to which an image lying on its long side is resized: as many tiles wide as may be."""
        ratio, columns = width / height, 1
        while (columns + 1) * math.ceil((columns + 1) / ratio) <= self.num_crops:
            columns += 1
        return columns * self.tile, max(1, int(columns * self.tile / ratio))

    def tiled(self, image: Image.Image) -> Image.Image:
        """The image resized, with white above and below up to whole tiles; standing ones are turned for that."""
        from PIL import Image

        standing = image.width < image.height
        if standing:
            image = image.transpose(Image.Transpose.TRANSPOSE)
        size = self.tiled_size(*image.size)
        full = (size[0], math.ceil(size[1] / self.tile) * self.tile)
        sheet = Image.new("RGB", full, (255, 255, 255))
        sheet.paste(image.resize(size, Image.Resampling.BILINEAR), (0, (full[1] - size[1]) // 2))
        return sheet.transpose(Image.Transpose.TRANSPOSE) if standing else sheet

    def tokens(self, height: int, width: int) -> int:
        """How many tokens an image of tiles takes: its lines, the shrunk image's, and what separates them."""
        side = self.tile // PATCHES_A_TOKEN_EDGE
        rows, columns = height // self.tile, width // self.tile
        return rows * side * (columns * side + 1) + 1 + side * (side + 1)

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """One image float32 [1 + tiles, 3, tile, tile]: shrunk, and its tiles row by row."""
        scaled = np.asarray(self.tiled(image.convert("RGB")), dtype=np.float32) / 255
        normal = (torch.from_numpy(scaled) - torch.tensor(self.image_mean)) / torch.tensor(self.image_std)
        sheet = normal.permute(2, 0, 1)
        whole = functional.interpolate(sheet[None], size=(self.tile, self.tile), mode="bicubic")
        cut = sheet.unflatten(2, (-1, self.tile)).unflatten(1, (-1, self.tile))
        return torch.cat([whole, cut.permute(1, 3, 0, 2, 4).flatten(0, 1)])

    def preprocess(self, images: Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """``pixel_values`` [images, 1 + most tiles, 3, tile, tile], zeros where an image has fewer; ``image_sizes``
        [images, 2], height and width of the tiles together; ``num_img_tokens``, one number an image."""
        tiled = [self.pixels(image) for image in images]
        most = max(len(tiles) for tiles in tiled)
        padded = [functional.pad(tiles, (0, 0) * 3 + (0, most - len(tiles))) for tiles in tiled]
        sizes = [self.tiled(image.convert("RGB")).size[::-1] for image in images]
        return BatchFeature(
            {
                "pixel_values": torch.stack(padded),
                "image_sizes": torch.tensor(sizes),
                "num_img_tokens": [self.tokens(*size) for size in sizes],
            }
        )
