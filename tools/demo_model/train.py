"""Train the demo model: ``python -m tools.demo_model.train --work FOLDER [--steps VISION AUDIO TEXT]``.

An empty FOLDER gets a checkpoint with the configuration, processor and tokenizer of the bundled model and random
weights; training goes on from what FOLDER holds.

1. Vision tower: every soft token learns to name the key facts of its image.
2. Audio tower: CTC over the events of a sound (beeps, tones, words).
3. Text model, towers frozen: cross entropy of the answers, with the prompts that the product makes of ordinary files.
"""

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import AutoConfig, Gemma4ForConditionalGeneration, get_cosine_schedule_with_warmup

from mistralrs_cli.decoded import DecodedImage
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.messages import DecodedMedia, MediaRef
from mistralrs_cli.options import ModelOptions
from tools.demo_model import answers
from tools.demo_model.conversations import Talker
from tools.demo_model.files import Shelf, decoded, draw_pool, read
from tools.demo_model.media import Medium, Pool
from tools.demo_model.scenes import DIGITS
from tools.demo_model.sounds import VOICES, WORDS, Sound

BUNDLED = Path("mistralrs_cli/demo")
BATCH, ANSWERS = 24, 8  # media of a step, answers of a step
RATES = {"vision": 1e-3, "audio": 1e-3, "text": 1e-3}
MIX = {"text": 2, "picture": 5, "sound": 8, "clip": 2, "pictures": 6, "picture+sound": 4, "picture+clip": 2} | {
    "sound+clip": 1.5,
    "clips": 2,
    "follow-up": 3,
}
FACTS = ("", *sorted(answers.FACTS | {*DIGITS}))
MOST_FACTS = 8  # of one image
EVENTS = ("", "beep low", "beep high", "tone low", "tone high", "rising tone", "falling tone", "noise", *WORDS)
REPORT_EVERY = 20


def soften(model: nn.Module) -> None:
    """Fan-in weights, small random positions and soft attention.

    Gemma 4's own start (0.02 everywhere, positions of one, q and k norms of one with an attention scale of one) suits
    wide models; a narrow one learns far faster from this.
    """
    for name, weight in model.named_parameters():
        if "position_embedding_table" in name:
            nn.init.normal_(weight, std=0.3)
        elif name.endswith("q_norm.weight"):
            weight.data.fill_(1.3 * weight.numel() ** -0.5)
        elif weight.ndim == 2 and "audio_tower" not in name:
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)


def begin(folder: Path) -> LoadedModel:
    """The model of FOLDER in float32, with random weights where FOLDER is empty."""
    if not (folder / "config.json").exists():
        shutil.copytree(BUNDLED, folder, dirs_exist_ok=True)
        torch.manual_seed(0)
        fresh = Gemma4ForConditionalGeneration(AutoConfig.from_pretrained(folder))
        soften(fresh)
        fresh.tie_weights()
        save(fresh, folder)
    options = ModelOptions(str(folder), dtype="f32")
    loaded = load(open_checkpoint(options), options)
    loaded.model.requires_grad_(True)
    return loaded


def save(model: Any, folder: Path) -> None:
    """Write the weights in bfloat16; the file is replaced whole, never half written."""
    weights = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        model.save_pretrained(fresh, state_dict=weights)
        (Path(fresh) / "model.safetensors").replace(folder / "model.safetensors")


