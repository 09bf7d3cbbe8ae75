"""An image as a whole and, where it is large, as a grid of slices near the tower's own size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

if TYPE_CHECKING:
    from PIL import Image


class MiniCPMOImageProcessor(BaseImageProcessor):
    """At most ``max_slice_nums`` slices of about ``scale_resolution`` squared pixels, ``image_feature_size`` tokens
    each; sizes are whole patches."""

    model_input_names = ["pixel_values", "tgt_sizes"]  # noqa: RUF012

    def __init__(
        self,
        max_slice_nums: int = 9,
        scale_resolution: int = 448,
        patch_size: int = 14,
        image_feature_size: int = 64,
        slice_mode: bool = True,
        use_image_id: bool = True,
        norm_mean: Sequence[float] = (0.5, 0.5, 0.5),
        norm_std: Sequence[float] = (0.5, 0.5, 0.5),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution
        self.patch_size = patch_size
        self.image_feature_size = image_feature_size
        self.slice_mode = slice_mode
        self.use_image_id = use_image_id
        self.norm_mean = list(norm_mean)
        self.norm_std = list(norm_std)

    def whole_patches(self, length: float) -> int:
        """A length rounded to patches, one at least."""
        return max(round(length / self.patch_size) * self.patch_size, self.patch_size)

    def fitting(self, width: float, height: float, *, enlarge: bool) -> tuple[int, int]:
        """The size of a slice: the tower's area in the image's shape; small images keep theirs unless told."""
        if enlarge or width * height > self.scale_resolution**2:
            ratio = width / height
            height = int(self.scale_resolution / math.sqrt(ratio))
            width = int(height * ratio)
        return self.whole_patches(width), self.whole_patches(height)

    def grid(self, width: int, height: int) -> tuple[int, int] | None:
        """Columns and rows of slices whose shape is nearest to the image's; ``None`` where one slice does."""
        wanted = min(math.ceil(width * height / self.scale_resolution**2), self.max_slice_nums)
        if wanted <= 1 or not self.slice_mode:
            return None
        counts = [count for count in (wanted - 1, wanted, wanted + 1) if 1 < count <= self.max_slice_nums]
        grids = [
            (columns, count // columns) for count in counts for columns in range(1, count + 1) if not count % columns
        ]
        return min(grids, key=lambda grid: abs(math.log(width / height) - math.log(grid[0] / grid[1])))

    def slices(self, image: Image.Image) -> tuple[list[Image.Image], tuple[int, int] | None]:
        """The image shrunk, then its slices row by row; and their grid."""
        from PIL import Image

        grid = self.grid(*image.size)
        whole = image.resize(self.fitting(*image.size, enlarge=grid is None), Image.Resampling.BICUBIC)
        if grid is None:
            return [whole], None
        columns, rows = grid
        refined = [self.whole_patches_times(edge, count) for edge, count in zip(image.size, grid, strict=True)]
        width, height = self.fitting(refined[0] / columns, refined[1] / rows, enlarge=True)
        sheet = image.resize((width * columns, height * rows), Image.Resampling.BICUBIC)
        boxes = [
            (x * width, y * height, (x + 1) * width, (y + 1) * height) for y in range(rows) for x in range(columns)
        ]
        return [whole, *(sheet.crop(box) for box in boxes)], grid

    def whole_patches_times(self, length: int, count: int) -> int:
        """A length rounded to a multiple of ``count``, which the slices share."""
        return max(round(length / count) * count, count)

    def patches(self, part: Image.Image) -> torch.Tensor:
        """A slice as its patches side by side: float32 [3, patch, patch · patches]."""
        pixels = torch.from_numpy(np.asarray(part, dtype=np.float32) / 255)
        normal = (pixels - torch.tensor(self.norm_mean)) / torch.tensor(self.norm_std)
        cut: torch.Tensor = (
            normal.permute(2, 0, 1).unflatten(2, (-1, self.patch_size)).unflatten(1, (-1, self.patch_size))
        )
        return cut.permute(0, 2, 1, 3, 4).flatten(2)

    def preprocess(self, images: Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """``pixel_values`` [1, 3, patch, patch · patches of all slices], ``tgt_sizes`` [slices, 2] rows and columns of
        patches, ``grids`` of each image."""
        found = [self.slices(image.convert("RGB")) for image in images]
        parts = [part for slices, _ in found for part in slices]
        sizes = [(part.height // self.patch_size, part.width // self.patch_size) for part in parts]
        pixels = torch.cat([self.patches(part) for part in parts], dim=-1)[None]
        return BatchFeature({"pixel_values": pixels, "tgt_sizes": torch.tensor(sizes), "grids": [g for _, g in found]})
