"""Any kind of pixels as RGB of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def flat(image: Image.Image) -> Image.Image:
    """The current frame as RGB, transparency on white. The result never shares memory with ``image``."""
    from PIL import Image

    match image.mode:
        case "I;16" | "I;16L" | "I;16B" | "I;16N" | "I" | "F":
            return eight_bits(image).convert("RGB")
        case "RGBa" | "La":
            image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, scaled (Pillow's own conversion clips it to white)."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode.startswith("I;16") or (image.mode == "I" and 255 < high <= 65535 and low >= 0):
        values /= 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        values *= 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / (high - low))
    return Image.fromarray(np.nan_to_num(values).round().clip(0, 255).astype(np.uint8))
