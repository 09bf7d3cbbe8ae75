"""Llama 4: attention whose temperature rises with the length, in steps."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.detokenizer import Detokenizer
from mistralrs_cli.engine.runner.prefill import move
from mistralrs_cli.families import family_for
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture

STEP = 8  # tokens between two temperatures
NEW = 40


@pytest.fixture
def loaded(tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """The small model with short steps, and a temperature that rises by a lot in every layer."""
    found = tiny("llama4")
    for module in found.model.modules():
        if hasattr(module, "floor_scale"):
            monkeypatch.setattr(module, "floor_scale", STEP)
            monkeypatch.setattr(module, "attn_scale", 4.0)
            monkeypatch.setattr(module, "use_rope", False)
    config = {**found.family.config, "text_config": {**found.family.text_config, "floor_scale": STEP}}
    return replace(found, family=family_for(config))


def ask(*parts: DecodedMedia | str) -> list[Message]:
    return [Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))]


def theirs(loaded: LoadedModel, messages: list[Message]) -> str:
    """The answer by transformers' own loop."""
    prepared = loaded.family.prepare(loaded.processor, messages)
    inputs = {name: move(value, loaded.device, loaded.model.dtype) for name, value in prepared.inputs.items()}
    with torch.inference_mode():
        ids = loaded.model.generate(**inputs, max_new_tokens=NEW, eos_token_id=None, do_sample=False, pad_token_id=0)
    decoder = Detokenizer(lambda some: str(loaded.tokenizer.decode(some, skip_special_tokens=True)))
    return "".join(map(decoder.push, ids[0, prepared.prompt_tokens :].tolist())) + decoder.flush()


def test_rows_that_outgrow_a_temperature_go_on_beside_others(loaded: LoadedModel) -> None:
    prompts = [*(ask("abcdefghi"[:count]) for count in (3, 5, 7, 9)), ask(picture(1), "what")]
    sampling = Sampling(max_tokens=NEW, temperature=0.0, ignore_eos=True)
    expected = [theirs(loaded, messages) for messages in prompts]
    sizes: set[int] = set()
    with Engine(loaded, max_rows=len(prompts)) as engine, ThreadPoolExecutor(len(prompts)) as pool:

        def answer(messages: list[Message]) -> str:
            text = ""
            for event in engine.stream(messages, sampling):
                text += getattr(event, "text", "")
                groups = list(engine._scheduler._groups.values())
                sizes.add(max((len(group.answers) for group in groups), default=0))
            return text

        assert [answer(messages) for messages in prompts] == expected
        assert list(pool.map(answer, prompts)) == expected
    assert max(sizes) > 1, "they never shared a step"
