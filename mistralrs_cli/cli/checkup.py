"""What is installed and what works, found by trying it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from .. import __version__
from ..errors import MistralrsError, reason
from ..messages import MediaBytes, Message, Text
from ..options import MediaPolicy, ModelOptions, Sampling, short_name
from ..sizes import readable
from ..start import Models
from .config_file import ConfigFile

CheckFile = Callable[[ConfigFile], None]
State = Literal["ok", "warn", "fail"]
HUB_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``cure`` says what to type where it is not well."""

    subject: str
    state: State
    text: str
    cure: str | None = None


def checkup(options: ModelOptions, models: Models, check_file: CheckFile) -> Iterator[Finding]:
    """Look at everything an answer needs, from the interpreter to an answer, one finding after the other."""
    checks: list[Callable[[], Finding]] = [
        python, lambda: configuration(check_file), torch_build, accelerator, memory, transformers_build,
        quantization, kernels, images, audio, video,
        running, lambda: disk(options), lambda: hub(options), lambda: answer(models),
    ]  # fmt: skip
    for check in checks:
        yield check()


def python() -> Finding:
    """The interpreter and this package."""
    where = f"{platform.system()} {platform.machine()}"
    return Finding("mistralrs", "ok", f"{__version__} on Python {platform.python_version()}, {where}")


def configuration(check: CheckFile) -> Finding:
    """The user's configuration file, all of it."""
    from .config_check import unknown_models
    from .config_file import read_config

    try:
        file = read_config()
        check(file)
        unknown = unknown_models(file)
    except MistralrsError as error:
        return Finding("configuration", "fail", error.message, error.hint)
    if not file.text:
        return Finding("configuration", "ok", f"none; {file.path} would be read")
    if file.holds_secret and file.readable_by_others:
        text = f"{file.path} holds a secret, and others can read it"
        return Finding("configuration", "warn", text, f"chmod 600 {file.path}")
    if unknown:
        hint = "A table counts for the model that -m names in the same words: mistralrs config edit"
        return Finding("configuration", "warn", f"{file.path}, {'; '.join(unknown)}", hint)
    return Finding("configuration", "ok", str(file.path))


def torch_build() -> Finding:
    """PyTorch and, as its neighbour must fit, torchvision."""
    try:
        from ..loading.torchvision import ensure_importable

        ensure_importable()
        import torch
        import torchvision
    except Exception as error:  # a broken build fails in many ways
        return Finding("torch", "fail", reason(error), 'pip install "torch>=2.11,<2.14" torchvision')
    return Finding("torch", "ok", f"{torch.__version__}, torchvision {torchvision.__version__}")


def accelerator() -> Finding:
    """What models run on."""
    import torch

    from ..loading.compat import has_bfloat16

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        return Finding("device", "ok", ", ".join(f"{card.name}, {readable(card.total_memory)}" for card in cards))
    if torch.backends.mps.is_available():
        return Finding("device", "ok", "Apple GPU (Metal)")
    text = f"CPU, {os.cpu_count()} cores, bfloat16 {'in hardware' if has_bfloat16() else 'emulated'}"
    if shutil.which("nvidia-smi"):
        cure = "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu128"
        return Finding("device", "warn", f"{text}; there is an NVIDIA driver, but this PyTorch cannot use it", cure)
    return Finding("device", "ok", text)


def memory() -> Finding:
    """Main memory, and what of it is free."""
    import psutil

    found = psutil.virtual_memory()
    return Finding("memory", "ok", f"{readable(found.available)} free of {readable(found.total)}")


def running() -> Finding:
    """The engines of this user that run, each with its model: they take memory, too."""
    from ..attach import engines

    found = [
        f"{short_name(record.model)} ({'stuck' if said is None else said['state']}, process {record.process})"
        for record, said in engines()
    ]
    return Finding("engines", "ok", ", ".join(found) or "none runs")


def transformers_build() -> Finding:
    """transformers and the processors it offers."""
    try:
        import transformers
        from transformers import AutoProcessor  # noqa: F401
    except Exception as error:  # it imports whatever is installed beside it
        return Finding("transformers", "fail", reason(error), 'pip install "transformers>=5.23,<5.24"')
    return Finding("transformers", "ok", transformers.__version__)


def quantization() -> Finding:
    """bitsandbytes: for nf4 and fp4, and on CUDA for 4 and 8 bits."""
    try:
        import bitsandbytes
    except Exception as error:  # it looks for CUDA when imported
        missing = "no --quant nf4 or fp4, and on CUDA no 4 and 8"
        return Finding("bitsandbytes", "warn", f"{reason(error)}: {missing}", "pip install bitsandbytes")
    return Finding("bitsandbytes", "ok", bitsandbytes.__version__)


