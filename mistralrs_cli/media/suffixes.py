"""What the suffix of a name suggests. Bytes decide; a suffix only says which words are worth looking up."""

from pathlib import PurePosixPath

from ..messages import Modality

# What Pillow, soundfile and ffmpeg read, as far as the suffix is a name people know for it.
_NAMES: dict[Modality, str] = {
    "image": "apng avif avifs blp bmp cur dcx dds dib flc fli gif heic heif hif icns ico j2c j2k jfif jp2 jpc jpe jpeg "
    "jpf jpg jpx jxl mpo pbm pcx pfm pgm png pnm ppm psd qoi sgi tga tif tiff webp",
    "audio": "3ga aac ac3 adts aif aifc aiff alac amr ape au caf eac3 flac m4a m4b m4r mka mp2 mp3 mpa oga ogg opus "
    "rf64 spx tak tta voc w64 wav wave weba wma wv",
    "video": "3g2 3gp asf avi divx dv f4v flv h264 h265 hevc ivf m1v m2ts m2v m4v mjpeg mjpg mk3d mkv mov mp4 mpe mpeg "
    "mpg mxf nut ogm ogv qt rmvb vob webm wmv y4m",
}
# Suffixes that other files have as well: TypeScript, C, PostScript, data.
_SHARED: dict[Modality, str] = {
    "image": "bw ftc ftu gbr icb iim im msp pcd pxr ras rgb rgba vda vst xbm xpm",
    "audio": "aa avr dff dsf dss dts gsm htk iff ircam mat mpc nist paf pvf qoa ra sd2 sds sf shn snd sph svx wve xi",
    "video": "264 265 amv bik dat m2t mod mts rm roq smk tod trp ts wtv",
}

CERTAIN: dict[str, Modality] = {suffix: kind for kind, names in _NAMES.items() for suffix in names.split()}
"""Suffixes that belong to media alone."""
POSSIBLE: dict[str, Modality] = {suffix: kind for kind, names in _SHARED.items() for suffix in names.split()}
"""Suffixes that belong to media among others."""


def suffix_of(path: str) -> str:
    """The suffix in lower case without its dot; empty where there is none."""
    return PurePosixPath(path.replace("\\", "/")).suffix[1:].lower()


def suggested(path: str) -> Modality | None:
    """The kind that a name suggests, if any."""
    suffix = suffix_of(path)
    return CERTAIN.get(suffix) or POSSIBLE.get(suffix)
