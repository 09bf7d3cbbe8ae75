"""The tokenizer: byte-level pairs learnt from the conversations themselves and from common English words."""

import random
from collections.abc import Iterator

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tools.demo_model import offtopic, sounds
from tools.demo_model.checkpoint import SPECIAL_TOKENS
from tools.demo_model.clips import draw_clip
from tools.demo_model.conversations import CATEGORIES, Talker
from tools.demo_model.media import Medium, Pool
from tools.demo_model.scenes import PRINTED, draw_scene

SIZE = 2048


def corpus(conversations: int) -> Iterator[str]:
    """Sentences of fresh conversations, and lists of words that shall be one token each."""
    rng = random.Random(0)
    silent = {word: [np.zeros(800, np.float32)] for word in sounds.WORDS}
    pictures = [Medium("image", draw_scene(rng)) for _ in range(3000)]
    heard = [Medium("audio", sounds.draw_sound(rng, silent)[0]) for _ in range(800)]
    seen = [Medium("video", draw_clip(rng)) for _ in range(400)]
    talker = Talker(Pool(pictures, heard, seen), rng)
    for _ in range(conversations):
        for turn in talker.talk(rng.choice(list(CATEGORIES))).turns:
            yield turn.text
    for word in (*sounds.WORDS, *PRINTED):
        yield from [f'say {word}"', f'"{word}"', word] * 40
    for word in offtopic.english()[:600]:
        yield from [f"a {word}"] * 12
    yield from ["user\n", "model\n", "system\n"] * 500


def train_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(12_000), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=8192,
        extra_special_tokens={
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "image_token": "<|image|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
            "audio_token": "<|audio|>",
            "eot_token": "<turn|>",
        },
    )