def kernels() -> Finding:
    """Which kernels multiply quantized weights on this CPU."""
    from ..errors import OptionError
    from ..loading.ggml.library import FOLDER
    from ..loading.quantization.ggml_probe import verdict
    from ..loading.quantization.kernel_pin import PIN, pin
    from ..loading.quantization.kernels import choices

    try:
        pinned = pin()
    except OptionError as error:
        return Finding("kernels", "fail", str(error), f"unset {PIN}")
    if pinned is not None:
        return Finding("kernels", "ok", f"{pinned} for every shape, by {PIN}")
    found = choices()
    counted = f"{len(found)} shapes measured, in {found.file}" if len(found) else "measured when first used"
    ggml = verdict()
    if ggml is None:
        return Finding("kernels", "ok", counted)
    if ggml.failure:
        return Finding(
            "kernels", "warn", f"{counted}; ggml is not used: {ggml.failure}", f"set {FOLDER} to another or off"
        )
    return Finding("kernels", "ok", f"{counted}; ggml {ggml.version} for {' '.join(ggml.types)}")


def images() -> Finding:
    """Pillow and what this build of it reads."""
    from PIL import Image, features

    Image.init()
    wanted = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
    names = [name for name in wanted if name in Image.OPEN and (name != "AVIF" or features.check("avif"))]
    return Finding("images", "ok", ", ".join(names))


def audio() -> Finding:
    """libsndfile and what it reads without ffmpeg."""
    try:
        import soundfile
        import soxr  # noqa: F401
    except (ImportError, OSError) as error:
        return Finding("audio", "fail", reason(error), "pip install soundfile soxr")
    formats = [name for name in ("WAV", "MP3", "FLAC", "OGG") if name in soundfile.available_formats()]
    return Finding("audio", "ok", ", ".join(formats) + "; everything else through ffmpeg")


def video() -> Finding:
    """ffmpeg, for video and less common audio formats."""
    from ..media import ffmpeg

    try:
        program = ffmpeg.executable()
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (MistralrsError, OSError, subprocess.SubprocessError) as error:
        return Finding("video", "fail", reason(error), "pip install imageio-ffmpeg")
    return Finding("video", "ok", " ".join(done.stdout.split()[:3]))


def disk(options: ModelOptions) -> Finding:
    """Free disk space for downloads."""
    from ..loading.hub_cache import cache_folder

    folder = cache_folder(options.hf_cache)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{readable(free)} free in {folder}"
    if not os.access(existing, os.W_OK):
        return Finding("downloads", "fail", f"{folder} cannot be written", "Name another: --hf-cache DIR")
    if free < 10e9:
        return Finding("downloads", "warn", f"{text}: too little for most models", "mistralrs cache list")
    return Finding("downloads", "ok", text)


def hub(options: ModelOptions) -> Finding:
    """Whether the hub answers, and to whom. A machine without a network is fine for local models."""
    import httpx
    from huggingface_hub import constants, get_token

    from ..loading.checkpoint import hub_token

    chosen = hub_token(options.token_source)
    known = "with a token" if (get_token() if chosen is None else chosen) else "without a token"
    if constants.HF_HUB_OFFLINE:
        return Finding("hub", "ok", f"not checked (HF_HUB_OFFLINE), {known}")
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_SECONDS, follow_redirects=True)
    except httpx.HTTPError as error:
        return Finding(
            "hub",
            "warn",
            f"{constants.ENDPOINT} cannot be reached: {reason(error)}",
            "Local folders and the demo model work without it; for downloads, connect to the network.",
        )
    return Finding("hub", "ok", f"{constants.ENDPOINT} answers, {known}")


def answer(models: Models) -> Finding:
    """A real answer: the bundled model looks at a red square."""
    try:
        from ..media import decode

        begun = time.perf_counter()
        options = ModelOptions(max_seqs=1)
        with models.start(models.open(options), options) as engine:
            seconds = time.perf_counter() - begun
            image = decode(MediaBytes("image", "a red square", data=red_square()), MediaPolicy())
            question = Message("user", (image, Text("What is in this picture?")))
            reply = engine.generate((question,), Sampling(temperature=0, max_tokens=40)).text.strip()
    except Exception as error:  # whatever breaks here would break every answer
        return Finding("answer", "fail", reason(error), "MISTRALRS_DEBUG=1 mistralrs run -i Hello shows more.")
    taken = time.perf_counter() - begun - seconds
    text = f"the demo model, loaded in {seconds:.1f} s, describes a red square after {taken:.1f} s: {reply}"
    if "red" in reply.lower():
        return Finding("answer", "ok", text)
    return Finding(
        "answer", "fail", text, "This installation computes wrong results: pip install --force-reinstall torch"
    )


def red_square() -> bytes:
    """A red square on white, 128x128 pixels, as PNG."""
    from PIL import Image

    canvas = Image.new("RGB", (128, 128), "white")
    canvas.paste((220, 30, 30), (36, 36, 92, 92))
    file = BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()
