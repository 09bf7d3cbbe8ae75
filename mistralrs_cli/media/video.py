"""The wanted frames of a video or of an animated image."""

from __future__ import annotations

from pathlib import Path

from ..decoded import DecodedVideo
from ..messages import MediaOptions
from ..options import MediaPolicy
from .formats import beginning, identify
from .kinds import refuse_other
from .timeline import Timeline, VideoSampling, check, select_frames

__all__ = ["DecodedVideo", "VideoSampling", "decode_video"]


def decode_video(
    content: bytes | Path, source: str, options: MediaOptions, sampling: VideoSampling, policy: MediaPolicy
) -> DecodedVideo:
    """The frames of a video that ``options``, else the family's ``sampling``, ask for.

    ``content`` is its bytes, or the file that it is read from, which is no image.

    Rotation is applied and pixels are made square. Times are the real ones, also where the rate varies. Frames take
    at most 1 GiB together; larger ones are scaled down.

    Raises:
        OptionError: options that fit no video (an end before the start).
        MediaDecodeError: not a video, without a video stream, or damaged.
        MediaTooLarge: more pixels, seconds or frames than the policy allows.
        MediaError: the start lies beyond the end, or there is no ffmpeg.
    """
    check(options)
    head = content if isinstance(content, bytes) else beginning(content)
    refuse_other(head, source, "video")

    def choose(timeline: Timeline) -> tuple[int, ...]:
        return select_frames(timeline, source, options, sampling, policy)

    found, sound = identify(head), False
    if isinstance(content, bytes) and found is not None and found.kind == "image" and found.name != "HEIC":
        from .animation import read_animation

        frames, indices, timeline, (width, height), note = read_animation(content, source, policy, choose)
    else:
        from .video_ffmpeg import read_video

        frames, indices, timeline, (width, height), note, sound = read_video(content, source, policy, choose)
    times = tuple(timeline.times[index] for index in indices)
    return DecodedVideo(frames, indices, timeline.fps, len(timeline.times), width, height, times, note, sound)
