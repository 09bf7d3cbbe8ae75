"""Conversations as the text model reads them: token ids, the features between them, and which tokens to learn."""

import random
from dataclasses import dataclass, replace

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tools.demo_model import answers
from tools.demo_model.clips import Clip
from tools.demo_model.conversations import Topic, Turn
from tools.demo_model.media import Medium
from tools.demo_model.questions import Exchange

IGNORED = -100
SECONDS = (0.8, 1.5, 2, 3, 4, 6, 10, 20)
FRAMES = {(4, 8): 0.25, (9, 16): 0.2, (17, 31): 0.15, (32, 32): 0.4}
WORDS_FIRST = 0.12  # share of questions that come before their media: nothing can share these
REVERSED = {"right": "left", "left": "right", "up": "down", "down": "up", "grow": "shrink", "shrink": "grow"}


@dataclass(frozen=True, slots=True)
class Branch:
    """Token ids and labels, equally long; a label is the id itself where it is to learn, else IGNORED.

    One that is ``supposed`` is about media that are not there.
    """

    ids: list[int]
    labels: list[int]
    intent: str = ""
    supposed: bool = False

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A stem with the media, and questions with their answers, of which each goes on from the stem as if alone.

    ``seen`` and ``heard`` fill the placeholders in order, by tower.
    """

    stem: Branch
    branches: list[Branch]
    seen: list[Tensor]
    heard: list[Tensor]
    category: str = ""

    def __len__(self) -> int:
        return len(self.stem) + sum(map(len, self.branches))


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
    text = ""
    for turn in turns:
        media = placeholders(turn.media, rng)
        words = turn.text.strip()
        text += f"<|turn>{turn.role}\n" + (words + media if turn.text_first else media + words) + "<turn|>\n"
    return text


def placeholders(media: tuple[Medium, ...], rng: random.Random) -> str:
    return "".join(_placeholder(medium, rng) for medium in media)


def _placeholder(medium: Medium, rng: random.Random) -> str:
    if medium.kind != "video":
        return f"<|{medium.kind}|>"
    frames, seconds = len(medium.data), rng.choice(SECONDS)
    times = [int(seconds * frame / frames) for frame in range(frames)]
    return " ".join(f"{time // 60:02d}:{time % 60:02d} <|video|>" for time in times)


def asked(question: str) -> str:
    """The rest of the user's turn, and the start of the model's."""
    return f"{question}<turn|>\n<|turn>model\n"


def answered(exchange: Exchange) -> str:
    """The rest of the model's turn."""
    return f"{exchange.answer}<turn|>\n"


class Encoder:
    """Turns conversations into prompts with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        names = ["<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]
        self.boi, self.eoi, self.image, self.boa, self.eoa, self.audio, self.video = self.ids_of(names)
        self.turn, self.end = self.ids_of(["<|turn>", "<turn|>"])
        self.filler = self.ids_of(["<pad>"])[0]
        self.model = self.encode("model\n")
        self.verdicts = [self.encode(f" {word}")[0] for word in answers.VERDICTS]

    def ids_of(self, tokens: list[str]) -> list[int]:
        return [int(self.tokenizer.convert_tokens_to_ids(token)) for token in tokens]  # type: ignore[arg-type]

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt(
        self,
        topic: Topic,
        count: int,
        rng: random.Random,
        thinned: bool = False,
        frame: tuple[int, int] = (3, 8),
        supposed: int = 0,
    ) -> Prompt:
        """``count`` questions of one topic, or a single one that comes before the media.

        Then ``supposed`` more, where the topic has such and no question comes first.
        """
        media = [medium for turn in topic.before for medium in turn.media] + list(topic.media)
        seen, heard = [], []
        frames: list[Tensor] = []

        def filled(text: str, intent: str = "") -> Branch:
            ids: list[int] = []
            for token in self.encode(text):
                if token == self.audio:
                    features = media.pop(0).data
                    heard.append(features)
                    ids += [self.boa, *[token] * len(features), self.eoa]
                elif token in (self.image, self.video):
                    if not frames:
                        data: Tensor = media.pop(0).data
                        frames.extend(data if token == self.video else [data])
                    features = frames.pop(0)
                    if thinned:
                        features = thin(features, rng, *(frame if token == self.video else (6, 20)))
                    seen.append(features)
                    ids += [self.boi, *[token] * len(features), self.eoi]
                else:
                    ids.append(token)
            return Branch(ids, self.labels(ids), intent)

        begun = "<bos>" + chat(topic.before, rng) + "<|turn>user\n"
        shown = placeholders(topic.media, rng)
        exchanges = [topic.ask() for _ in range(count)]
        questions = [exchange.question.strip() for exchange in exchanges]
        if topic.media and rng.random() < WORDS_FIRST:
            stem = filled(begun + questions[0] + shown)
            exchanges, questions = exchanges[:1], [""]
        else:
            stem = filled(begun + shown)
        branches = [
            filled(asked(question) + answered(exchange), exchange.intent)
            for question, exchange in zip(questions, exchanges, strict=True)
        ]
        if topic.suppose and any(questions):
            branches += [self.supposed(topic.suppose()) for _ in range(supposed)]
        return Prompt(stem, branches, seen, heard)

    def supposed(self, exchange: Exchange) -> Branch:
        """A branch about media that are not in the stem: only what does not need them is to learn."""
        question = asked(exchange.question.strip())
        found = self.tokenizer(question + answered(exchange), add_special_tokens=False, return_offsets_mapping=True)
        shift = len(question)
        derived = [(begin + shift, end + shift) for begin, end in answers.derived(exchange.answer)]
        labels = [
            token if any(start < end and stop > begin for begin, end in derived) else IGNORED
            for token, (start, stop) in zip(found["input_ids"], found["offset_mapping"], strict=True)
        ]
        return Branch(list(found["input_ids"]), labels, supposed=True)

    def labels(self, ids: list[int]) -> list[int]:
        """The ids of the model's turns with their end; everything else is ignored."""
        labels = [IGNORED] * len(ids)
        for at, token in enumerate(ids):
            start = at + 1 + len(self.model)
            if token == self.turn and ids[at + 1 : start] == self.model:
                stop = ids.index(self.end, start) + 1
                labels[start:stop] = ids[start:stop]
        return labels
