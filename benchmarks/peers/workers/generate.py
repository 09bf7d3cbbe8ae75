"""transformers' ``generate``."""

from measure import SPEC, measure

from mistralrs_cli.loading.torchvision import ensure_importable

ensure_importable()
import torch  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

torch.set_num_threads(SPEC["threads"])
model = AutoModelForCausalLM.from_pretrained(SPEC["checkpoint"], dtype=torch.bfloat16).eval()


def together(prompts, tokens):
    length = min(len(prompt["ids"]) for prompt in prompts)
    ids = torch.tensor([prompt["ids"][-length:] for prompt in prompts])
    with torch.inference_mode():
        made = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
        )
    assert made.shape[1] == length + tokens


def ask(prompt, tokens):
    together([prompt], tokens)


measure(ask, together)
