"""Images whose colours are told by code points (ITU-T H.273): wide gamuts, and HDR by PQ or HLG, as sRGB."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .tones import KNEE, PEAK, WHITE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Floats = NDArray[np.float32]

PQ, HLG = 16, 18
# chromaticities (x, y) of red, green, blue and white: ITU-R BT.2020, DCI-P3 as it is used on screens, and BT.709
_WIDE = {
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3140, 0.3510)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
}
_SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), (0.3127, 0.3290))
# rows that are worked on together, to bound the memory
_ROWS = 256


def to_srgb(image: Image.Image, primaries: int, transfer: int) -> Image.Image:
    """An image whose code points mean other colours than sRGB's as sRGB; any other as it is.

    PQ and HLG are tone-mapped: white paper (203 nits) stays nearly white, and highlights up to 1,000 nits keep their
    differences.
    """
    import numpy as np
    from PIL import Image

    hdr = transfer in (PQ, HLG)
    if not hdr and primaries not in _WIDE:
        return image
    pixels = np.array(image.convert("RGB"))
    light = _to_light(transfer)
    curve = _from_light()
    matrix = _matrix(primaries)
    for start in range(0, len(pixels), _ROWS):
        linear = light[pixels[start : start + _ROWS]]
        if transfer == HLG:  # the brightness of the whole decides, as on a screen of 1,000 nits (BT.2100)
            luminance = linear @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            linear *= (luminance**0.2)[..., None] * np.float32(PEAK / WHITE)
        linear = linear @ matrix.T
        if hdr:
            linear = _mapped(linear)
        pixels[start : start + _ROWS] = curve[(linear.clip(0, 1) * (len(curve) - 1)).round().astype(np.intp)]
    return Image.fromarray(pixels)


def note(transfer: int) -> str:
    """What a user should know of an image with this transfer function."""
    return {PQ: "PQ (HDR) shown as SDR", HLG: "HLG (HDR) shown as SDR"}.get(transfer, "")


def _mapped(linear: Floats) -> Floats:
    """Tone mapping by a Möbius curve on the brightest of the three colours, as ffmpeg's ``tonemap=mobius``."""
    import numpy as np

    peak, knee = PEAK / WHITE, KNEE
    a = -knee * knee * (peak - 1) / (knee * knee - 2 * knee + peak)
    b = (knee * knee - 2 * knee * peak + peak) / (peak - 1)
    brightest = linear.max(axis=-1, keepdims=True).clip(1e-6, peak)
    above = (b * b + 2 * b * knee + knee * knee) / (b - a) * (brightest + a) / (brightest + b)
    scale = np.where(brightest <= knee, 1.0, above / brightest)
    return (linear * scale).astype(np.float32)


@lru_cache
def _to_light(transfer: int) -> Floats:
    """``float32 [256]``: light of each level, 1 being white. PQ: SMPTE ST 2084; HLG: ITU-R BT.2100, of the scene."""
    import numpy as np

    level = np.arange(256) / 255
    if transfer == PQ:
        root = level ** (32 / 2523)
        light = (np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)
        light = light * 10_000 / WHITE
    elif transfer == HLG:
        light = np.where(level <= 0.5, level**2 / 3, (np.exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@lru_cache
def _from_light() -> NDArray[np.uint8]:
    """The level of each of 65,536 steps of light, by the curve of sRGB (IEC 61966-2-1)."""
    import numpy as np

    light = np.linspace(0, 1, 1 << 16)
    level = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    found: NDArray[np.uint8] = (level * 255).round().astype(np.uint8)
    return found


@lru_cache
def _matrix(primaries: int) -> Floats:
    """From light of these primaries to light of sRGB's: ``float32 [3, 3]``."""
    import numpy as np

    found: Floats = (np.linalg.inv(_to_xyz(_SRGB)) @ _to_xyz(_WIDE.get(primaries, _SRGB))).astype(np.float32)
    return found


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    import numpy as np

    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in chromaticities]).T
    whole: NDArray[np.float64] = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    return whole
