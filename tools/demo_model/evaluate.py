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
from mistralrs_cli.options import ModelOptions
from tools.demo_model.answers import key_facts
from tools.demo_model.conversations import CATEGORIES, Conversation, Talker
from tools.demo_model.files import Shelf, decoded, draw_pool
from tools.demo_model.questions import YES_NO
from tools.demo_model.sounds import HELD_OUT_VOICES

SEED = 90_210


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
        pool = draw_pool(folder, seed, HELD_OUT_VOICES)
        for category in categories:
            talker = Talker(pool, random.Random(f"{seed} {category}"), held_out=True)
            for _ in range(count):
                conversation = talker.talk(category)
                messages = shelf.messages(conversation)
                started = time.perf_counter()
                got = engine.generate(decoded(messages, engine.loaded.family)).text.strip()
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
    precision = {None: options.dtype, "8": "8 bits", "4": "4 bits"}[options.quant]
    print(tally.table(f"{precision}, {options.n} of each category, seed {options.seed}, {options.threads} thread(s)"))


if __name__ == "__main__":
    main()
