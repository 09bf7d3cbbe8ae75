"""This project, and mistral.rs itself: both have the same Python interface."""

import os
from concurrent.futures import ThreadPoolExecutor

from measure import SPEC, measure

from mistralrs import ChatCompletionRequest, Runner, Which

if SPEC["engine"] == "mistral.rs":
    from mistralrs import Architecture

    which = Which.Plain(model_id=SPEC["checkpoint"], arch=getattr(Architecture, SPEC["architecture"]))
    more = {}
else:
    which = Which.Plain(model_id=SPEC["checkpoint"])
    more = {"threads": SPEC["threads"]}
    if SPEC["dtype"]:
        which = Which.Plain(model_id=SPEC["checkpoint"], dtype=SPEC["dtype"])
if SPEC["quantization"]:
    more["in_situ_quant"] = SPEC["quantization"]
runner = Runner(which=which, prefix_cache_n=0, **more)


def ask(prompt, tokens):
    request = ChatCompletionRequest(
        model="default",
        messages=[{"role": "user", "content": prompt["text"]}],
        max_tokens=tokens,
        temperature=0.0,
        ignore_eos=True,
    )
    made = runner.send_chat_completion_request(request).usage.completion_tokens
    assert abs(made - tokens) <= 1, made


def together(prompts, tokens):
    with ThreadPoolExecutor(len(prompts)) as pool:
        list(pool.map(ask, prompts, [tokens] * len(prompts)))


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
measure(ask, together)