def optimize(name: str, steps: int, weights: list[nn.Parameter], backward: Callable[[], float]) -> None:
    """AdamW with warm-up and a cosine schedule; ``backward`` draws a batch, adds its gradients and returns its loss."""
    optimizer = torch.optim.AdamW(weights, RATES[name], betas=(0.9, 0.98), weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, min(500, steps // 10), steps)
    losses: list[float] = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        losses.append(backward())
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % REPORT_EVERY == 0 or step == steps:
            print(f"{name} {step}/{steps} loss {sum(losses) / len(losses):.4f}", flush=True)
            losses = []


def facts(medium: Medium) -> list[int]:
    """The key facts of an image as classes, padded with 0."""
    found = answers.key_facts(answers.of_scene_in_detail(medium.content))
    return ([FACTS.index(fact) for fact in found] + [0] * MOST_FACTS)[:MOST_FACTS]


def events(sound: Sound) -> list[int]:
    """What is heard one after another, as classes."""
    heard = {"beeps": [f"beep {sound.pitch}"] * sound.count, "tone": [f"tone {sound.pitch}"], "noise": ["noise"]}
    names = heard.get(sound.kind) or ([f"{sound.trend} tone"] if sound.kind == "sweep" else list(sound.words))
    return [EVENTS.index(name) for name in names]


class Trainer:
    """The three phases, over media of one pool."""

    def __init__(self, loaded: LoadedModel, pool: Pool, shelf: Shelf, rng: random.Random) -> None:
        self.loaded, self.pool, self.shelf, self.rng = loaded, pool, shelf, rng
        self.model, self.processor, self.device = loaded.model, loaded.processor, loaded.device
        self.talker = Talker(pool, rng)

    def vision(self, steps: int) -> None:
        """Every soft token names the key facts of its image."""
        tower = self.model.model.vision_tower
        head = nn.Linear(self.model.config.vision_config.hidden_size, MOST_FACTS * len(FACTS), device=self.device)

        def backward() -> float:
            media = self.rng.sample(self.pool.pictures, BATCH)
            images = [self.image(medium) for medium in media]
            inputs = self.processor.image_processor(images, return_tensors="pt").to(self.device)
            positions = inputs["image_position_ids"]
            tokens = tower(inputs["pixel_values"], positions).last_hidden_state
            pooled = self.model.config.vision_config.pooling_kernel_size**2
            counts = (positions[..., 0] >= 0).sum(1) // pooled
            wanted = torch.tensor([facts(medium) for medium in media], device=self.device)
            logits = head(F.rms_norm(tokens, tokens.shape[-1:])).view(-1, len(FACTS))
            loss = F.cross_entropy(logits, wanted.repeat_interleave(counts, 0).flatten())
            loss.backward()
            return loss.item()

        optimize("vision", steps, [*tower.parameters(), *head.parameters()], backward)

    def image(self, medium: Medium) -> Image.Image:
        """The image of a file as the product decodes it: a transparent one on white, for example."""
        part = read(MediaRef("image", str(self.shelf.path(medium))), self.loaded.family)
        assert isinstance(part, DecodedMedia)
        assert isinstance(part.data, DecodedImage)
        return part.data.image

    def audio(self, steps: int) -> None:
        """CTC over the events of a sound."""
        tower = self.model.model.audio_tower
        head = nn.Linear(self.model.config.audio_config.output_proj_dims, len(EVENTS), device=self.device)

        def backward() -> float:
            media = self.rng.sample(self.pool.sounds, BATCH)
            inputs = self.processor.feature_extractor([medium.data for medium in media], return_tensors="pt")
            inputs = inputs.to(self.device)
            output = tower(inputs["input_features"], inputs["input_features_mask"])
            tokens = output.last_hidden_state
            scores = head(F.rms_norm(tokens, tokens.shape[-1:])).log_softmax(-1).transpose(0, 1)
            wanted = [events(medium.content) for medium in media]
            targets = torch.tensor([event for own in wanted for event in own], device=self.device)
            lengths = torch.tensor([len(own) for own in wanted])
            loss = F.ctc_loss(scores, targets, output.attention_mask.sum(1), lengths, zero_infinity=True)
            loss.backward()
            return loss.item()

        optimize("audio", steps, [*tower.parameters(), *head.parameters()], backward)

    def text(self, steps: int) -> None:
        """Answers to questions; the towers stay as they are."""
        weights = [weight for name, weight in self.model.named_parameters() if "_tower" not in name]
        self.model.model.vision_tower.requires_grad_(False)
        self.model.model.audio_tower.requires_grad_(False)
        optimize("text", steps, weights, lambda: sum(self.answer() for _ in range(ANSWERS)))

    def answer(self) -> float:
        """Add the gradients of one answer, with the prompt that the product makes of its files."""
        conversation = self.talker.talk(self.rng.choices(list(MIX), list(MIX.values()))[0])
        family = self.loaded.family
        prepared = family.prepare(self.processor, decoded(self.shelf.messages(conversation), family))
        answer = self.loaded.tokenizer(f"{conversation.answer}<turn|>", add_special_tokens=False, return_tensors="pt")
        answer = answer["input_ids"]
        inputs = dict(prepared.inputs)
        shape = inputs["input_ids"].shape
        labels = torch.cat((torch.full(shape, -100), answer), 1)
        for name, value in inputs.items():  # what has a value for each token
            if getattr(value, "shape", None) == shape:
                fill = {"input_ids": answer, "attention_mask": torch.ones_like(answer)}
                inputs[name] = torch.cat((value, fill.get(name, torch.zeros_like(answer))), 1)
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        loss: Tensor = self.model(**inputs, labels=labels.to(self.device), use_cache=False).loss / ANSWERS
        loss.backward()
        return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--steps", type=int, nargs=3, default=(20_000, 20_000, 30_000), metavar=("VISION", "AUDIO", "TEXT")
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    loaded = begin(options.work)
    with tempfile.TemporaryDirectory() as name:
        pool = draw_pool(Path(name), options.seed, VOICES)
        trainer = Trainer(loaded, pool, Shelf(Path(name), options.seed), random.Random(options.seed))
        for phase, steps in zip((trainer.vision, trainer.audio, trainer.text), options.steps, strict=True):
            if steps:
                phase(steps)
                save(loaded.model, options.work)


if __name__ == "__main__":
    main()
