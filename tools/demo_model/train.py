"""Train the demo model: ``python -m tools.demo_model.train PHASE --work FOLDER``; without a phase, all of them.

Every phase goes on from what FOLDER holds, so any of them can be run again for more. ``unpack`` fills an empty FOLDER
from the shipped checkpoint, to train that one further; ``average`` makes one of several runs.
"""

import argparse
from pathlib import Path

TARGET = Path("mistralrs_cli/demo")
PHASES = ("pools", "vision", "audio", "features", "language", "export")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phase", nargs="?", choices=("unpack", "average", *PHASES), help="one phase instead of all")
    parser.add_argument("--work", type=Path, required=True, help="folder for pools and training state")
    parser.add_argument("--seconds", type=float, help="time for the phase (all phases: their defaults)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, help="learning rate of the phase")
    parser.add_argument("--thinned", type=float, default=0.5, help="share of prompts with a few tokens a picture only")
    parser.add_argument("--whole", type=float, default=0.3, help="share of prompts with clips that keep all tokens")
    parser.add_argument(
        "--target", type=Path, default=TARGET, help="the checkpoint that export writes and unpack reads"
    )
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="copies of language.pt to average with")
    return parser.parse_args()


def run(phase: str, options: argparse.Namespace) -> None:
    from tools.demo_model import features, language, pools, towers

    work: Path = options.work
    settings = {"threads": options.threads} | ({"rate": options.rate} if options.rate else {})
    match phase:
        case "unpack":
            language.unpack(work, options.target)
        case "average":
            language.average(work, options.others)
        case "pools":
            pools.draw(work, "sounds", 16_000, 1000, 20_000)
            pools.draw(work, "pictures", 54_000, 2000, 400)
            pools.draw(work, "clips", 2_600, 100, 10_000)
        case "vision":
            towers.train_vision(work, options.seconds or 1800, **settings)
        case "audio":
            towers.train_audio(work, options.seconds or 1500, **settings)
        case "features":
            for kind in ("sounds", "pictures", "clips"):
                features.extract(work, kind, options.threads)
        case "language":
            language.train_language(
                work, options.seconds or 3600, thinned=options.thinned, whole=options.whole, **settings
            )
        case "export":
            language.export(work, options.target)


def main() -> None:
    options = parse()
    for phase in (options.phase,) if options.phase else PHASES:
        run(phase, options)


if __name__ == "__main__":
    main()
