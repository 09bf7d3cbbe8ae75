"""What the suffix of a name suggests. Bytes decide; a suffix only says which words are worth looking up."""

from pathlib import PurePosixPath

from ..messages import Modality
from .spellings import split_pages

# What Pillow, soundfile and ffmpeg read, as far as the suffix is a name people know for it.
_NAMES: dict[Modality, str] = {
    "image": "apng avif avifs blp bmp cur dcx dds dib flc fli gif heic heif hif icns ico j2c j2k jfif jp2 jpc jpe jpeg "
    "jpf jpg jpx jxl mpo pbm pcx pdf pfm pgm png pnm ppm psd qoi sgi tga tif tiff webp",
    "audio": "3ga aa3 aac ac3 ac4 adts adx aif aifc aiff alac amr ape aptx aptxhd au bcstm bfstm brstm caf dfpwm dtshd "
    "eac3 ec3 flac g722 g723_1 g728 g729 isma m2a m4a m4b m4r mka mo3 mp2 mp3 mpa mptm mtm oga ogg oma opus "
    "rf64 s3m spx tak tta voc vqf w64 wav wave weba wma wv xm xvag",
    "video": "3g2 3gp asf avi cdxl divx dv f4v flv h261 h264 h265 h266 h26l hevc ismv ivf ivr kux m1v m2ts m2v m4v mj2 "
    "mjpeg mjpg mk3d mkv moflex mov mp4 mpe mpeg mpg mxf nut ogm ogv qt rmvb viv vob vvc webm wmv xmv y4m",
}
# Suffixes that other files have as well: TypeScript, C, PostScript, data.
_SHARED: dict[Modality, str] = {
    "image": "bw ftc ftu gbr icb iim im msp pcd pxr ras rgb rgba vda vst xbm xpm",
    "audio": "669 722 aa aax acm adp ads aea afc aix al amf ams apc apl ast avr binka bonk c2 cdata dbm dff digi dmf "
    "dsf dsm dss dtk dtm dts fap far fsb fwse gdm genh gsm hca htk iamf iff imf ircam it j2b laf lc3 m15 mac "
    "mat mca mdl med mlp mmcmp mms mpc msbc msf mt2 mtaf musx nist nsp nst okt omg osq paf plm psm pt36 ptm "
    "pvf qoa ra rco rka rsd rso sbc sd2 sdns sds sdx sf sfx sfx2 shn snd son sph ss2 st26 stk stm stp svag "
    "svs svx tco thd ul ult umx vag vpk vqe vql wa way wow wsd wve xi xmd xpk",
    "video": "264 265 266 amv apv avc avs avs2 avs3 bik bmv cdg dat dav dif evc flm ifv imx ipu ism m2t mod mods mts "
    "mvi mxg obu pdv psp rcv rm roq ser sga smk str tod trp ts ty usm vb vc1 wtv xl yop",
}

CERTAIN: dict[str, Modality] = {suffix: kind for kind, names in _NAMES.items() for suffix in names.split()}
"""Suffixes that belong to media alone."""
POSSIBLE: dict[str, Modality] = {suffix: kind for kind, names in _SHARED.items() for suffix in names.split()}
"""Suffixes that belong to media among others."""
_TEXT_NAMES = (
    "bash bat bib c cc cfg clj cmake conf cpp cs css csv cxx diff env ex fish go gradle graphql h hpp hs htm html ini "
    "ipynb java jinja jl js json jsonl jsx kt less lock log lua markdown md mdx ml mjs nix patch php pl po properties "
    "proto ps1 py pyi r rb rs rst rtf sass scala scss sh sql srt svelte svg swift tcl tex text tf toml ts tsv tsx txt "
    "vb vim vtt vue xml yaml yml zig zsh"
)
TEXTS = frozenset(_TEXT_NAMES.split())
"""Suffixes of texts."""


def suffix_of(path: str) -> str:
    """The suffix in lower case without its dot and pages; empty where there is none."""
    return PurePosixPath(split_pages(path)[0].replace("\\", "/")).suffix[1:].lower()


def suggested(path: str) -> Modality | None:
    """The kind that a name suggests, if any."""
    suffix = suffix_of(path)
    return CERTAIN.get(suffix) or POSSIBLE.get(suffix)
