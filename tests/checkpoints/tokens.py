"""Tokenizers of single bytes without merges, and a chat template, for tiny checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}@IMAGE{% elif part.type == 'video' %}@VIDEO{% elif part.type == 'audio' %}@AUDIO"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = ("<|im_start|>", "<|im_end|>")


def template(image: str = "", video: str = "", audio: str = "") -> str:
    """A ChatML template with a family's placeholders."""
    return TEMPLATE.replace("@IMAGE", image).replace("@VIDEO", video).replace("@AUDIO", audio)


def tokenizer(special: Sequence[str] = (), named: Mapping[str, str] | None = None, *, gemma: bool = False) -> Any:
    """256 bytes, the structural tokens and the special tokens of a family. Gemma's class builds the kind it knows."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    structural = ["<pad>", "<eos>", "<bos>", *(["<unk>", "<mask>"] if gemma else [])]
    spelt = ["▁", "\n", *map(chr, range(33, 127)), *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = spelt if gemma else pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: index for index, token in enumerate([*structural, *sorted(letters)])}
    if gemma:
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        core.normalizer = normalizers.Replace(" ", "▁")
        core.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    else:
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in [*structural, *TURNS, *special]]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        **({"unk_token": "<unk>", "mask_token": "<mask>"} if gemma else {}),
        padding_side="left",
        model_max_length=4096,
        extra_special_tokens=dict(named or {}),
    )
