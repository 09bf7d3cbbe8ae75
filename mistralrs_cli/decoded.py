"""What media are once they are decoded: the pixels of an image, the samples of audio, the frames of a video."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """``image`` is RGB and upright, perhaps shrunk; ``width`` and ``height`` are those of the original in pixels,
    upright; ``format`` is its format's name (``JPEG``). ``more`` says that it is the first of several in the file;
    ``note`` what else a user should know, such as that a part of it is missing."""

    image: Image.Image
    width: int
    height: int
    format: str
    more: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """``samples`` is ``float32 [samples]``, mono, within -1..1, ``rate`` of them a second; ``note`` says what a user
    should know of them, such as which of several audio tracks they are."""

    samples: NDArray[np.float32]
    rate: int
    note: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def wav(self) -> bytes:
        """A WAV file of 16 bits, which every server reads."""
        import soundfile

        file = BytesIO()
        soundfile.write(file, self.samples, self.rate, format="WAV", subtype="PCM_16")
        return file.getvalue()


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """``frames`` is ``uint8 [frames, height, width, 3]``, RGB, upright; ``indices`` are their numbers in the source and
    ``times`` when they are shown, in seconds from its first frame. ``fps`` (on average) and ``total`` are the
    source's rate and count of frames; ``width`` and ``height`` are the source's in pixels, upright (``frames`` may
    be smaller, to fit in memory). ``note`` says what a user should know of them, such as which of several tracks.
    ``sound`` says that the source has an audio track."""

    frames: NDArray[np.uint8]
    indices: tuple[int, ...]
    fps: float
    total: int
    width: int
    height: int
    times: tuple[float, ...] = ()
    note: str = ""
    sound: bool = False

    @property
    def seconds(self) -> float:
        """How long the source lasts."""
        return self.total / self.fps


Decoded = DecodedImage | DecodedAudio | DecodedVideo
