"""How often is every key fact right? Fresh media as ordinary files, wording kept out of training, the product's core.

``python -m tools.demo_model.evaluate --n 100 [--dtype bf16|f32] [--quant 8|4] [--threads 1] [--show 20]``
"""

import argparse
import random
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.messages import Media, Message, Part, Text
from mistralrs_cli.options import MediaPolicy, ModelOptions
from tools.demo_model import files
from tools.demo_model.answers import key_facts
from tools.demo_model.clips import draw_clip
from tools.demo_model.conversations import CATEGORIES, Conversation, Talker
from tools.demo_model.intents import YES_NO
from tools.demo_model.media import Medium, Pool
from tools.demo_model.scenes import draw_scene
from tools.demo_model.sounds import HELD_OUT_VOICES, draw_sound, speech_bank

SEED = 90_210
ASPECTS = (1.0, 1.0, 4 / 3, 3 / 4, 16 / 9, 3 / 2, 9 / 16)


def fresh_pool(folder: Path, seed: int) -> Pool:
    """Contents only; a file is drawn when a conversation needs it. Voices are ones that training never heard."""
    rng = random.Random(seed)
    bank = speech_bank(folder / "speech.npy", HELD_OUT_VOICES)
    pictures, clips = [], []
    for _ in range(12_000):
        aspect = rng.choice(ASPECTS)
        pictures.append(Medium("image", draw_scene(rng, aspect), aspect))
    sounds = [Medium("audio", sound, samples) for sound, samples, _ in (draw_sound(rng, bank) for _ in range(1500))]
    for _ in range(400):
        clips.append(Medium("video", draw_clip(rng, rng.choice(ASPECTS))))
    return Pool(pictures, sounds, clips)


class Shelf:
    """Files of the media, each written once and read as the product reads it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.paths: dict[int, Path] = {}

    def path(self, medium: Medium) -> Path:
        key = id(medium)
        if key not in self.paths:
            name = self.folder / f"{medium.kind}-{len(self.paths)}"
            if medium.kind == "image":
                self.paths[key] = files.write_picture(medium.content, medium.data, self.rng, name)
            elif medium.kind == "audio":
                self.paths[key] = files.write_sound(medium.data, self.rng, name)
            else:
                self.paths[key] = files.write_clip(medium.content, self.rng, name)
        return self.paths[key]

    def messages(self, conversation: Conversation) -> list[Message]:
        """The turns before the answer; media are files not read yet."""
        messages = []
        for turn in conversation.turns[:-1]:
            media: list[Part] = [Media(medium.kind, str(self.path(medium))) for medium in turn.media]
            words: list[Part] = [Text(turn.text)] if turn.text else []
            parts = words + media if turn.text_first else media + words
            messages.append(Message("assistant" if turn.role == "model" else turn.role, tuple(parts)))
        return messages


def answer(engine: Engine, messages: list[Message]) -> str:
    """What the product says: files are fetched, decoded, prepared and answered as for any user."""
    family, policy = engine.loaded.family, MediaPolicy()

    def read(part: Part) -> Part:
        if isinstance(part, Text):
            return part
        return decode(fetch(part, policy), policy, rate=family.audio_rate, sampling=family.sampling)

    return engine.generate([Message(m.role, tuple(map(read, m.parts))) for m in messages]).text.strip()


class Tally:
    """Right answers by category and kind."""

    def __init__(self) -> None:
        self.rows: dict[str, list[bool]] = defaultdict(list)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, conversation: Conversation, right: bool, seconds: float) -> None:
        category = conversation.category
        self.rows[category].append(right)
        self.rows[f"{category}: {conversation.intent}"].append(right)
        self.seconds[category].append(seconds)
        if conversation.intent in YES_NO:
            self.rows["yes/no"].append(right)

    def table(self, title: str) -> str:
        lines = [title, f"{'':34}{'right':>6}{'of':>6}{'share':>8}{'s/answer':>10}"]
        for name in sorted(self.rows, key=lambda name: (name != "yes/no", name)):
            hits = self.rows[name]
            pace = sum(self.seconds[name]) / len(hits) if name in self.seconds else None
            label = f"  {name.partition(': ')[2]}" if ": " in name else name
            timing = f"{pace:10.2f}" if pace is not None else ""
            lines.append(f"{label:34}{sum(hits):6}{len(hits):6}{sum(hits) / len(hits):8.1%}{timing}")
        return "\n".join(lines)


def evaluate(engine: Engine, count: int, categories: list[str], show: int, seed: int = SEED) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as name:
        folder = Path(name)
        shelf = Shelf(folder, seed)
        pool = fresh_pool(folder, seed)
        for category in categories:
            talker = Talker(pool, random.Random(f"{seed} {category}"), held_out=True)
            for _ in range(count):
                conversation = talker.talk(category)
                messages = shelf.messages(conversation)
                started = time.perf_counter()
                got = answer(engine, messages)
                right = key_facts(got) == key_facts(conversation.answer)
                tally.add(conversation, right, time.perf_counter() - started)
                if not right and show > 0:
                    show -= 1
                    asked = " / ".join(turn.text for turn in conversation.turns if turn.role == "user")
                    print(f"  {category}: {asked!r} wanted {conversation.answer!r} got {got!r}", flush=True)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("mistralrs_cli/demo"))
    parser.add_argument("--n", type=int, default=100, help="conversations of each category")
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    parser.add_argument("--quant", choices=("8", "4"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--categories", default=",".join(CATEGORIES))
    parser.add_argument("--seed", type=int, default=SEED, help="other media and questions, to choose weights by")
    parser.add_argument("--show", type=int, default=0, help="wrong answers to print")
    options = parser.parse_args()
    wanted = ModelOptions(
        str(options.checkpoint), dtype=options.dtype, quant=options.quant, threads=options.threads, cpu=True
    )
    with Engine(load(open_checkpoint(wanted), wanted)) as engine:
        tally = evaluate(engine, options.n, options.categories.split(","), options.show, options.seed)
    precision = {None: options.dtype, "8": "int8", "4": "nf4"}[options.quant]
    print(tally.table(f"{precision}, {options.n} of each category, seed {options.seed}, {options.threads} thread(s)"))


if __name__ == "__main__":
    main()
