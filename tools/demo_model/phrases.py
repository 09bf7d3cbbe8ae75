"""The wording of questions: composed from the patterns in ``phrases/``, with typos and other wear.

``[a|b|]`` in a pattern is a choice, ``{name}`` is filled by the caller. What is in ``held_out.txt`` is for the
evaluation only: training never uses a phrase that says the same.
"""

import pydoc_data.topics
import random
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "phrases"
POLITE = (
    *("please ", "please, ", "can you tell me: ", "could you tell me: ", "hey, ", "hi, ", "hello, ", "ok, ", "okay, "),
    *("so, ", "now, ", "well, ", "tell me, ", "I want to know: ", "quick question: ", "question: ", "hi! ", "hello! "),
    *("can you please ", "could you ", "can you ", "would you please ", "um, ", "look, ", "great. ", "and "),
)
CLOSING = (" please", ", please", " thanks", ", thank you", " for me", " now", " exactly", " then")


def read(name: str) -> dict[str, tuple[str, ...]]:
    """The sections of a file: ``# intent``, then one phrase on each line."""
    sections = re.split(r"^# (.+)\n", (FOLDER / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {intent: tuple(text.strip().split("\n")) for intent, text in zip(sections[::2], sections[1::2], strict=True)}


PATTERNS, ALWAYS, HELD_OUT = read("training.txt"), read("always.txt"), read("held_out.txt")


def choose(pattern: str, rng: random.Random) -> str:
    """Take one of every ``[a|b]``, the innermost first."""
    while "[" in pattern:
        pattern = re.sub(r"\[([^\[\]]*)\]", lambda match: rng.choice(match[1].split("|")), pattern)
    return pattern


def plain(sentence: str) -> str:
    """A sentence without case and punctuation, to compare wordings."""
    return re.sub(r"[^a-z0-9_{}]+", " ", sentence.lower().replace("colour", "color")).strip()


@cache
def _plain_held_out(intent: str) -> tuple[str, ...]:
    return tuple(plain(phrase) for phrase in HELD_OUT.get(intent, ()))


def is_held_out(intent: str, sentence: str, slots: dict[str, str]) -> bool:
    """Whether a sentence says the same as one of the held-out phrases with these slots filled in."""
    words = plain(sentence)
    return any(phrase.format(**slots) in words for phrase in _plain_held_out(intent))


def phrase(intent: str, rng: random.Random, held_out: bool = False, **slots: str) -> str:
    """A question of this intent as a person might type it."""
    if held_out:
        sentence = rng.choice(HELD_OUT[intent]).format(**slots)
        return british(wear_lightly(sentence[0].upper() + sentence[1:], rng), rng)
    while True:
        sentence = composed(intent, rng, **slots)
        if not is_held_out(intent, sentence, slots):
            return british(wear(sentence, rng), rng)


def composed(intent: str, rng: random.Random, **slots: str) -> str:
    """A pattern with its choices made, now and then with a polite beginning or end."""
    if intent in ALWAYS and rng.random() < 0.12:
        return rng.choice(ALWAYS[intent])
    sentence = choose(rng.choice(PATTERNS[intent]), rng).format(**slots)
    if rng.random() < 0.22:
        sentence = rng.choice(POLITE) + sentence
    if rng.random() < 0.1:
        sentence = re.sub(r"([?.!]*)$", lambda end: rng.choice(CLOSING) + end[0], sentence, count=1)
    return sentence[0].upper() + sentence[1:]


def british(sentence: str, rng: random.Random) -> str:
    """British spelling for four in ten."""
    if rng.random() < 0.4:
        sentence = sentence.replace("color", "colour").replace("Color", "Colour").replace("center", "centre")
    return sentence


def wear_lightly(sentence: str, rng: random.Random) -> str:
    """Lower case or no final mark, now and then."""
    if rng.random() < 0.25:
        sentence = sentence.lower()
    return sentence.rstrip("?.!") if rng.random() < 0.25 else sentence


def wear(sentence: str, rng: random.Random) -> str:
    """Case, missing marks and typos as in real prompts."""
    sentence = wear_lightly(sentence, rng)
    chance = rng.random()
    if chance < 0.02:
        return sentence.upper()
    if chance < 0.09 and len(sentence) > 8:
        at = rng.randrange(1, len(sentence) - 2)
        pair = sentence[at : at + 2]
        sentence = sentence[:at] + rng.choice((pair[::-1], pair[0], pair[0] * 2 + pair[1])) + sentence[at + 2 :]
    return sentence


@cache
def english() -> tuple[str, ...]:
    """A few thousand common words, from the texts of Python's own manual."""
    words = re.findall(r"\b[a-z]{2,10}\b", " ".join(pydoc_data.topics.topics.values()).lower())
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:3000])


def off_topic(rng: random.Random, held_out: bool = False) -> str:
    """Something that is no question about a medium."""
    if held_out:
        return rng.choice(HELD_OUT["other"])
    while True:
        text = _off_topic(rng)
        if plain(text) not in _plain_held_out("other"):
            return text


def _off_topic(rng: random.Random) -> str:
    def word() -> str:
        if rng.random() < 0.85:
            return rng.choice(english())
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9)))

    def thing() -> str:
        return rng.choice(PATTERNS["things"]) if rng.random() < 0.6 else word()

    text = choose(rng.choice(PATTERNS["other"]), rng).format(
        x=thing(),
        y=thing(),
        w=word(),
        v=word(),
        deed=rng.choice(PATTERNS["deeds"]) if rng.random() < 0.7 else word(),
        kind=rng.choice(PATTERNS["kinds"]),
        m=rng.randrange(1000),
        k=rng.randrange(100),
    )
    text = re.sub(r" +", " ", text).strip()
    return wear(text[0].upper() + text[1:], rng)
