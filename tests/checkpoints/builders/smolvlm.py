"""SmolVLM2: as Idefics 3, and clips frame by frame."""

from typing import Any

from mistralrs_cli.messages import Message, Part, Text
from tests.checkpoints.media import image_of, video_of

from ..tokens import template, tokenizer
from . import randomized
from .idefics3 import NAMES, parts


def build() -> tuple[Any, Any]:
    """Pictures of at most 112 pixels; frames are not cut."""
    import transformers

    tokens = tokenizer([*NAMES, "<video>"])
    config = transformers.SmolVLMConfig(**parts(tokens))
    tile = {"longest_edge": 56}
    processor = transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(size={"longest_edge": 112}, max_image_size=tile),
        tokens,
        transformers.SmolVLMVideoProcessor(size=tile, max_image_size=tile, num_frames=4, fps=1),
        image_seq_len=4,
        chat_template=template("<image>", "<video>"),
    )
    return randomized(transformers.SmolVLMForConditionalGeneration(config)), processor


def published(processor: Any, messages: list[Message]) -> dict[str, Any]:
    """The prompt of transformers' processor, and the pixels that it makes of each medium by itself, in order."""
    import torch
    import transformers

    theirs: Any = transformers.SmolVLMProcessor(
        processor.image_processor, processor.tokenizer, processor.video_processor, image_seq_len=4
    )

    def encode(messages: list[Message]) -> dict[str, Any]:
        clips = [video_of(part) for message in messages for part in message.media if part.kind == "video"]
        metadata = [
            {
                "total_num_frames": clip.total,
                "fps": clip.fps,
                "duration": clip.seconds,
                "frames_indices": list(clip.indices),
            }
            for clip in clips
        ]
        encoded: Any = theirs.apply_chat_template(
            [{"role": message.role, "content": [item(part) for part in message.parts]} for message in messages],
            chat_template=processor.chat_template,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
            processor_kwargs={"do_sample_frames": False, "video_metadata": metadata} if clips else {},
        )
        return dict(encoded)

    def item(part: Part) -> dict[str, Any]:
        match part:
            case Text():
                return {"type": "text", "text": part.text}
            case _ if part.kind == "image":
                return {"type": "image", "image": image_of(part).image}
            case _:
                return {"type": "video", "video": video_of(part).frames}

    whole = encode(messages)
    alone = [encode([Message("user", (part,))]) for message in messages for part in message.media]
    for key in ("pixel_values", "pixel_attention_mask") if alone else ():
        whole[key] = torch.cat([one[key] for one in alone], dim=1)
    return whole
