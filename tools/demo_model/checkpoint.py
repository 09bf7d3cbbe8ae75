"""The demo model as a Gemma 4 checkpoint: its sizes, its processor, its first weights, and its folder."""

import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import (
    Gemma4AudioConfig,
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessor,
    Gemma4Processor,
    Gemma4TextConfig,
    Gemma4VideoProcessor,
    Gemma4VisionConfig,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

# Every width is a multiple of 64, which 4-bit kernels need. Pooling 1 is broken in Gemma 4's pooler, and 70 soft
# tokens is the least its processor accepts: a square picture becomes 128 x 128 pixels and 64 soft tokens.
PATCH, POOLING, SOFT_TOKENS = 8, 2, 70
PATCHES = SOFT_TOKENS * POOLING * POOLING
MEL_BINS = 64
TEXT_LAYERS = 6

SPECIAL_TOKENS = (
    *("<pad>", "<eos>", "<bos>", "<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>"),
    *("<|video|>", "<|turn>", "<turn|>"),
)
CHAT_TEMPLATE = """\
{{ bos_token }}
{%- for message in messages %}
    {{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
    {%- if message.content is string %}
        {{- message.content | trim }}
    {%- else %}
        {%- for part in message.content %}
            {%- if part.type in ('image', 'audio', 'video') %}
                {{- '<|' + part.type + '|>' }}
            {%- elif part.type == 'text' %}
                {{- part.text | trim }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<turn|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|turn>model\\n' }}
{%- endif %}"""


def vision_config() -> Gemma4VisionConfig:
    return Gemma4VisionConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=64,
        patch_size=PATCH,
        pooling_kernel_size=POOLING,
        position_embedding_size=288,
    )


def audio_config() -> Gemma4AudioConfig:
    """``attention_chunk_size`` must be one less than ``attention_context_left``: one second, seen four layers deep."""
    return Gemma4AudioConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        attention_chunk_size=24,
        attention_context_left=25,
        subsampling_conv_channels=[MEL_BINS, 16],
        output_proj_dims=192,
        use_clipped_linears=False,
    )


def text_config(tokenizer: PreTrainedTokenizerFast) -> Gemma4TextConfig:
    rope = {"rope_type": "default", "rope_theta": 10_000.0}
    return Gemma4TextConfig(
        vocab_size=len(tokenizer),
        vocab_size_per_layer_input=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        global_head_dim=32,  # type: ignore[call-arg]  # read, but not declared
        sliding_window=8192,
        layer_types=["sliding_attention", "full_attention"] * (TEXT_LAYERS // 2),
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=0,
        rope_parameters={"sliding_attention": dict(rope), "full_attention": dict(rope)},
        max_position_embeddings=8192,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_stops(tokenizer),
        tie_word_embeddings=True,
    )


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


def _stops(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return [_id(tokenizer, token) for token in ("<eos>", "<turn|>")]


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Gemma4ForConditionalGeneration:
    """The model with fresh weights, float32."""
    torch.manual_seed(seed)
    names = ("<|image>", "<image|>", "<|image|>", "<|video|>", "<|audio>", "<audio|>", "<|audio|>")
    boi, eoi, image, video, boa, eoa, audio = (_id(tokenizer, name) for name in names)
    config = Gemma4Config(
        text_config=text_config(tokenizer),
        vision_config=vision_config(),
        audio_config=audio_config(),
        boi_token_id=boi,
        eoi_token_id=eoi,
        image_token_id=image,
        video_token_id=video,
        boa_token_id=boa,
        eoa_token_index=eoa,
        audio_token_id=audio,
        tie_word_embeddings=True,
    )
    model = Gemma4ForConditionalGeneration(config)
    soften(model)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_stops(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


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


def image_processor() -> Gemma4ImageProcessor:
    return Gemma4ImageProcessor(patch_size=PATCH, max_soft_tokens=SOFT_TOKENS, pooling_kernel_size=POOLING)


def feature_extractor() -> Gemma4AudioFeatureExtractor:
    return Gemma4AudioFeatureExtractor(feature_size=MEL_BINS)


def new_processor(tokenizer: PreTrainedTokenizerFast) -> Gemma4Processor:
    video = Gemma4VideoProcessor(
        num_frames=32, patch_size=PATCH, max_soft_tokens=SOFT_TOKENS, pooling_kernel_size=POOLING
    )
    return Gemma4Processor(
        feature_extractor(),
        image_processor(),
        tokenizer,
        video,
        chat_template=CHAT_TEMPLATE,
        image_seq_length=SOFT_TOKENS,
    )


def save(model: Gemma4ForConditionalGeneration, processor: Gemma4Processor, folder: Path) -> None:
    """Write the checkpoint in bfloat16; each file of ``folder`` is replaced whole, none is ever half written."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    weights = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    model.config.dtype = torch.bfloat16
    model.save_pretrained(fresh, state_dict=weights)
    processor.save_pretrained(fresh)
    for file in fresh.iterdir():
        file.chmod(0o644)
        file.replace(folder / file.name)
    fresh.rmdir()
