"""The parts of a model that turn media into what its decoder reads, and how one call of them holds several media."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encoder:
    """A method or module of the base model, by its ``path``, whose results may be kept and used again.

    What it gives must depend on its arguments alone, for each item (an image, tile, frame or window) on that item's
    alone. Along ``axis`` each of its tensors has one place for every item, and its results as well. Where items are
    packed one behind the other instead, the argument ``sizes`` [items, …] says how much of that axis each of them
    takes, as the product of its row; the results then have one place for an item along their first axis.
    """

    path: str
    axis: int = 0
    sizes: str | None = None

    @property
    def result_axis(self) -> int:
        """The axis of a result that has a place for every item."""
        return self.axis if self.sizes is None else 0


IMAGES = Encoder("get_image_features")
VIDEOS = Encoder("get_video_features")
AUDIO = Encoder("get_audio_features")
GRIDS = (
    Encoder("get_image_features", sizes="image_grid_thw"),
    Encoder("get_video_features", sizes="video_grid_thw"),
)
