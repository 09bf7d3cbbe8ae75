"""Whole conversations about media of a pool: which media, in which turns, what is asked and what is right."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tools.demo_model import answers
from tools.demo_model.answers import ORDINALS, sentence
from tools.demo_model.media import Medium, Pool, fits
from tools.demo_model.phrases import HELD_OUT, PATTERNS, phrase
from tools.demo_model.questions import Asker, Exchange


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; ``text_first`` puts the words before the media."""

    role: Literal["system", "user", "model"]
    text: str
    media: tuple[Medium, ...] = ()
    text_first: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that end with the right answer; ``category`` and ``intent`` tell what the last question is about."""

    category: str
    intent: str
    turns: tuple[Turn, ...]

    @property
    def answer(self) -> str:
        return self.turns[-1].text


@dataclass(frozen=True, slots=True)
class Topic:
    """The turns so far, the media of the next turn, and a maker of questions about them."""

    before: tuple[Turn, ...]
    media: tuple[Medium, ...]
    ask: Callable[[], Exchange]


SEE = ("see", "picture", "image", "photo", "drawing", "graphic", "screenshot", "pic", "img")
PICTURE = ("picture", "image", "photo")
HEAR = ("hear", "sound", "audio", "noise", "recording", "track", "said", "say", "voice", "words", "spoken")
WATCH = ("video", "footage", "movie", "animation", "clip", "film")


class Talker:
    """Makes conversations about a pool."""

    def __init__(self, pool: Pool, rng: random.Random, held_out: bool = False) -> None:
        self.pool, self.rng, self.held_out = pool, rng, held_out
        self.asker = Asker(rng, held_out)

    def talk(self, category: str) -> Conversation:
        """One conversation of a category (a key of CATEGORIES)."""
        topic = self.topic(category)
        exchange = topic.ask()
        return Conversation(category, exchange.intent, topic.before + self.turns(exchange, *topic.media))

    def topic(self, category: str) -> Topic:
        topic: Topic = getattr(self, CATEGORIES[category])()
        if self.rng.random() < 0.15:
            system = Turn("system", self.rng.choice((HELD_OUT if self.held_out else PATTERNS)["system"]))
            return replace(topic, before=(system, *topic.before))
        return topic

    def turns(self, exchange: Exchange, *media: Medium) -> tuple[Turn, ...]:
        text_first = bool(media) and self.rng.random() < 0.25
        return Turn("user", exchange.question, media, text_first), Turn("model", exchange.answer)

    def about(self, medium: Medium, intent: str | None = None) -> Exchange:
        ask: dict[str, Callable[..., Exchange]] = {
            "image": self.asker.picture,
            "audio": self.asker.sound,
            "video": self.asker.clip,
        }
        return ask[medium.kind](medium.content, intent)

    def meaning(self, make: Callable[[], Exchange], words: tuple[str, ...]) -> Exchange:
        """Ask until the question names what it is about with one of ``words``."""
        names = re.compile(rf"\b({'|'.join(words)})s?\b", re.IGNORECASE)
        for _ in range(300):
            exchange = make()
            if names.search(exchange.question):
                return exchange
        raise ValueError(f"no wording contains one of {words}")

    def text(self) -> Topic:
        before = self.turns(self.asker.text()) if self.rng.random() < 0.25 else ()
        return Topic(before, (), self.asker.text)

    def picture(self) -> Topic:
        return self.single(self.rng.choice(self.pool.pictures))

    def sound(self) -> Topic:
        return self.single(self.rng.choice(self.pool.sounds))

    def clip(self) -> Topic:
        return self.single(self.rng.choice(self.pool.clips))

    def single(self, medium: Medium, before: tuple[Turn, ...] = ()) -> Topic:
        return Topic(before, (medium,), lambda: self.about(medium))

    def related(self) -> tuple[Medium, Medium]:
        """Two pictures that mostly differ in one thing."""
        first = self.rng.choice(self.pool.alike[self.rng.choice(("single", "single", "count"))])
        keys = self.pool.keys(first.content)[:5]
        if self.rng.random() < 0.15:
            return first, self.rng.choice(self.pool.pictures)
        key = self.rng.choices(keys, (3, 1.5, 1.5, 1.5, 1.2))[0]
        return first, self.rng.choice(self.pool.alike[key])

    def pictures(self) -> Topic:
        """Two to four pictures: described in order, one of them, or what changed between two."""
        if self.rng.random() < 0.6:
            pair = self.related()
            return Topic((), pair, lambda: self.compared(("change", "changed", "pictures", "nth"), *pair))
        count = self.rng.choices((2, 3, 4), (3, 2, 1.5))[0]
        media = tuple(self.rng.choice(self.pool.pictures) for _ in range(count))
        return Topic((), media, lambda: self.several(self.rng.choice(("pictures", "nth")), media))

    def compared(self, forms: tuple[str, ...], first: Medium, second: Medium) -> Exchange:
        form = self.rng.choices(forms, [3 if form == "change" else 0.8 for form in forms])[0]
        change = answers.of_change(first.content, second.content)
        if form == "change":
            return self.asker.ask(form, change)
        if form == "changed":
            before, after = (answers.of_scene_in_detail(medium.content) for medium in (first, second))
            return self.asker.yes_no(form, before != after, change.removesuffix("."))
        return self.several(form, (first, second))

    def several(self, form: str, media: tuple[Medium, ...]) -> Exchange:
        described = [answers.of_scene(medium.content) for medium in media]
        if form == "nth":
            index = self.rng.randrange(len(media))
            last = index == len(media) - 1 and self.rng.random() < 0.3
            return self.asker.ask("nth", sentence(described[index]), nth="last" if last else ORDINALS[index])
        if self.rng.random() < 0.1:
            return self.asker.unrelated(sentence("first " + ", then ".join(described)))
        return self.asker.ask("pictures", sentence("first " + ", then ".join(described)))

    def picture_and_sound(self) -> Topic:
        if self.rng.random() < 0.45:
            picture, sound = self.matching()
            asks = (lambda: self.match(picture, sound), lambda: self.one_of(picture, sound))
            return Topic((), self.shuffled(picture, sound), lambda: self.rng.choices(asks, (4, 1))[0]())
        picture, sound = self.rng.choice(self.pool.pictures), self.rng.choice(self.pool.sounds)
        return Topic((), self.shuffled(picture, sound), lambda: self.one_of(picture, sound))

    def one_of(self, picture: Medium, sound: Medium) -> Exchange:
        """A question about the picture, the sound, or both."""
        match self.rng.choices(("everything", "see", "hear"), (2.2, 1.4, 1.4))[0]:
            case "see":
                return self.about_one(picture, ("picture",), SEE, PICTURE)
            case "hear":
                intents = ("sound", "transcribe") if sound.content.words else ("sound",)
                return self.about_one(sound, intents, HEAR, ("sound", "audio", "recording"))
        return self.seen_and_heard(picture, sound)

    def about_one(
        self, medium: Medium, intents: tuple[str, ...], words: tuple[str, ...], names: tuple[str, ...]
    ) -> Exchange:
        """A question about one of several media: it has one of ``words``, or says before or after which it means."""
        if self.held_out or self.rng.random() < 0.6:
            return self.meaning(lambda: self.about(medium, self.rng.choice(intents)), words)
        exchange = self.about(medium, None if self.rng.random() < 0.4 else self.rng.choice(intents))
        question = self.rng.choice(PATTERNS["one of several"]).format(name=self.rng.choice(names), q=exchange.question)
        return replace(exchange, question=question)

    def shuffled(self, *media: Medium) -> tuple[Medium, ...]:
        return tuple(self.rng.sample(media, len(media)))

    def everything(self, answer: str, first: tuple[str, ...], second: tuple[str, ...]) -> Exchange:
        if self.rng.random() < 0.12:
            return self.asker.unrelated(answer)
        names = [self.rng.choice(first), self.rng.choice(second)]
        if self.rng.random() < 0.5:
            names.reverse()
        return self.asker.ask("everything", answer, first=names[0], second=names[1])

    def seen_and_heard(self, picture: Medium, sound: Medium) -> Exchange:
        answer = f"I see {answers.of_scene(picture.content)} and I hear {answers.of_sound(sound.content)}."
        return self.everything(answer, PICTURE, ("sound", "audio", "recording"))

    def matching(self) -> tuple[Medium, Medium]:
        """A picture and a sound that can agree or not: a chart with a tone or a word, a figure with its name."""
        chance = self.rng.random()
        if chance < 0.45:
            chart = self.rng.choice(self.pool.alike["chart"])
            trend = self.rng.choice(("rising", "falling"))
            words = self.pool.alike["trend word"]
            said = bool(words) and self.rng.random() < 0.4
            return chart, self.rng.choice(words if said else self.pool.alike["sound", "sweep", trend])
        sound = self.rng.choice(self.pool.alike["naming"])
        named: list[Medium] = []
        if chance < 0.9:
            named = self.pool.alike["named", self.rng.choice(sound.content.words[-2:])]
        if chance < 0.72:
            named = [medium for medium in named if fits(sound.content.words, medium.content)]
        return self.rng.choice(named or self.pool.alike["single"]), sound

    def match(self, picture: Medium, medium: Medium) -> Exchange:
        scene, sound = picture.content, medium.content
        said = f'the voice says "{" ".join(sound.words)}"'
        if scene.trend and sound.trend:
            agree = scene.trend == sound.trend
            answer = f"the chart is {scene.trend} and the tone is {sound.trend}"
        elif scene.trend:
            agree = ("rising" if sound.words[0] in ("rising", "up") else "falling") == scene.trend
            answer = f"{said} and the chart is {scene.trend}"
        else:
            agree = fits(sound.words, scene)
            answer = f"{said} and the picture shows {answers.of_scene(scene)}"
        return self.asker.yes_no("match", agree, answer)

    def picture_and_clip(self) -> Topic:
        picture, clip = self.rng.choice(self.pool.pictures), self.rng.choice(self.pool.clips)

        def ask() -> Exchange:
            chance = self.rng.random()
            if chance < 0.25:
                return self.about_one(picture, ("picture",), PICTURE, PICTURE)
            if chance < 0.5:
                return self.about_one(clip, ("clip",), WATCH, WATCH)
            shown, seen = answers.of_scene(picture.content), answers.of_clip(clip.content)
            answer = f"The picture shows {shown}. In the clip {seen}."
            return self.everything(answer, PICTURE, ("video", "clip", "movie"))

        return Topic((), self.shuffled(picture, clip), ask)

    def sound_and_clip(self) -> Topic:
        sound, clip = self.rng.choice(self.pool.sounds), self.rng.choice(self.pool.clips)
        answer = f"In the clip {answers.of_clip(clip.content)}. I hear {answers.of_sound(sound.content)}."
        names = ("sound", "audio"), ("video", "movie")
        return Topic((), self.shuffled(sound, clip), lambda: self.everything(answer, *names))

    def clips(self) -> Topic:
        media = self.rng.choice(self.pool.clips), self.rng.choice(self.pool.clips)
        described = [answers.of_clip(medium.content) for medium in media]
        both = "In the first clip {}. In the second clip {}.".format(*described)

        def ask() -> Exchange:
            if self.rng.random() < 0.6:
                return self.asker.ask("clips", both)
            index = self.rng.randrange(2)
            return self.asker.ask("nth_clip", sentence(described[index]), nth=ORDINALS[index])

        return Topic((), media, ask)

    def follow_up(self) -> Topic:
        """Two or three turns; the last question is about a medium of an earlier turn or about a new one."""
        form = self.rng.choices(("same", "next", "earlier", "greeted", "polite"), (4, 3, 2.5, 0.8, 0.8))[0]
        if form == "greeted":
            return self.single(self.any_medium(), self.turns(self.asker.text()))
        first = self.any_medium() if form in ("same", "polite") else self.rng.choice(self.pool.pictures)
        start = self.turns(self.about(first), first)
        match form:
            case "polite":
                return Topic(start, (), lambda: self.small_talk(self.rng.choice(("thanks", "who", "models", "bye"))))
            case "same":
                if self.rng.random() < 0.4:
                    start += self.turns(self.about(first))
                return Topic(start, (), lambda: self.about(first))
            case "next":
                return self.next_medium(start, first)
        second = self.rng.choice((*self.rng.sample(self.pool.pictures, 2), self.rng.choice(self.pool.sounds)))
        start += self.turns(self.about(second), second)
        if second.kind == "image":
            return Topic(start, (), lambda: self.compared(("change", "nth"), first, second))

        def ask() -> Exchange:
            if self.rng.random() < 0.3:
                return self.seen_and_heard(first, second)
            return self.meaning(lambda: self.about(first, "picture"), SEE[1:])

        return Topic(start, (), ask)

    def small_talk(self, intent: str) -> Exchange:
        return Exchange(intent, phrase(intent, self.rng, self.held_out), answers.OF_TEXT[intent])

    def next_medium(self, start: tuple[Turn, ...], first: Medium) -> Topic:
        """A second question in between, then a new medium or the change since the first one."""
        if self.rng.random() < 0.35:
            before, after = self.related()
            return Topic(
                self.turns(self.about(before), before), (after,), lambda: self.compared(("change",), before, after)
            )
        if self.rng.random() < 0.6:
            start += self.turns(self.about(first))
        return self.single(self.any_medium(), start)

    def any_medium(self) -> Medium:
        kinds = (self.pool.pictures, self.pool.sounds, self.pool.clips)
        return self.rng.choice(self.rng.choices(kinds, (3, 2, 1))[0])


CATEGORIES = {
    "text": "text",
    "picture": "picture",
    "sound": "sound",
    "clip": "clip",
    "pictures": "pictures",
    "picture+sound": "picture_and_sound",
    "picture+clip": "picture_and_clip",
    "sound+clip": "sound_and_clip",
    "clips": "clips",
    "follow-up": "follow_up",
}
