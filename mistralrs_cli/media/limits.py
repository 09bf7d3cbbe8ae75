"""The errors for media that exceed the policy, and the bounds that hold for everybody."""

from ..errors import MediaDecodeError, MediaTooLarge
from ..options import MediaPolicy
from ..sizes import readable
from .labels import label

SLOWEST, FASTEST = 1_000, 3_072_000
"""Samples a second that audio may have: telephones begin at 8,000, studios end at 768,000."""


def check_bytes(size: int, source: str, policy: MediaPolicy) -> None:
    """Raise ``MediaTooLarge`` for more bytes than the policy allows."""
    if size > policy.max_bytes:
        raise MediaTooLarge(
            f"{label(source)} is larger than the limit of {readable(policy.max_bytes)}",
            "Give a smaller or compressed file.",
        )


def check_pixels(width: int, height: int, source: str, policy: MediaPolicy, unit: str = "pixels") -> None:
    """Raise ``MediaTooLarge`` for an image or frame of more pixels than the policy allows."""
    if width * height > policy.pixels:
        raise MediaTooLarge(
            f"{label(source)} has {width}×{height} {unit}, more than the limit of {policy.pixels}",
            f"Shrink {'the video' if 'frame' in unit else 'the image'} first.",
        )


def check_rate(hertz: int, source: str) -> None:
    """Raise ``MediaDecodeError`` for a sample rate that no recording has: resampling it would take for ever."""
    if not SLOWEST <= hertz <= FASTEST:
        raise MediaDecodeError(
            f"{label(source)} claims {hertz:,} samples a second; {SLOWEST:,} to {FASTEST:,} are possible",
            "Save the audio again.",
        )


def too_long(source: str, policy: MediaPolicy) -> MediaTooLarge:
    """The error for audio or a video that lasts longer than the policy allows."""
    return MediaTooLarge(
        f"{label(source)} lasts longer than the limit of {policy.seconds:g} s", "Give a shorter one, or a part of it."
    )


def too_slow(source: str, policy: MediaPolicy) -> MediaTooLarge:
    """The error for a medium whose time for decoding is over."""
    return MediaTooLarge(
        f"{label(source)} takes longer than {policy.decode_seconds:g} s to decode", "Give a shorter or smaller one."
    )


def out_of_memory(source: str) -> MediaTooLarge:
    """The error for a medium that there is not enough memory for."""
    return MediaTooLarge(f"{label(source)} does not fit in memory once it is decoded", "Give a smaller one.")
