"""OpenVINO GenAI, which reads GGUF files of some architectures."""

import openvino_genai
from measure import SPEC, measure

pipeline = openvino_genai.LLMPipeline(SPEC["gguf"], "CPU", INFERENCE_NUM_THREADS=SPEC["threads"])


def ask(prompt, tokens):
    config = openvino_genai.GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, ignore_eos=True)
    config.do_sample = False
    config.apply_chat_template = True
    pipeline.generate(prompt["text"], config)


measure(ask, None)
