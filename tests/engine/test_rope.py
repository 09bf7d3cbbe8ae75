"""Rotary positions that change past a length: an answer across it is transformers' own, whoever decodes beside it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.detokenizer import Detokenizer
from mistralrs_cli.families import family_for
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.builders import TEXT, randomized
from tests.checkpoints.fixtures import opened
from tests.checkpoints.tokens import template, tokenizer

TRAINED = 64  # tokens of the first training
NEW = 12
ROPES: dict[str, dict[str, Any]] = {
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": TRAINED},
}
LENGTHS = (30, TRAINED - 5, 110, TRAINED, TRAINED + 1)  # of the prompts, in tokens


def write(folder: Path, rope: dict[str, Any]) -> Path:
    """A small Llama whose positions are of this kind."""
    ensure_importable()
    import transformers

    tokens = tokenizer()
    tokens.chat_template = template()
    shape = {**TEXT, "max_position_embeddings": TRAINED}
    config = transformers.LlamaConfig(vocab_size=len(tokens), num_hidden_layers=3, rope_parameters=rope, **shape)
    model = randomized(transformers.LlamaForCausalLM(config))
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=ROPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp(request.param), ROPES[request.param])


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    with Engine(opened(folder)) as engine:
        yield engine


def prompt(loaded: LoadedModel, tokens: int) -> list[Message]:
    """A question that makes a prompt of so many tokens."""
    empty = loaded.family.prepare(loaded.processor, [Message("user", (Text("."),))]).prompt_tokens - 1
    words = "the quick brown fox jumps over the lazy dog and goes on and on to see what there is to see behind the hill"
    return [Message("user", (Text(words[: tokens - empty]),))]


def theirs(folder: Path, messages: list[Message]) -> str:
    """The answer of a model that has not seen anything else, by transformers' own loop."""
    loaded = opened(folder)
    prepared = loaded.family.prepare(loaded.processor, messages)
    with torch.inference_mode():
        ids = loaded.model.generate(**prepared.inputs, max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    decoder = Detokenizer(lambda some: str(loaded.tokenizer.decode(some, skip_special_tokens=True)))
    return "".join(map(decoder.push, ids[0, prepared.prompt_tokens :].tolist())) + decoder.flush()


def test_an_answer_across_the_length_is_transformers_own(folder: Path, engine: Engine) -> None:
    prompts = [prompt(engine.loaded, length) for length in LENGTHS]
    assert tuple(engine.loaded.family.prepare(engine.loaded.processor, one).prompt_tokens for one in prompts) == LENGTHS
    sampling = Sampling(max_tokens=NEW, temperature=0.0, ignore_eos=True)

    def ask(messages: list[Message]) -> str:
        return engine.generate(messages, sampling).text

    expected = [theirs(folder, messages) for messages in prompts]
    assert [ask(messages) for messages in prompts] == expected
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(ask, prompts)) == expected
    assert len(set(expected)) == len(LENGTHS)


@pytest.mark.parametrize(
    ("rope", "length", "reach"),
    [
        (ROPES["dynamic"], TRAINED, 4 * TRAINED),
        (ROPES["yarn"], TRAINED, 4 * TRAINED),
        (ROPES["yarn"], 4 * TRAINED, 4 * TRAINED),
        ({"type": "yarn", "factor": 2.0}, TRAINED, 2 * TRAINED),
        ({"rope_type": "linear", "factor": 8.0}, TRAINED, TRAINED),
        ({"full_attention": {"rope_type": "linear", "factor": 8.0}}, TRAINED, TRAINED),
        (None, TRAINED, TRAINED),
    ],
)
@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_the_context_is_the_stretched_one(rope: dict[str, Any] | None, length: int, reach: int, key: str) -> None:
    config = {"model_type": "llama", "max_position_embeddings": length, key: rope}
    assert family_for(config).context_length == reach
