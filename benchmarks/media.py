"""CPU time and memory of decoding media: here from the file's place, here from bytes, and with PyAV and Pillow.

    python -m benchmarks.media [--rounds 3] [--only film60] [--pyav OTHER/bin/python] [--folder /tmp/media]

32 frames of a minute of 1080p and of half an hour of 720p, and a JPEG of 48 megapixels down to 1024. Each in a new
process, alternating: seconds, CPU seconds of the process and its children, the most memory of the process and of a
child, and how many frames are byte for byte those of the first column. ``--pyav`` names a Python that has the package
``av``, which mistralrs does not need; ``--folder`` keeps the clips, which are drawn by ffmpeg, for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any

FRAMES = 32
EDGE = 1024
GOP = 250
"""Frames from one key frame to the next, x264's default."""


def clips(folder: Path) -> dict[str, Path]:
    """The media, drawn where they are not there yet."""
    import numpy as np
    from PIL import Image

    from mistralrs_cli.media.ffmpeg import executable

    def ffmpeg(*arguments: str) -> None:
        subprocess.run([executable(), "-y", "-loglevel", "error", *arguments], check=True)

    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in ("film60.mp4", "film1800.mp4", "big.jpg")}
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(GOP), "-pix_fmt", "yuv420p"]
    if not paths["film60.mp4"].exists():
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30:d=60", *encoder, str(paths["film60.mp4"]))
    if not paths["film1800.mp4"].exists():  # a minute, repeated without encoding it again
        minute = folder / "minute.mp4"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=60", *encoder, str(minute))
        ffmpeg("-stream_loop", "29", "-i", str(minute), "-c", "copy", str(paths["film1800.mp4"]))
        minute.unlink()
    if not paths["big.jpg"].exists():
        y, x = np.mgrid[0:6000, 0:8000].astype(np.float32)
        waves = np.stack([np.sin(x / 37) * np.cos(y / 53), np.sin((x + y) / 91), np.cos(x * y / 4e6)], -1)
        waves += np.random.default_rng(0).normal(0, 0.05, waves.shape).astype(np.float32)
        Image.fromarray(((waves.clip(-1, 1) + 1) * 127.5).astype("uint8")).save(paths["big.jpg"], quality=90)
    return paths


def digests(frames: Any) -> list[str]:
    """One for each frame, uint8 [height, width, 3]."""
    return [hashlib.sha256(frame.tobytes()).hexdigest()[:16] for frame in frames]


def here(path: str, *, in_place: bool) -> Any:
    """What ``mistralrs run`` does with a file, or what it does with bytes that came from elsewhere."""
    from mistralrs_cli.decoded import DecodedVideo
    from mistralrs_cli.media import VideoSampling, decode, fetch
    from mistralrs_cli.media.sources import fetch_or_name
    from mistralrs_cli.messages import MediaOptions, MediaRef
    from mistralrs_cli.options import MediaPolicy

    policy = MediaPolicy(max_bytes=1 << 33)
    if path.endswith(".jpg"):
        medium = MediaRef("image", path, options=MediaOptions(max_edge=EDGE))
        decode(fetch(medium, policy), policy)
        return None
    found = (fetch_or_name if in_place else fetch)(MediaRef("video", path), policy)
    video = decode(found, policy, sampling=VideoSampling(frames=FRAMES)).data
    assert isinstance(video, DecodedVideo)
    return video.frames


def pyav(path: str, *, seek: bool) -> Any:
    """PyAV decodes everything, or from the key frame before each wanted frame on."""
    import av  # type: ignore[import-not-found]

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        wanted = [number * stream.frames // FRAMES for number in range(FRAMES)]
        if not seek:
            kept, numbers = [], set(wanted)
            for number, frame in enumerate(container.decode(stream)):
                if number in numbers:
                    kept.append(frame.to_ndarray(format="rgb24"))
                    if len(kept) == FRAMES:
                        break
            return kept
        rate, base, begin = stream.average_rate, stream.time_base, stream.start_time or 0
        kept, at = [], -1
        frames: Any = ()
        for number in wanted:
            if at < 0 or number - at > GOP:
                container.seek(begin + int(number / rate / base), stream=stream, backward=True)
                frames = container.decode(stream)
            for frame in frames:
                at = round((frame.pts - begin) * base * rate)
                if at >= number:
                    kept.append(frame.to_ndarray(format="rgb24"))
                    break
        return kept


def pillow(path: str, *, draft: bool) -> Any:
    """Pillow alone, with its JPEG decoder shrinking on the way, or without."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as image:
        if draft:
            image.draft("RGB", (2 * EDGE, 2 * EDGE))
        whole = image.convert("RGB")
        whole.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS, reducing_gap=3.0)


WAYS: dict[str, Callable[[str], Any]] = {
    "here, from its place": lambda path: here(path, in_place=True),
    "here, from bytes": lambda path: here(path, in_place=False),
    "PyAV, seek": lambda path: pyav(path, seek=True),
    "PyAV, decode all": lambda path: pyav(path, seek=False),
    "Pillow, draft": lambda path: pillow(path, draft=True),
    "Pillow, whole": lambda path: pillow(path, draft=False),
}
SKIPPED = {("film1800.mp4", "PyAV, decode all")}


def own_memory() -> float:
    """The most memory that this process has taken, in GB; Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e6


def measure(way: str, path: str) -> dict[str, Any]:
    """One decoding, in this process."""
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    begun, before = time.perf_counter(), time.process_time()
    frames = WAYS[way](path)
    seconds, own = time.perf_counter() - begun, time.process_time() - before
    children = getrusage(RUSAGE_CHILDREN)
    return {
        "seconds": seconds,
        "cpu": own + children.ru_utime + children.ru_stime,
        "memory": (own_memory(), children.ru_maxrss / 1e6),
        "frames": None if frames is None else digests(frames),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--pyav", default=sys.executable)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(*chosen.measure)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for name, path in clips(chosen.folder or Path(temporary)).items():
            if chosen.only in name:
                compare(name, path, chosen.rounds, chosen.pyav)


def compare(name: str, path: Path, rounds: int, with_pyav: str) -> None:
    """All ways of decoding one file, in turn."""
    kind = "Pillow" if name.endswith(".jpg") else "PyAV"
    ways = [way for way in WAYS if way.startswith(("here", kind)) and (name, way) not in SKIPPED]
    if kind == "Pillow":
        ways.remove("here, from its place")  # images are read whole
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for way in ways:
            python = with_pyav if kind == "PyAV" and way.startswith(kind) else sys.executable
            command = [python, __file__, "--measure", way, str(path)]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(f"{way}: {done.stderr.strip().splitlines()[-1]}")
                ways.remove(way)
                break
            found.setdefault(way, []).append(json.loads(done.stdout))
    print(f"{name}, load {os.getloadavg()[0]:.1f}:  CPU s median (best)   seconds   GB own / child   same frames")
    first = next(iter(found.values()))[0]["frames"]
    for way, runs in found.items():
        cpu = [run["cpu"] for run in runs]
        own, child = (max(run["memory"][place] for run in runs) for place in (0, 1))
        same = f"{sum(a == b for a, b in zip(first, runs[0]['frames'], strict=True))}/{len(first)}" if first else ""
        seconds = median(run["seconds"] for run in runs)
        print(f"  {way:22} {median(cpu):8.2f} ({min(cpu):.2f}) {seconds:9.2f}     {own:5.2f} / {child:.2f}   {same}")


if __name__ == "__main__":
    main()
