"""Question and answer about one medium: an intent is chosen, filled with what is there or is not, and answered."""

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.demo_model import answers, phrases
from tools.demo_model.answers import a, sentence
from tools.demo_model.clips import MOTIONS, Clip
from tools.demo_model.phrases import phrase
from tools.demo_model.scenes import COLORS, NUMBERS, PRINTED, SHAPES, VIVID, Scene
from tools.demo_model.sounds import WORDS, Sound

INTENTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("intents.toml").read_text(encoding="utf-8"))
RELATIONS = (("left of", "to the left of"), ("right of", "to the right of")), (("above", "over"), ("below", "under"))
SIDES = {
    "on the left": ("on the left", "on the left side", "to the left"),
    "on the right": ("on the right", "on the right side", "to the right"),
    "at the top": ("at the top", "on top", "in the upper half"),
    "at the bottom": ("at the bottom", "in the lower half", "at the lower end"),
}
ABOUT_MEDIA = (
    *("color", "shape", "count", "where", "transcribe", "beeps", "pitch", "direction", "change", "read", "trend"),
    *("picture", "clip", "sound", "pictures", "match"),
)
YES_NO = frozenset(
    (
        *("is_color", "is_shape", "is_there", "is_count", "is_at", "is_trend", "says"),
        *("hear_what", "is_pitch", "says_word", "is_beeps", "moves", "does", "changed", "match"),
    )
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, its right answer, and the intent behind it."""

    intent: str
    question: str
    answer: str


def numbered(number: str, **nouns: str) -> dict[str, str]:
    """Slots of a question about a number: the number, its verb, and nouns of which there are so many."""
    count = NUMBERS.index(number)
    return {"n": number, "are": "are" if count > 1 else "is"} | {k: answers.plural(count, v) for k, v in nouns.items()}


class Asker:
    """Makes exchanges. With ``held_out`` every question uses wording that training never sees."""

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self.rng, self.held_out = rng, held_out

    def ask(self, intent: str, answer: str, **slots: str) -> Exchange:
        return Exchange(intent, phrase(intent, self.rng, self.held_out, **slots), answer)

    def choose(self, weights: dict[str, float]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def other(self, choices: tuple[str, ...], right: str) -> str:
        """The right one in half of the cases, another one otherwise."""
        if self.rng.random() < 0.5:
            return right
        return self.rng.choice([choice for choice in choices if choice != right])

    def yes_no(self, intent: str, holds: bool, truth: str, **slots: str) -> Exchange:
        return self.ask(intent, answers.judged(truth, holds), **slots)

    def unrelated(self, description: str) -> Exchange:
        """A question that has nothing to do with the medium is answered by saying what the medium is."""
        question = phrases.off_topic(self.rng, self.held_out)
        return Exchange("unrelated", question, description)

    # Pictures

    def picture(self, scene: Scene, intent: str | None = None) -> Exchange:
        described = sentence(answers.of_scene(scene))
        if intent is None:
            intent = self.choose(INTENTS["image"][scene.kind])
        match intent:
            case "picture" | "read" if intent == "picture" or scene.kind != "text":
                if intent == "picture" and self.rng.random() < 0.04 and not self.held_out:
                    return Exchange(intent, "", described)
                return self.ask(intent, described)
            case "read":
                return self.ask(intent, f'It says "{scene.text}".')
            case "detail":
                return self.ask(intent, sentence(answers.of_scene_in_detail(scene)))
            case "trend":
                return self.ask(intent, f"It is {scene.trend}." if scene.trend else described)
            case "is_trend":
                trend = self.other(("rising", "falling"), scene.trend)
                size = "bigger" if trend == "rising" else "smaller"
                way = "up" if trend == "rising" else "down"
                holds = trend == scene.trend
                return self.yes_no(intent, holds, f"it is {scene.trend}", trend=trend, trend_way=way, trend_size=size)
            case "says":
                text = self.other(PRINTED, scene.text)
                return self.yes_no(intent, text == scene.text, f'it says "{scene.text}"', text=text)
            case "unrelated":
                return self.unrelated(described)
        return self.pair(scene, intent) if scene.kind == "pair" else self.figures(scene, intent)

    def figures(self, scene: Scene, intent: str) -> Exchange:
        """Questions about one figure or several equal ones (or a chart or text, as far as they apply)."""
        described = sentence(answers.of_scene(scene))
        figure = scene.figures[0] if scene.figures else None
        many = scene.kind == "count" and scene.count > 1
        color = figure.color if figure else scene.color
        shape = figure.shape if figure and figure.shape != "text" else ""
        they_are = "they are" if many else "it is"
        forms = f"{shape}s" if many else a(shape) if shape else ""
        thing = self.rng.choice((shape, "shape", "object", f"{color} {shape}")) if shape else "thing"
        things = f"{shape or 'object'}s"
        match intent:
            case "color":
                return self.ask(intent, sentence(f"{they_are} {color}"), thing=thing.removeprefix(color + " "))
            case "shape":
                return self.ask(intent, sentence(f"{they_are} {forms}") if shape else described, color=color)
            case "count":
                number = NUMBERS[scene.count]
                counted = f"There {'are' if scene.count != 1 else 'is'} {number}." if shape else described
                return self.ask(intent, counted, things=things)
            case "where":
                where = f"It is {answers.place(figure)}." if figure and scene.kind == "single" else described
                return self.ask(intent, where, thing=thing)
            case "is_color":
                claimed = self.other(tuple(COLORS), color)
                slots = {"color": claimed, "a_color": a(claimed), "thing": shape or "thing", "things": things}
                return self.yes_no(intent, claimed == color, f"{they_are} {color}", **slots)
            case "is_shape":
                claimed = self.other(SHAPES, shape)
                return self.yes_no(intent, claimed == shape, f"{they_are} {forms}", a_shape=a(claimed))
            case "is_there":
                claimed_color, claimed_shape = self.claim(color, shape)
                holds = (claimed_color, claimed_shape) == (color, shape)
                truth = answers.of_scene(scene)
                return self.yes_no(intent, holds, f"I see {truth}", a_thing=a(f"{claimed_color} {claimed_shape}"))
            case "is_count":
                claimed = self.other(NUMBERS[1:6], NUMBERS[scene.count])
                truth = f"there {'are' if scene.count > 1 else 'is'} {NUMBERS[scene.count]}"
                thing = self.rng.choice((shape, shape, "object", "shape"))
                return self.yes_no(intent, claimed == NUMBERS[scene.count], truth, **numbered(claimed, things=thing))
            case "is_at" if figure:
                everywhere = tuple(spot for row in answers.PLACES for spot in row)
                spot = answers.place(figure)
                claimed = self.other(everywhere, spot)
                return self.yes_no(intent, claimed == spot, f"it is {spot}", place=claimed, thing=thing)
        raise ValueError(f"no question {intent} about {scene.kind}")

    def claim(self, color: str, shape: str) -> tuple[str, str]:
        """The right colour and shape in half of the cases, else with one or both of them wrong."""
        if self.rng.random() < 0.5:
            return color, shape
        others = [(c, s) for c in VIVID for s in SHAPES if (c == color) != (s == shape)]
        return self.rng.choice(others)

    def pair(self, scene: Scene, intent: str) -> Exchange:
        """Questions about two figures."""
        described = sentence(answers.of_scene(scene))
        sides = answers.sides(scene)
        index = self.rng.randrange(2)
        figure, other = scene.figures[index], scene.figures[1 - index]
        apart = figure.shape != other.shape
        match intent:
            case "side":
                return self.ask(intent, sentence(a(answers.named(figure))), side=self.rng.choice(SIDES[sides[index]]))
            case "relation":
                thing = other.shape if apart and self.rng.random() < 0.5 else answers.named(other)
                nearness = self.rng.choice(RELATIONS[scene.stacked][index])
                return self.ask(intent, sentence(a(answers.named(figure))), relation=nearness, thing=thing)
            case "where":
                thing = figure.shape if apart and self.rng.random() < 0.5 else answers.named(figure)
                return self.ask_about(intent, f"It is {sides[index]}.", thing)
            case "color":
                return self.ask_about(intent, f"It is {figure.color}." if apart else described, figure.shape)
            case "shape":
                return self.ask(intent, described, color=figure.color)
            case "count":
                return self.ask(intent, "There are two.", things=self.rng.choice(("shapes", "objects", "things")))
            case "is_there":
                color, shape = self.claim(figure.color, figure.shape)
                holds = any((f.color, f.shape) == (color, shape) for f in scene.figures)
                return self.yes_no(intent, holds, f"I see {answers.of_scene(scene)}", a_thing=a(f"{color} {shape}"))
            case "is_at":
                spot = self.other(sides, sides[index])
                return self.yes_no(
                    intent, spot == sides[index], f"it is {sides[index]}", place=spot, thing=answers.named(figure)
                )
        raise ValueError(f"no question {intent} about a pair")

    def ask_about(self, intent: str, answer: str, thing: str) -> Exchange:
        """Ask until the question names the thing: "where is it?" has no answer when there are two."""
        for _ in range(200):
            exchange = self.ask(intent, answer, thing=thing)
            if thing in exchange.question.lower():
                return exchange
        raise ValueError(f"no wording of {intent} names the thing")

    # Sounds

    def sound(self, sound: Sound, intent: str | None = None) -> Exchange:
        described = sentence(answers.of_sound(sound))
        if intent is None:
            intent = self.choose(INTENTS["audio"][sound.kind])
        match intent:
            case "transcribe":
                said = " ".join(sound.words) if sound.words else f"No speech. {described}"
                return self.ask(intent, said)
            case "beeps":
                return self.ask(intent, sentence(f"{NUMBERS[sound.count]} {answers.plural(sound.count, 'beep')}"))
            case "pitch":
                return self.ask(intent, f"The pitch is {sound.pitch}.")
            case "sweep":
                return self.ask(intent, f"The tone is {sound.trend}.")
            case "is_trend":
                trend = self.other(("rising", "falling"), sound.trend)
                question = self.rng.choice(
                    (phrases.HELD_OUT if self.held_out else phrases.PATTERNS)["tone trend"]
                ).format(trend=trend)
                holds = trend == sound.trend
                return Exchange(intent, question, answers.judged(f"the tone is {sound.trend}", holds))
            case "is_pitch":
                pitch = self.other(("low", "high"), sound.pitch)
                return self.yes_no(intent, pitch == sound.pitch, f"the pitch is {sound.pitch}", pitch=pitch)
            case "is_beeps":
                number = self.other(NUMBERS[1:6], NUMBERS[sound.count])
                truth = f"I hear {answers.of_sound(sound)}"
                slots = numbered(number, beeps="beep", times="time")
                return self.yes_no(intent, number == NUMBERS[sound.count], truth, **slots)
            case "says_word":
                word = self.rng.choice(sound.words if self.rng.random() < 0.5 else WORDS)
                heard = answers.listened(word, sound.words)
                return self.yes_no(intent, word in sound.words, heard, word=word)
            case "hear_what":
                kind = self.other(tuple(INTENTS["noises"]), sound.kind)
                noise = self.rng.choice(INTENTS["noises"][kind])
                heard = "a voice" if sound.words else answers.of_sound(sound)
                return self.yes_no(intent, kind == sound.kind, f"I hear {heard}", a_noise=noise)
            case "unrelated":
                return self.unrelated(described)
        if self.rng.random() < 0.04 and not self.held_out:
            return Exchange("sound", "", described)
        return self.ask("sound", described)

    # Clips

    def clip(self, clip: Clip, intent: str | None = None) -> Exchange:
        described = sentence(answers.of_clip(clip))
        if intent is None:
            intent = self.choose(INTENTS["video"])
        moving = clip.motion in MOTIONS[:4]
        thing = self.rng.choice((clip.shape, "shape", "object"))
        match intent:
            case "color" if clip.motion != "color":
                return self.ask(intent, f"It is {clip.color}.", thing=thing)
            case "shape":
                return self.ask(intent, f"It is {a(clip.shape)}.", color=clip.color)
            case "direction":
                answer = f"It moves {answers.way(clip.motion)}." if moving else described
                return self.ask(intent, answer, thing=thing)
            case "turns" if clip.motion == "color":
                return self.ask(intent, f"It turns from {clip.color} to {clip.color2}.", thing=thing)
            case "moves" if moving:
                way = self.other(MOTIONS[:4], clip.motion)
                words = answers.way(way) if self.rng.random() < 0.5 else way
                truth = f"it moves {answers.way(clip.motion)}"
                return self.yes_no(intent, way == clip.motion, truth, way=words, thing=thing)
            case "does":
                claimed = self.other(tuple(INTENTS["deeds"]), "moves" if moving else clip.motion)
                holds = claimed == ("moves" if moving else clip.motion)
                words = self.rng.choice(INTENTS["deeds"][claimed])
                return self.yes_no(intent, holds, f"it {answers.deed(clip)}", deed=words, thing=thing)
            case "is_color" if clip.motion != "color":
                claimed = self.other(tuple(COLORS), clip.color)
                slots = {"color": claimed, "a_color": a(claimed), "thing": clip.shape, "things": f"{clip.shape}s"}
                return self.yes_no(intent, claimed == clip.color, f"it is {clip.color}", **slots)
            case "is_shape":
                claimed = self.other(SHAPES, clip.shape)
                return self.yes_no(intent, claimed == clip.shape, f"it is {a(clip.shape)}", a_shape=a(claimed))
            case "unrelated":
                return self.unrelated(described)
        if self.rng.random() < 0.04 and not self.held_out:
            return Exchange("clip", "", described)
        return self.ask("clip", described, thing=thing)

    # No medium

    def text(self) -> Exchange:
        """Small talk, questions about the model, and everything it cannot answer."""
        intent = self.choose(INTENTS["text"])
        if intent == "other":
            return Exchange(intent, phrases.off_topic(self.rng, self.held_out), answers.UNABLE)
        if intent == "nothing sent":
            about = self.rng.choice(ABOUT_MEDIA)
            slots = {"thing": self.rng.choice((*SHAPES, "object")), "things": "shapes", "color": self.rng.choice(VIVID)}
            return Exchange(intent, phrase(about, self.rng, self.held_out, **slots), answers.NOTHING_SENT)
        return self.ask(intent, answers.OF_TEXT[intent])
