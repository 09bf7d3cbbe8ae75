"""How media are read: the panel Reading media."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .option import MEDIA, at_least, flag_in, option_in, within

option, flag = option_in(MEDIA), flag_in(MEDIA)


@dataclass(frozen=True)
class MediaParams:
    """Sizes of images, pages of documents, and frames of videos."""

    max_edge: Annotated[
        int | None, option("--max-edge", metavar="N", callback=at_least(1), help="Shrink images to N pixels at most.")
    ] = None
    pdf_dpi: Annotated[
        int | None,
        option("--pdf-dpi", metavar="N", callback=within(20, 600), help="Pixels an inch of a PDF page (150)."),
    ] = None
    pdf_text: Annotated[bool, flag("--pdf-text", help="Give the text of each PDF page before its image.")] = False
    soundtrack: Annotated[bool, flag("--soundtrack", help="Give the sound of videos after their frames.")] = False
    video_frames: Annotated[
        int | None, option("--video-frames", metavar="N", callback=at_least(1), help="Take N frames, evenly spread.")
    ] = None
    video_fps: Annotated[
        float | None, option("--video-fps", metavar="F", callback=at_least(0), help="Take F frames a second instead.")
    ] = None
    video_start: Annotated[
        float | None, option("--video-start", metavar="SEC", callback=at_least(0), help="Skip what comes before.")
    ] = None
    video_end: Annotated[
        float | None, option("--video-end", metavar="SEC", callback=at_least(0), help="Skip what comes after.")
    ] = None
