"""What a model will need: weights by their headers, the KV cache and the images of the planning options.

Numbers of bytes throughout. Weights and cache are exact for what is planned; activations are an estimate from above of
the largest tensors alive at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..families import Family
from ..options import KVCacheType, ModelOptions
from .decoder_layers import layer_weight
from .headers import Stored
from .kv_cache import bytes_per_number, layer_kinds
from .quantization import QuantType

INTEGERS = frozenset({"I8", "U8", "I16", "I32", "I64", "BOOL"})
FLOATS8 = frozenset({"F8_E4M3", "F8_E5M2"})
PATCH = 14


@dataclass(frozen=True, slots=True)
class MemoryNeeds:
    """Bytes a model needs: ``layers`` and ``cache`` for every text layer, ``rest`` and ``activations`` beside them."""

    layers: tuple[int, ...]
    rest: int
    cache: tuple[int, ...]
    activations: int

    @property
    def weights(self) -> int:
        """All weights."""
        return sum(self.layers) + self.rest

    @property
    def total(self) -> int:
        """Everything."""
        return self.weights + sum(self.cache) + self.activations


def plan_need(
    stored: Mapping[str, Stored],
    family: Family,
    options: ModelOptions,
    width: int,
    kind: Callable[[str, int | None], QuantType | None],
    *,
    dequantized_on_load: bool = False,
) -> MemoryNeeds:
    """What a checkpoint needs with these planning options.

    ``width`` is the bytes of one number of the dtype; ``kind`` says what a matrix is quantized to, by its name and text
    layer; ``dequantized_on_load`` whether eight-bit floats become numbers of the dtype.
    """
    text = family.text_config
    numbers = {name: at.number for name in stored if (at := layer_weight(name, family.towers)) is not None}
    count = number(text, "num_hidden_layers") or 1 + max(numbers.values(), default=0)
    layers, rest = [0] * count, 0
    for name, entry in stored.items():
        layer = numbers.get(name)
        size = loaded_size(entry, width, kind(name, layer), dequantized_on_load=dequantized_on_load)
        if layer is not None and layer < count:
            layers[layer] += size
        else:
            rest += size
    tokens = min(options.max_seq_len, family.context_length or options.max_seq_len)
    cache = cache_size(text, tokens, options.max_batch_size, width, count, options.kv_cache_type)
    return MemoryNeeds(tuple(layers), rest, tuple(cache), activation_size(family, options, tokens, width))


def text_weights(stored: Mapping[str, Stored], family: Family) -> int:
    """How many numbers the matrices of the text layers have."""
    return sum(
        entry.count
        for name, entry in stored.items()
        if len(entry.shape) > 1 and layer_weight(name, family.towers) is not None
    )


def loaded_size(entry: Stored, width: int, kind: QuantType | None, *, dequantized_on_load: bool = False) -> int:
    """Bytes of a weight once it is loaded, in a dtype of ``width`` bytes.

    A matrix is quantized to ``kind``, scales and all. Integers stay as they are stored, and eight-bit floats unless
    they are ``dequantized_on_load``: such a checkpoint comes quantized.
    """
    if entry.dtype in INTEGERS or (entry.dtype in FLOATS8 and not dequantized_on_load):
        return entry.size
    if kind is not None and len(entry.shape) > 1:
        return int(entry.count * kind.memory_bits / 8)
    return entry.count * width


def cache_size(
    text: Mapping[str, Any], tokens: int, rows: int, width: int, count: int, stored: KVCacheType = "auto"
) -> list[int]:
    """Bytes of keys and values for every layer.

    A layer keeps two times heads × head size × tokens: its window's tokens if it slides, none if it shares those of an
    earlier one, and a fixed state where its attention is linear. Those that attend to all tokens are ``stored`` in
    fewer bits where that was asked for.
    """
    shared = number(text, "num_kv_shared_layers")
    window = number(text, "sliding_window") or number(text, "attention_chunk_size")
    own = text.get("per_layer_config") or {}
    crossing = set(text.get("cross_attention_layers") or ())
    sizes = []
    for layer, kind in enumerate(layer_kinds(text, count)):
        if layer >= count - shared:
            sizes.append(0)
        elif kind == "linear_attention":
            sizes.append(rows * linear_state(text, width))
        else:
            slides = kind in ("sliding_attention", "chunked_attention")
            kept = min(tokens, window) if slides and window else tokens
            numbers, head = key_size({**text, **own.get(str(layer), {})}, full=not slides)
            packed = kind == "full_attention" and layer not in crossing
            each = bytes_per_number(stored if packed else "auto", width, head)
            sizes.append(math.ceil(2 * rows * kept * numbers * each))
    return sizes


def token_cache_size(text: Mapping[str, Any], width: int, stored: KVCacheType = "auto") -> int:
    """Bytes of keys and values that one more token takes, in numbers of ``width`` bytes, while no window is full.

    0 where the configuration leaves the sizes to its class.
    """
    layers = number(text, "num_hidden_layers")
    one, two = (sum(cache_size(text, tokens, 1, width, layers, stored)) for tokens in (1, 2))
    return two - one


def key_size(text: Mapping[str, Any], *, full: bool) -> tuple[int, int]:
    """Numbers in the keys of one token, key-value heads × head size, and the head size.

    Gemma 4's full layers have sizes of their own.
    """
    heads = number(text, "num_attention_heads") or 1
    kept = number(text, "num_key_value_heads") or heads
    size = number(text, "head_dim") or number(text, "hidden_size") // heads
    if full:
        kept = number(text, "num_global_key_value_heads") or kept
        size = number(text, "global_head_dim") or size
    return kept * size, size


def linear_state(text: Mapping[str, Any], width: int) -> int:
    """Bytes of one row's convolution and recurrent states in a gated delta network layer; the latter in float32."""
    keys, key = number(text, "linear_num_key_heads"), number(text, "linear_key_head_dim")
    values, value = number(text, "linear_num_value_heads"), number(text, "linear_value_head_dim")
    convolved = (2 * keys * key + values * value) * (number(text, "linear_conv_kernel_dim") or 4)
    return convolved * width + values * key * value * 4


def activation_size(family: Family, options: ModelOptions, tokens: int, width: int) -> int:
    """Bytes alive at once while a prompt of ``tokens`` is read, or its images if they need more.

    A layer holds about its input, its attention's four projections and twice its feed-forward width per token; the
    scores of the last token are in float32. The vision tower is counted the same way, with all its patches at once.
    """
    text, vision = family.text_config, family.config.get("vision_config") or {}
    prompt = tokens * options.max_batch_size * token_size(text) * width
    prompt += 4 * options.max_batch_size * number(text, "vocab_size")
    edge = number(vision, "image_size") or options.max_image_length if "image" in family.modalities else 0
    patches = (edge // (number(vision, "patch_size") or PATCH)) ** 2
    images = (options.max_num_images or 1) * patches * token_size(vision) * width
    return max(prompt, images)


def token_size(config: Mapping[str, Any]) -> int:
    """Numbers that one token or patch holds inside a layer."""
    hidden = number(config, "hidden_size") or number(config, "embed_dim")
    return 6 * hidden + 2 * (number(config, "intermediate_size") or 4 * hidden)


def number(config: Mapping[str, Any], name: str) -> int:
    """A number of a configuration, the largest of a list of them; 0 where it says nothing that is one."""
    value = config.get(name)
    numbers = value if isinstance(value, (list, tuple)) else [value]
    return max((int(item) for item in numbers if isinstance(item, (int, float))), default=0)
