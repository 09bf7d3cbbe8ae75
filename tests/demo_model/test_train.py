"""The recipe of the demo model runs, and changes what it says it changes."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.options import ModelOptions
from tools.demo_model import answers, train
from tools.demo_model.files import Shelf
from tools.demo_model.media import Medium, Pool
from tools.demo_model.scenes import draw_scene
from tools.demo_model.sounds import WORDS, Sound, draw_sound

pytestmark = pytest.mark.slow


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> train.Trainer:
    """One with random weights, some images and some sounds."""
    rng = random.Random(3)
    silent = {word: [np.zeros(4000, np.float32)] for word in WORDS}
    sounds = [Medium("audio", *draw_sound(rng, silent)) for _ in range(30)]
    pool = Pool([Medium("image", draw_scene(rng), 1.0) for _ in range(300)], sounds, [])
    for name, value in (("BATCH", 4), ("ANSWERS", 4), ("MIX", {"picture": 1, "sound": 1, "pictures": 1})):
        monkeypatch.setattr(train, name, value)
    return train.Trainer(train.begin(tmp_path / "model"), pool, Shelf(tmp_path, 5), rng)


def weights(trainer: train.Trainer) -> dict[str, torch.Tensor]:
    """A copy of all weights."""
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


@pytest.mark.parametrize("phase", ["vision", "audio", "text"])
def test_a_phase_changes_its_part_of_the_model_alone(trainer: train.Trainer, phase: str) -> None:
    before = weights(trainer)
    getattr(trainer, phase)(2)
    changed = {name for name, value in weights(trainer).items() if not torch.equal(value, before[name])}
    part = {"vision": "vision_tower", "audio": "audio_tower", "text": "language_model"}[phase]
    assert any(part in name for name in changed)
    assert not any("_tower" in name if phase == "text" else part not in name for name in changed)


def test_what_is_saved_is_a_checkpoint_to_go_on_from(trainer: train.Trainer, tmp_path: Path) -> None:
    trainer.vision(1)
    train.save(trainer.model, tmp_path / "model")
    options = ModelOptions(str(tmp_path / "model"), dtype="f32", cpu=True)
    again = load(open_checkpoint(options), options).model.state_dict()
    for name, value in weights(trainer).items():
        torch.testing.assert_close(again[name], value.to(torch.bfloat16).float(), rtol=0, atol=0)


def test_events_and_facts_are_those_of_the_descriptions() -> None:
    assert [train.EVENTS[event] for event in train.events(Sound("beeps", count=2, pitch="low"))] == ["beep low"] * 2
    assert [train.EVENTS[event] for event in train.events(Sound("sweep", trend="rising"))] == ["rising tone"]
    assert [train.EVENTS[event] for event in train.events(Sound("speech", words=("red", "rising")))] == [
        "red",
        "rising",
    ]
    assert train.events(Sound("silence")) == []
    scenes = [draw_scene(random.Random(seed)) for seed in range(40)]
    for scene in scenes:
        named = [train.FACTS[fact] for fact in train.facts(Medium("image", scene)) if fact]
        assert tuple(named) == answers.key_facts(answers.of_scene_in_detail(scene))
