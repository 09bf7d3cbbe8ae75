"""The published files of llava-hf/llava-v1.6-mistral-7b-hf: every key, sizes and ids scaled down."""

from . import SCALED

MODEL = "llava-hf/llava-v1.6-mistral-7b-hf"
FILES = {
    "preprocessor_config.json": {
        "aspect_ratio_setting": "anyres",
        "crop_size": {"height": SCALED, "width": SCALED},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_grid_pinpoints": SCALED,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "LlavaNextImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "processor_class": "LlavaNextProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": SCALED},
    },
    "tokenizer_config.json": {
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": None,
        "bos_token": SCALED,
        "clean_up_tokenization_spaces": False,
        "eos_token": SCALED,
        "legacy": True,
        "max_length": None,
        "model_max_length": 1000000000000000019884624838656,
        "pad_to_multiple_of": None,
        "pad_token": SCALED,
        "pad_token_type_id": 0,
        "padding_side": "left",
        "processor_class": "LlavaNextProcessor",
        "sp_model_kwargs": {},
        "spaces_between_special_tokens": False,
        "tokenizer_class": "LlamaTokenizer",
        "use_default_system_prompt": False,
    },
}
