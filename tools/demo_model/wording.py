"""A question of an intent in somebody's words: composed from patterns, dressed in manners, worn by haste."""

import random
import re
from functools import cache

from tools.demo_model.held_out import HELD_OUT
from tools.demo_model.patterns import ALWAYS, PATTERNS

POLITE = (
    *("please ", "please, ", "can you tell me: ", "could you tell me: ", "hey, ", "hi, ", "hello, ", "ok, ", "okay, "),
    *("so, ", "now, ", "well, ", "tell me, ", "I want to know: ", "quick question: ", "question: ", "hi! ", "hello! "),
    *("can you please ", "could you ", "can you ", "would you please ", "um, ", "look, ", "great. ", "and "),
)
CLOSING = (" please", ", please", " thanks", ", thank you", " for me", " now", " exactly", " then")


def expand(pattern: str, rng: random.Random, **slots: str) -> str:
    """One sentence of a pattern."""
    return choose(pattern, rng).format(**slots)


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
    return tuple(plain(kept) for kept in HELD_OUT.get(intent, ()))


def is_held_out(intent: str, sentence: str, slots: dict[str, str]) -> bool:
    """Whether a sentence says the same as one of the held-out phrasings with these slots filled in."""
    words = plain(sentence)
    return any(kept.format(**slots) in words for kept in _plain_held_out(intent))


def phrase(intent: str, rng: random.Random, held_out: bool = False, **slots: str) -> str:
    """A question of this intent, as somebody might type it: composed for training, kept out of it for evaluation."""
    if held_out:
        sentence = rng.choice(HELD_OUT[intent]).format(**slots)
        return british(wear_lightly(sentence[0].upper() + sentence[1:], rng), rng)
    while True:
        sentence = composed(intent, rng, **slots)
        if not is_held_out(intent, sentence, slots):
            return british(wear(sentence, rng), rng)


def composed(intent: str, rng: random.Random, **slots: str) -> str:
    if intent in ALWAYS and rng.random() < 0.12:
        return rng.choice(ALWAYS[intent])
    sentence = expand(rng.choice(PATTERNS[intent]), rng, **slots)
    if rng.random() < 0.22:
        sentence = rng.choice(POLITE) + sentence
    if rng.random() < 0.1:
        sentence = re.sub(r"([?.!]*)$", lambda end: rng.choice(CLOSING) + end[0], sentence, count=1)
    return sentence[0].upper() + sentence[1:]


def british(sentence: str, rng: random.Random) -> str:
    """UK spelling for four in ten."""
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
