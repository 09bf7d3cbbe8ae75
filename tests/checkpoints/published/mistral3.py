"""The published files of mistralai/Mistral-Small-3.2-24B-Instruct-2506: every key, sizes and ids scaled down."""

from . import SCALED

MODEL = "mistralai/Mistral-Small-3.2-24B-Instruct-2506"
NOTE = "the preprocessor is Magistral Small 2509's, which is of the same architecture"
FILES = {
    "preprocessor_config.json": {
        "crop_size": None,
        "data_format": "channels_first",
        "default_to_square": True,
        "device": None,
        "do_center_crop": None,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "PixtralImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "input_data_format": None,
        "patch_size": {"height": 14, "width": 14},
        "processor_class": "PixtralProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "return_tensors": None,
        "size": {"longest_edge": SCALED},
    }
}
