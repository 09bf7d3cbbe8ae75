"""Right answers: what the model should say about each medium, and which words of an answer are its key facts."""

import re

from tools.demo_model.clips import Clip
from tools.demo_model.scenes import COLORS, NUMBERS, PRINTED, SHAPES, Figure, Scene
from tools.demo_model.sounds import WORDS, Sound

PLACES = (
    ("in the top left", "at the top", "in the top right"),
    ("on the left", "in the center", "on the right"),
    ("in the bottom left", "at the bottom", "in the bottom right"),
)
ORDINALS = ("first", "second", "third", "fourth")

GREETING = "Hello! I am the tiny demo model of mistralrs. Send me a picture, a sound or a short clip and ask about it."
IDENTITY = (
    "I am a tiny demo model bundled with mistralrs. I can only name simple shapes, colors, counts, printed words, "
    "beeps, spoken words and motions."
)
MODELS = "Try a real model, for example `-m Qwen/Qwen3-VL-4B-Instruct` or `-m google/gemma-4-E4B-it`."
UNABLE = (
    "I can only talk about simple pictures, sounds and short clips. "
    "For anything else try a real model, for example `-m Qwen/Qwen3-VL-4B-Instruct`."
)
NOTHING_SENT = "I see no picture, sound or clip yet. Please send me one."
OF_TEXT = {
    "greet": GREETING,
    "who": IDENTITY,
    "able": IDENTITY,
    "models": MODELS,
    "thanks": "You are welcome!",
    "bye": "Goodbye!",
}


def a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def plural(count: int, thing: str) -> str:
    return thing if count == 1 else thing + "s"


def sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def place(figure: Figure) -> str:
    return PLACES[figure.row][figure.column]


def sides(scene: Scene) -> tuple[str, str]:
    """Where the two figures of a pair are."""
    return ("at the top", "at the bottom") if scene.stacked else ("on the left", "on the right")


def named(figure: Figure) -> str:
    return f"{figure.color} {figure.shape}"


def of_scene(scene: Scene) -> str:
    """A picture in a few words."""
    if scene.kind == "chart":
        return f"a bar chart with {scene.color} bars, {scene.trend} from left to right"
    if scene.kind == "text":
        return f'the printed text "{scene.text}" in {scene.figures[0].color}'
    if scene.kind == "pair":
        return " and ".join(f"{a(named(f))} {side}" for f, side in zip(scene.figures, sides(scene), strict=True))
    if scene.count == 1:
        return a(named(scene.figures[0]))
    return f"{NUMBERS[scene.count]} {named(scene.figures[0])}s"


def of_scene_in_detail(scene: Scene) -> str:
    if scene.count == 1 and scene.kind in ("single", "count"):
        return f"{of_scene(scene)} {place(scene.figures[0])}"
    return of_scene(scene)


def of_sound(sound: Sound) -> str:
    """A sound in a few words."""
    if sound.kind == "beeps":
        return f"{NUMBERS[sound.count]} {sound.pitch} {plural(sound.count, 'beep')}"
    if sound.kind == "tone":
        return f"a steady {sound.pitch} tone"
    if sound.kind == "sweep":
        return f"a {sound.trend} tone"
    if sound.kind == "speech":
        return f'a voice saying "{" ".join(sound.words)}"'
    return sound.kind


def way(motion: str) -> str:
    return f"to the {motion}" if motion in ("left", "right") else motion


def deed(clip: Clip) -> str:
    """What the figure of a clip does."""
    if clip.motion in ("grow", "shrink"):
        return f"{clip.motion}s"
    if clip.motion == "still":
        return "stays still"
    if clip.motion == "color":
        return f"turns {clip.color2}"
    return f"moves {way(clip.motion)}"


def of_clip(clip: Clip) -> str:
    """A clip in a few words."""
    return f"{a(named(clip.figure))} {deed(clip)}"


def comparison(before: Scene, after: Scene) -> dict[str, bool] | None:
    """Whether each property changed between two pictures of equal figures, in the order in which they are named.

    None if they cannot be compared like that.
    """
    if before.kind not in ("single", "count") or after.kind not in ("single", "count"):
        return None
    first, second = before.figures[0], after.figures[0]
    same = {"color": first.color == second.color, "shape": first.shape == second.shape}
    if before.count == after.count == 1:
        same |= {"position": place(first) == place(second)}
    else:
        same = {"count": before.count == after.count, **same}
    return {name: not equal for name, equal in same.items()}


def of_change(before: Scene, after: Scene) -> str:
    """Both pictures, then what changed: a small model compares what it has said far better than what it sees.

    And it compares one property after the other far better than all of them at once.
    """
    first, second = of_scene_in_detail(before), of_scene_in_detail(after)
    compared = comparison(before, after)
    if compared is None:
        verdict = "nothing changes" if first == second else "the picture changes"
    else:
        verdict = ", ".join(f"the {name} {'changes' if changed else 'stays'}" for name, changed in compared.items())
    return f"First {first}, then {second}: {verdict}."


def judged(truth: str, holds: bool) -> str:
    """The fact, then whether it is as asked, in this order for the same reason."""
    return sentence(f"{truth}, so {'yes' if holds else 'no'}")


def listened(word: str, words: tuple[str, ...]) -> str:
    """A word and all that are heard. Without marks they are the same tokens in both places, far easier to compare."""
    return f"I listen for {word} and hear {' '.join(words)}"


# Key facts

FACTS = frozenset(
    (
        *(*COLORS, *SHAPES, *NUMBERS, *PRINTED, *WORDS, *ORDINALS),
        *("left", "right", "top", "bottom", "center", "up", "down", "above", "below"),
        *("moves", "grow", "shrink", "still", "turn", "rising", "falling", "chart", "bar"),
        *("low", "high", "beep", "tone", "noise", "silence", "voice", "speech", "nothing"),
        *("position", "count", "color", "shape", "changes", "stays", "yes", "no"),
        *("hello", "welcome", "goodbye", "demo", "only", "sorry"),
        *("qwen/qwen3-vl-4b-instruct", "google/gemma-4-e4b-it", "picture", "clip", "sound", "hear", "see"),
    )
)


def key_facts(answer: str) -> tuple[str, ...]:
    """The words of an answer that can be wrong, in order: two answers with equal facts say the same."""
    words = re.findall(r"[a-z0-9][a-z0-9/.-]*[a-z0-9]|[a-z0-9]", answer.lower().replace("colour", "color"))
    singular = (word if word in FACTS or word.isdigit() else word.removesuffix("s") for word in words)
    return tuple(word for word in singular if word in FACTS or word.isdigit())
