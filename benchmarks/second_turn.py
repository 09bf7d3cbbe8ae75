"""Seconds to the first token of a follow-up: with the first turn's cache, and with everything run again.

    python -m benchmarks.second_turn [--model demo] [--video examples/media/clip.mp4] [--image …] [--rounds 5]

Both sides are the same loaded model in one process, alternating. The answers of both must be equal.
"""

from __future__ import annotations

import argparse
from statistics import median

from mistralrs_cli.engine import Engine
from mistralrs_cli.events import Reply
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.media.reading import read_media
from mistralrs_cli.messages import Media, MediaRef, Message, Modality, Text
from mistralrs_cli.options import MediaPolicy, ModelOptions, Sampling

GREEDY = Sampling(temperature=0.0, max_tokens=12, ignore_eos=True)


def two_turns(engine: Engine, media: tuple[Media, ...]) -> tuple[Reply, Reply]:
    """A question about media, and a follow-up."""
    asked = Message("user", (*media, Text("What do you see?")))
    first = engine.generate([asked], GREEDY)
    said = Message("assistant", (Text(first.text),))
    return first, engine.generate([asked, said, Message("user", (Text("Which colour is it?"),))], GREEDY)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--video", action="append", default=[])
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    sources: list[tuple[Modality, str]] = [("image", path) for path in chosen.image] + [
        ("video", path) for path in chosen.video
    ]
    media = tuple(MediaRef(kind, path) for kind, path in sources or [("video", "examples/media/clip.mp4")])
    options = ModelOptions(model_id=chosen.model, dtype="f32", cpu=True, threads=chosen.threads)
    loaded = load(open_checkpoint(options), options)
    family = loaded.family
    read = read_media([Message("user", media)], MediaPolicy(), rate=family.audio_rate, sampling=family.sampling)[
        0
    ].media
    seconds: dict[str, list[float]] = {"first": [], "again": [], "reused": []}
    for _ in range(chosen.rounds):
        with Engine(loaded) as plain, Engine(loaded, prefixes=4) as keeping:
            first, again = two_turns(plain, read)
            _, reused = two_turns(keeping, read)
        seconds["first"].append(first.timing.first_token)
        seconds["again"].append(again.timing.first_token)
        seconds["reused"].append(reused.timing.first_token)
    usage = reused.usage
    print(f"{loaded.name}, float32, {chosen.threads} thread(s), {chosen.rounds} rounds, medians")
    rows = {
        f"first turn, {first.usage.prompt_tokens:,} tokens": seconds["first"],
        f"follow-up, {usage.prompt_tokens:,} tokens, all run again": seconds["again"],
        f"follow-up, {usage.cached_tokens:,} of them reused": seconds["reused"],
    }
    for name, times in rows.items():
        print(f"{name:<40} {median(times):7.3f} s to the first token")
    print(f"same answers: {'yes' if again.text == reused.text else 'NO'}")


if __name__ == "__main__":
    main()
