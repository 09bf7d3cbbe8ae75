"""Filters that turn the colours of an HDR or wide-gamut video into those of a screen (SDR, sRGB)."""

from __future__ import annotations

from dataclasses import dataclass

from .streams import Stream

HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
"""Transfer functions of HDR, by ffmpeg's names, and what people call them."""
WHITE = 203
"""Luminance of white paper in HDR, in nits (ITU-R BT.2408); on the screen it becomes nearly white."""
PEAK = 1000
"""Luminance that becomes the screen's white, in nits; what is brighter is cut. Most HDR is graded for it."""
KNEE = 0.8
"""Up to this part of white tones stay as they are; highlights share the rest."""
_WIDE = ("bt2020", "smpte431", "smpte432")


@dataclass(frozen=True, slots=True)
class Tones:
    """Filters for the end of a chain, and a note for the user."""

    filters: tuple[str, ...] = ()
    note: str = ""


def to_srgb(stream: Stream) -> Tones:
    """What a stream needs: tone mapping for PQ and HLG, a change of gamut for BT.2020 and Display P3, else nothing."""
    hdr = stream.transfer in HDR
    if not hdr and stream.primaries not in _WIDE:
        return Tones()
    primaries = "bt2020" if stream.primaries == "unknown" else stream.primaries
    transfer = stream.transfer if hdr else "bt709"
    # as RGB first: zscale takes no odd sizes of subsampled colours
    chain = ["setparams=colorspace=bt2020nc"] if stream.matrix == "unknown" else []
    chain += [
        "format=gbrp16le",
        f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace=gbr:range=pc",
    ]
    chain += [f"zscale=t=linear:npl={WHITE}", "format=gbrpf32le", "zscale=p=bt709"]
    if hdr:
        chain.append(f"tonemap=mobius:param={KNEE}:peak={PEAK / WHITE:.4f}:desat=0")
    chain += [f"zscale=t={'iec61966-2-1' if hdr else 'bt709'}:m=gbr:r=full", "format=gbrp"]
    return Tones(tuple(chain), f"{HDR[stream.transfer]} (HDR) shown as SDR" if hdr else "")
