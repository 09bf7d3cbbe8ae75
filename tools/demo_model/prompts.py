"""Conversations as the text model reads them: token ids, the features between them, and which tokens to learn."""

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tools.demo_model.clips import Clip
from tools.demo_model.conversations import Conversation, Medium, Turn

IGNORED = -100
SECONDS = (0.8, 1.5, 2, 3, 4, 6, 10, 20)
FRAMES = {(4, 8): 0.35, (9, 16): 0.25, (17, 31): 0.15, (32, 32): 0.25}
REVERSED = {"right": "left", "left": "right", "up": "down", "down": "up", "grow": "shrink", "shrink": "grow"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """``ids`` and ``labels`` are equally long; ``features`` fill the placeholders in order, by tower."""

    ids: list[int]
    labels: list[int]
    seen: list[Tensor]
    heard: list[Tensor]


def cut(medium: Medium, rng: random.Random) -> Medium:
    """A clip as the model gets it: some of its frames or all (a slow one), now and then backwards.

    ``data`` is (frames, tokens, width).
    """
    data: Tensor = medium.data
    clip: Clip = medium.content
    count = rng.randint(*rng.choices(list(FRAMES), list(FRAMES.values()))[0])
    first = rng.random() * max(0.0, len(data) / count - 1)
    index = [min(len(data) - 1, int(first + i * len(data) / count)) for i in range(count)]
    if rng.random() < 0.4:
        index.reverse()
        turned = replace(clip.figure, color=clip.color2) if clip.motion == "color" else clip.figure
        clip = replace(clip, motion=REVERSED.get(clip.motion, clip.motion), figure=turned, color2=clip.color)
    return Medium("video", clip, data[index])


def thin(features: Tensor, rng: random.Random, least: int, most: int) -> Tensor:
    """A few soft tokens of a picture. Each knows the whole of it, so most of training is cheaper without the rest."""
    count = min(len(features), rng.randint(least, most))
    return features[sorted(rng.sample(range(len(features)), count))]


def chat(turns: tuple[Turn, ...], rng: random.Random) -> str:
    """The text the chat template and the processor make of the turns, one placeholder for each picture or frame."""
    text = "<bos>"
    for turn in turns:
        media = "".join(_placeholder(medium, rng) for medium in turn.media)
        words = turn.text.strip()
        text += f"<|turn>{turn.role}\n" + (words + media if turn.text_first else media + words) + "<turn|>\n"
    return text


def _placeholder(medium: Medium, rng: random.Random) -> str:
    if medium.kind != "video":
        return f"<|{medium.kind}|>"
    frames, seconds = len(medium.data), rng.choice(SECONDS)
    times = [int(seconds * frame / frames) for frame in range(frames)]
    return " ".join(f"{time // 60:02d}:{time % 60:02d} <|video|>" for time in times)


class Encoder:
    """Turns conversations into prompts with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        names = ["<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]
        self.boi, self.eoi, self.image, self.boa, self.eoa, self.audio, self.video = self.ids_of(names)
        self.turn, self.end = self.ids_of(["<|turn>", "<turn|>"])
        self.filler = self.ids_of(["<pad>"])[0]
        self.model = self.encode("model\n")

    def ids_of(self, tokens: list[str]) -> list[int]:
        return [int(self.tokenizer.convert_tokens_to_ids(token)) for token in tokens]  # type: ignore[arg-type]

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt(
        self, conversation: Conversation, rng: random.Random, thinned: bool = False, frame: tuple[int, int] = (3, 8)
    ) -> Prompt:
        ids: list[int] = []
        media = iter([medium for turn in conversation.turns for medium in turn.media])
        seen, heard = [], []
        frames: list[Tensor] = []
        for token in self.encode(chat(conversation.turns, rng)):
            if token == self.audio:
                features = next(media).data
                heard.append(features)
                ids += [self.boa, *[token] * len(features), self.eoa]
            elif token in (self.image, self.video):
                if not frames:
                    data: Tensor = next(media).data
                    frames = list(data) if token == self.video else [data]
                features = frames.pop(0)
                if thinned:
                    features = thin(features, rng, *(frame if token == self.video else (6, 20)))
                seen.append(features)
                ids += [self.boi, *[token] * len(features), self.eoi]
            else:
                ids.append(token)
        return Prompt(ids, self.labels(ids), seen, heard)

    def labels(self, ids: list[int]) -> list[int]:
        """The ids of the model's turns with their end; everything else is ignored."""
        labels = [IGNORED] * len(ids)
        for at, token in enumerate(ids):
            start = at + 1 + len(self.model)
            if token == self.turn and ids[at + 1 : start] == self.model:
                stop = ids.index(self.end, start) + 1
                labels[start:stop] = ids[start:stop]
        return labels


def pad(prompts: list[Prompt], filler: int) -> tuple[Tensor, Tensor]:
    """Ids and labels (batch, longest), padded at the end."""
    longest = max(len(prompt.ids) for prompt in prompts)
    ids = torch.full((len(prompts), longest), filler)
    labels = torch.full((len(prompts), longest), IGNORED)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt.ids)] = torch.tensor(prompt.ids)
        labels[row, : len(prompt.labels)] = torch.tensor(prompt.labels)
    return ids, labels
