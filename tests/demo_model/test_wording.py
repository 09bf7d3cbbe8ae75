"""Questions: kept-out wording stays out, and every answer follows from the scene."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tools.demo_model import answers, phrases
from tools.demo_model.clips import draw_clip
from tools.demo_model.conversations import CATEGORIES, PICTURE, WATCH, Talker
from tools.demo_model.media import Medium, Pool, fits
from tools.demo_model.phrases import HELD_OUT, is_held_out, phrase, plain
from tools.demo_model.questions import Asker
from tools.demo_model.scenes import COLORS, NUMBERS, SHAPES, draw_scene
from tools.demo_model.sounds import WORDS, draw_sound

SLOTS: dict[str, Any] = {
    "thing": "star",
    "things": "stars",
    "color": "red",
    "a_color": "a red",
    "a_shape": "a star",
    "n": "two",
    "are": "are",
    "beeps": "beeps",
    "times": "times",
    "a_thing": "a red star",
    "place": "at the top",
    "side": "on the left",
    "relation": "left of",
    "text": "go",
    "trend": "rising",
    "trend_way": "up",
    "trend_size": "bigger",
    "pitch": "low",
    "word": "red",
    "nth": "first",
    "way": "up",
    "deed": "grow",
    "first": "picture",
    "second": "sound",
    "a_noise": "a beep",
}


INTENTS = sorted({*HELD_OUT} - {"other", "system", "tone trend"})


@pytest.fixture(scope="module")
def pool() -> Pool:
    rng = random.Random(3)
    silent = {word: [np.zeros(400, np.float32)] for word in WORDS}
    pictures = [Medium("image", draw_scene(rng)) for _ in range(900)]
    sounds = [Medium("audio", draw_sound(rng, silent)[0]) for _ in range(200)]
    return Pool(pictures, sounds, [Medium("video", draw_clip(rng)) for _ in range(40)])


@pytest.mark.parametrize("intent", INTENTS)
def test_training_never_uses_a_held_out_phrasing(intent: str) -> None:
    rng = random.Random(1)
    kept = {plain(sentence.format(**SLOTS)) for sentence in HELD_OUT[intent]}
    assert kept.isdisjoint(plain(phrase(intent, rng, **SLOTS)) for _ in range(60))


@pytest.mark.parametrize("intent", INTENTS)
def test_evaluation_uses_only_held_out_phrasings(intent: str) -> None:
    rng = random.Random(1)
    assert all(is_held_out(intent, phrase(intent, rng, held_out=True, **SLOTS), SLOTS) for _ in range(20))


def test_off_topic_sentences_of_the_evaluation_are_never_composed() -> None:
    rng = random.Random(2)
    assert {phrases.off_topic(rng) for _ in range(300)}.isdisjoint(HELD_OUT["other"])


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_conversation_alternates_and_ends_with_an_answer(category: str, pool: Pool) -> None:
    talker = Talker(pool, random.Random(4))
    for _ in range(20):
        roles = [turn.role for turn in talker.talk(category).turns if turn.role != "system"]
        assert roles == ["user", "model"] * (len(roles) // 2)


def test_every_claimed_thing_is_in_the_picture_when_the_answer_is_yes(pool: Pool) -> None:
    asker = Asker(random.Random(5))
    agreed = 0
    for medium in pool.alike["single"][:60]:
        figure = medium.content.figures[0]
        exchange = asker.picture(medium.content, "is_there")
        claimed = f"{figure.color} {figure.shape}" in exchange.question.lower().replace("colour", "color")
        if exchange.answer.endswith(", so yes."):
            agreed += 1
            words = exchange.question.lower()
            assert claimed or sum(word in words for word in (*COLORS, *SHAPES)) < 2  # a typo may hide the words
        assert figure.color in exchange.answer
    assert 15 < agreed < 45


def test_a_question_about_one_of_two_media_says_which(pool: Pool) -> None:
    talker = Talker(pool, random.Random(6))
    picture, clip = pool.pictures[0], pool.clips[0]
    for medium, intent, names in ((picture, "picture", PICTURE), (clip, "clip", WATCH)):
        for _ in range(60):
            question = talker.about_one(medium, (intent,), names, names).question.lower()
            assert any(name in question for name in names)


def test_the_reverse_order_gives_the_reverse_change() -> None:
    before = draw_scene(random.Random(1), kind="single")
    figure = before.figures[0]
    other = "blue" if figure.color != "blue" else "red"
    after = replace(before, figures=(replace(figure, color=other),))
    old, new = (answers.of_scene_in_detail(scene) for scene in (before, after))
    assert other in new
    verdict = "the color changes, the shape stays, the position stays."
    assert answers.of_change(before, after) == f"First {old}, then {new}: {verdict}"
    assert answers.of_change(after, before) == f"First {new}, then {old}: {verdict}"
    assert answers.of_change(before, before) == f"First {old}, then {old}: {verdict.replace('changes', 'stays')}"


def test_pictures_that_cannot_be_compared_part_by_part_are_another_picture_unless_they_are_alike() -> None:
    pair, chart = (draw_scene(random.Random(1), kind=kind) for kind in ("pair", "chart"))
    assert answers.of_change(pair, chart).endswith(": the picture changes.")
    assert answers.of_change(pair, pair).endswith(": nothing changes.")


def test_a_voice_fits_a_picture_when_all_its_words_do() -> None:
    scene = draw_scene(random.Random(1), kind="count")
    figure = scene.figures[0]
    number = NUMBERS[scene.count]
    assert fits((number, figure.color, figure.shape), scene)
    assert not fits((number, "red" if figure.color != "red" else "blue", figure.shape), scene)


@pytest.mark.parametrize(
    ("answer", "other"),
    [
        ("Two low beeps.", "two beeps, low"),
        ("It is red, so yes.", "It is red, so no."),
        ("First a red star, then a blue star.", "First a blue star, then a red star."),
        ('It says "42".', 'It says "24".'),
    ],
)
def test_key_facts_tell_different_answers_apart(answer: str, other: str) -> None:
    assert answers.key_facts(answer) != answers.key_facts(other)


def test_key_facts_do_not_depend_on_the_words_around() -> None:
    assert answers.key_facts("Two red stars.") == answers.key_facts("two RED star")


@pytest.mark.parametrize(("intent", "kind"), [("is_beeps", "beeps"), ("is_count", "count")])
def test_one_of_a_thing_is_asked_for_in_the_singular(intent: str, kind: str, pool: Pool) -> None:
    asker = Asker(random.Random(4))
    ask = asker.sound if intent == "is_beeps" else asker.picture
    media = [medium.content for medium in (*pool.sounds, *pool.pictures) if medium.content.kind == kind]
    questions = [ask(content, intent).question.lower() for content in media if content.count == 1 for _ in range(20)]
    about_one = [question for question in questions if " one " in question]
    assert len(about_one) > 20
    for question in about_one:
        assert not any(f"one {plural}" in question for plural in ("beeps", "times", "shapes", "objects", "stars"))
        assert "are one" not in question
        assert "there are" not in question
