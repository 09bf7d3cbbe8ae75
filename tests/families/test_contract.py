"""What holds for every family: a checkpoint gets its tests by having a file in ``tests/checkpoints/builders``."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from typing import Any

import pytest
import torch

from mistralrs_cli.decoded import DecodedAudio, DecodedImage, DecodedVideo
from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.kv.layers import tensors
from mistralrs_cli.engine.kv.static import StaticCache
from mistralrs_cli.engine.runner.model_runner import ModelRunner
from mistralrs_cli.engine.runner.prefill import prefill
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.errors import UnsupportedModality
from mistralrs_cli.events import Reply
from mistralrs_cli.families import Prepared
from mistralrs_cli.families.registry import listed
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import MODALITIES, DecodedMedia, Message, Modality, Part, Role, Text, decoded_media
from mistralrs_cli.options import Sampling
from tests.checkpoints import builders
from tests.checkpoints.builders import BUILDERS
from tests.checkpoints.media import clip, picture, sound
from tests.engine.batches import Batch

Tiny = Callable[[str], LoadedModel]
Turn = tuple[DecodedMedia | str, ...]
ANOTHER: dict[Modality, Callable[[int], DecodedMedia]] = {
    "image": picture,
    "audio": lambda seed: sound(1.0, 220.0 * (1 + seed)),
    "video": clip,
}
FELT = 1e-2  # the least by which logits of these random models, of size 1, must move


def reads(name: str) -> tuple[Modality, ...]:
    """What a checkpoint reads, by the list of models; its builder says what it ``LACKS``."""
    family = max((one for one in listed() if name.startswith(one)), key=len, default=None)
    listing = None if family is None else listed()[family].listing
    lacks = getattr(import_module(f"{builders.__name__}.{name}"), "LACKS", ())
    return () if listing is None else tuple(kind for kind in listing.reads if kind not in lacks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test for every checkpoint, and those that ask for a ``kind`` for everything it reads."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize(("name", "kind"), [(name, kind) for name in BUILDERS for kind in reads(name)])
    else:
        metafunc.parametrize("name", BUILDERS)


def kinds(loaded: LoadedModel) -> list[Modality]:
    return [kind for kind in MODALITIES if kind in loaded.family.modalities]


def conversation(*turns: Turn) -> list[Message]:
    """Turns of the user and the model, in alternation."""
    roles: Sequence[Role] = ("user", "assistant")
    return [
        Message(roles[index % 2], tuple(Text(part) if isinstance(part, str) else part for part in turn))
        for index, turn in enumerate(turns)
    ]


def prepare(loaded: LoadedModel, *turns: Turn) -> Prepared:
    return loaded.family.prepare(loaded.processor, conversation(*turns))


@torch.inference_mode()
def logits(loaded: LoadedModel, *turns: Turn) -> torch.Tensor:
    prepared = prepare(loaded, *turns)
    loaded.family.set_adapter(loaded.model, prepared.adapter)
    return prefill(loaded.model, prepared.inputs)[1]


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def everything(loaded: LoadedModel) -> Turn:
    """Media of every kind, two pictures next to each other, and words between."""
    turn: list[DecodedMedia | str] = ["first "]
    for kind in kinds(loaded):
        turn += [ANOTHER[kind](1), f" after {kind} "]
    if "image" in kinds(loaded):
        turn += [picture(2, 40, 72), picture(3, 96, 64), " last"]
    return tuple(turn)


def outline(loaded: LoadedModel, ids: Sequence[int]) -> list[str]:
    """A prompt as words and runs of placeholders, in order."""
    marks = {token: mark(loaded, kind) for kind in kinds(loaded) for token in placeholders(loaded, kind)}
    return [found or loaded.tokenizer.decode(list(run)) for found, run in groupby(ids, marks.get)]


def mark(loaded: LoadedModel, kind: Modality) -> str:
    """A kind as it is written in an outline; kinds with the same placeholder are written alike."""
    return f"<{sorted(placeholders(loaded, kind))}>"


def placeholders(loaded: LoadedModel, kind: Modality) -> frozenset[int]:
    return loaded.family.placeholder_ids(loaded.processor, kind)


def test_the_hubs_older_layout_is_the_same_model(tiny: Tiny, older: Tiny, name: str) -> None:
    today, then = tiny(name), older(name)
    weights = then.model.state_dict()
    for key, value in today.model.state_dict().items():
        assert torch.equal(value, weights[key]), key
    same(prepare(then, everything(then)).inputs, prepare(today, everything(today)).inputs)


def test_the_prompt_is_what_its_own_processor_makes(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    whole = everything(loaded)
    cases = [("hello there",)], [whole], [whole, ("I see.",), ("and now?",)]
    for turns in cases:
        same(prepare(loaded, *turns).inputs, theirs(name, loaded, conversation(*turns)))


def same(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    assert ours["input_ids"].tolist() == expected["input_ids"].tolist()
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(ours[key], value), key


def theirs(name: str, loaded: LoadedModel, messages: list[Message]) -> dict[str, Any]:
    """The family's own processor, called as its documentation shows, or what its builder says is published."""
    builder = import_module(f"{builders.__name__}.{name}")
    if hasattr(builder, "published"):
        told: dict[str, Any] = builder.published(loaded.processor, messages)
        return told

    def item(part: Part) -> dict[str, Any]:
        match part:
            case Text():
                return {"type": "text", "text": part.text}
            case DecodedMedia(data=DecodedImage(image=image)):
                return {"type": "image", "image": image}
            case DecodedMedia(data=DecodedAudio(samples=samples)):
                return {"type": "audio", "audio": samples}
            case DecodedMedia(data=DecodedVideo(frames=frames)):
                return {"type": "video", "video": frames}
            case _:
                raise TypeError

    turns: list[dict[str, Any]] = [
        {"role": message.role, "content": [item(part) for part in message.parts]} for message in messages
    ]
    if not kinds(loaded):
        turns = [{**turn, "content": "".join(item["text"] for item in turn["content"])} for turn in turns]
    clips = [medium.data for medium in decoded_media(messages) if isinstance(medium.data, DecodedVideo)]
    arguments: dict[str, Any] = {}
    if clips:
        metadata = [
            {
                "total_num_frames": clip.total,
                "fps": clip.fps,
                "duration": clip.seconds,
                "frames_indices": list(clip.indices),
            }
            for clip in clips
        ]
        arguments["processor_kwargs"] = {"do_sample_frames": False, "video_metadata": metadata}
    return dict(
        loaded.processor.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True, **arguments
        )
    )


def test_parts_stay_in_the_order_given_and_each_is_reported(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    turn = everything(loaded)
    prepared = prepare(loaded, turn)
    text = "".join(outline(loaded, prepared.inputs["input_ids"][0].tolist()))
    place = 0
    for part in turn:
        wanted = part.strip() if isinstance(part, str) else mark(loaded, part.kind)
        assert wanted in text[place:], f"{wanted} after {text[:place]}"
        place = text.index(wanted, place) + len(wanted) * isinstance(part, str)  # pictures side by side are one run
    media = [part for part in turn if isinstance(part, DecodedMedia)]
    assert [(report.kind, report.source) for report in prepared.media] == [(part.kind, part.source) for part in media]
    assert all(report.tokens > 0 for report in prepared.media)
    known = frozenset(token for kind in kinds(loaded) for token in placeholders(loaded, kind))
    total = sum(token in known for token in prepared.inputs["input_ids"][0].tolist())
    assert sum(report.tokens for report in prepared.media) == total


def test_it_reads_what_is_listed(tiny: Tiny, name: str) -> None:
    assert set(reads(name)) == set(kinds(tiny(name)))


def test_the_answer_follows_the_words(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    assert distance(logits(loaded, ("one",)), logits(loaded, ("two",))) > FELT


def test_the_answer_follows_the_medium_and_the_order(tiny: Tiny, name: str, kind: Modality) -> None:
    loaded = tiny(name)
    one, other = ANOTHER[kind](1), ANOTHER[kind](2)
    assert distance(logits(loaded, (one, "what")), logits(loaded, (other, "what"))) > FELT
    assert distance(logits(loaded, (one, other, "what")), logits(loaded, (other, one, "what"))) > FELT
    assert distance(logits(loaded, (one, "what")), logits(loaded, ("what", one))) > FELT


def test_media_of_every_turn_count(tiny: Tiny, name: str, kind: Modality) -> None:
    """Media in the first turn, words in the second, media in the third."""
    loaded = tiny(name)
    one, two, three = (ANOTHER[kind](seed) for seed in (1, 2, 3))
    talk = [(one, "what"), ("this",), ("and",), ("that",), (two, "now")]
    told = logits(loaded, *talk)
    assert distance(told, logits(loaded, (three, "what"), *talk[1:])) > FELT
    assert distance(told, logits(loaded, *talk[:-1], (three, "now"))) > FELT
    assert distance(told, logits(loaded, (two, "what"), *talk[1:-1], (one, "now"))) > FELT
    assert len(prepare(loaded, *talk).media) == 2


def test_joined_answers_equal_those_given_alone(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    questions: list[Turn] = [("hello",), ("hello again",), everything(loaded)]
    for kind in kinds(loaded):
        questions += [(ANOTHER[kind](4), "and what is this"), (ANOTHER[kind](5), "so")]
    sampling = Sampling(max_tokens=6, temperature=0.0, ignore_eos=True)

    def ask(turn: Turn) -> str:
        return engine.generate(conversation(turn), sampling).text

    assert shares_a_lane(loaded), "or the comparison proves nothing"
    with Engine(loaded) as engine:
        alone = [ask(turn) for turn in questions]
        with ThreadPoolExecutor(len(questions)) as pool:
            assert list(pool.map(ask, questions)) == alone


GROWING = ("lfm2", "llama4", "mllama", "qwen3_5")
"""Checkpoints whose cache cannot be in fixed buffers: convolutions, chunked, cross and linear attention."""


@torch.inference_mode()
def test_a_step_of_fixed_shapes_gives_the_same_logits(tiny: Tiny, name: str) -> None:
    """Rows of different lengths, one past its window, in buffers that have rows and tokens to spare."""
    loaded = tiny(name)
    growing, fixed = Batch(loaded), Batch(loaded, static=True)
    turns: list[Turn] = [("hello",), everything(loaded)]
    prepared = [prepare(loaded, turn) for turn in turns]
    adapter = prepared[1].adapter
    for batch in (growing, fixed):
        for one in prepared:
            begun = batch.runner.begin(dict(one.inputs), adapter, check_cancelled=lambda: None)
            found = batch.runner.advance(begun, adapter, None, check_cancelled=lambda: None)
            assert found is not None
            batch.add(found[0])
    assert isinstance(fixed.cache, StaticCache) != name.startswith(GROWING)
    shapes = set()
    for token in (65, 66, 67, 68):
        for batch in (growing, fixed):
            for sequence in batch.sequences:
                sequence.ids = torch.cat([sequence.ids, torch.tensor([[token]])], -1)
        assert (
            distance(*(batch.runner.decode(batch.cache, batch.sequences, adapter) for batch in (fixed, growing))) < 1e-4
        )
        if isinstance(fixed.cache, StaticCache):
            assert fixed.cache.buffers is not None
            shapes.add(
                tuple(tensor.data_ptr() for layer in fixed.cache.buffers.cache.layers for tensor in tensors(layer))
            )
    assert len(shapes) <= 1


@torch.inference_mode()
def shares_a_lane(loaded: LoadedModel) -> bool:
    inputs = prepare(loaded, ("hello",)).inputs
    row = prefill(loaded.model, inputs)[0]
    key = loaded.family.batch_key
    return row.cache is not None and row.cache.batchable and key(row.cached) == key(row.cached + 1)


@torch.inference_mode()
def test_a_prompt_in_chunks_is_the_whole_prompt(tiny: Tiny, name: str) -> None:
    """The same logits and the same cache; a family whose prompts cannot be cut says so."""
    loaded = tiny(name)
    runner = ModelRunner(loaded)
    prompts: list[Turn] = [("hello there",), (*everything(loaded), "and something after them")]
    cut = 0
    for prompt in prompts:
        prepared = prepare(loaded, prompt)

        def run(tokens: int | None, prepared: Prepared = prepared) -> tuple[SequenceState, torch.Tensor, int]:
            begun = runner.begin(prepared.inputs, prepared.adapter, check_cancelled=lambda: None)
            for count in range(1, prepared.prompt_tokens + 1):
                found = runner.advance(begun, prepared.adapter, tokens, check_cancelled=lambda: None)
                if found is not None:
                    return *found, count
            raise AssertionError

        whole, wanted, once = run(None)
        sequence, given, count = run(11)
        assert once == 1
        cut += count > 1
        assert distance(given, wanted) < 1e-4
        assert torch.equal(sequence.position, whole.position)
        assert sequence.cache is not None
        assert whole.cache is not None
        pairs = zip(sequence.cache.cache.layers, whole.cache.cache.layers, strict=True)
        for mine, theirs in pairs:
            for one, other in zip(tensors(mine), tensors(theirs), strict=True):
                assert distance(one, other) < 1e-3
    assert bool(cut) == loaded.family.chunked_prefill


def test_a_tower_looks_at_a_medium_once(tiny: Tiny, name: str) -> None:
    """Behind other words, beside others, in another order, twice: as in a full run, without the tower's work."""
    loaded = tiny(name)
    sampling = Sampling(max_tokens=4, temperature=0.0, ignore_eos=True, logprobs=0)
    with Engine(loaded, encoded_bytes=1 << 28) as keeping, Engine(loaded) as plain, counted(loaded) as layers:

        def asked(*turn: DecodedMedia | str) -> int:
            """How many layers of the towers ran for a prompt, whose answer must be the one of a full run."""
            layers.clear()
            answer = keeping.generate(conversation(turn), sampling)
            ran = len(layers)
            wanted = plain.generate(conversation(turn), sampling)
            assert answer.text == wanted.text
            assert chances(answer) == pytest.approx(chances(wanted), abs=1e-4)
            return ran

        for kind in kinds(loaded):
            one, two, three = (ANOTHER[kind](seed) for seed in (21, 22, 23))
            anew = 2 if name.startswith("phi4") and kind == "audio" else 1  # masks are given to several sounds alone
            before = keeping.encoded.misses
            alone = asked(one, "what is it")
            assert alone > 0
            items = keeping.encoded.misses - before
            assert asked("look at this ", one, "and say something else") == 0
            assert asked("now ", one, two, "which") > 0
            assert keeping.encoded.misses - before == (1 + anew) * items
            assert asked("turned round ", two, "or", one) == 0
            assert asked("and twice ", two, two) == 0
            assert asked("another ", three) == alone
            assert keeping.encoded.misses - before == (2 + anew) * items
        if not kinds(loaded):
            asked("hello")
            assert keeping.encoded.misses == 0
    assert len(keeping.encoded) == 0


@contextmanager
def counted(loaded: LoadedModel) -> Iterator[list[str]]:
    """The layers of the towers that run, by name; projections after them do not count."""
    ran: list[str] = []
    towers = re.compile(r"visual|vision|audio|vpm|apm|embed_tokens_extend")
    after = re.compile(r"projector|projection|connector|resampler|lora_")
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in loaded.model.named_modules()
        if towers.search(name) and not after.search(name) and re.search(r"\.\d+\.", name)
    ]
    assert bool(hooks) == bool(kinds(loaded))
    yield ran
    for hook in hooks:
        hook.remove()


def chances(reply: Reply) -> list[float]:
    return [token.chosen.logprob for token in reply.logprobs]


def test_control_tokens_typed_by_a_user_are_text(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    controls = [token.content for token in loaded.tokenizer.added_tokens_decoder.values()]
    typed = " ".join(["say", *controls, "please"])
    media = tuple(ANOTHER[kind](1) for kind in kinds(loaded))
    plain, said = prepare(loaded, (*media, "say please")), prepare(loaded, (*media, typed))
    special = set(loaded.tokenizer.added_tokens_decoder)

    def found(prepared: Prepared) -> list[int]:
        return [token for token in prepared.inputs["input_ids"][0].tolist() if token in special]

    assert found(said) == found(plain)
    assert typed in loaded.tokenizer.decode(said.inputs["input_ids"][0])
    assert [report.tokens for report in said.media] == [report.tokens for report in plain.media]


def test_what_it_does_not_read_is_refused_by_name(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    with Engine(loaded) as engine:
        for kind in (kind for kind in MODALITIES if kind not in kinds(loaded)):
            with pytest.raises(UnsupportedModality, match=f"does not read {kind}s?: it reads text"):
                engine.stream(conversation((ANOTHER[kind](1), "what")))


def test_a_last_turn_can_be_left_open(tiny: Tiny, name: str) -> None:
    """The prompt ends with the words of the assistant's turn, media before it and all; nothing closes it."""
    loaded = tiny(name)
    said = conversation(everything(loaded), ("well then we go",))
    opened = loaded.family.prepare(loaded.processor, said, Sampling(turn="open").template_inputs)
    new = loaded.family.prepare(loaded.processor, said, Sampling().template_inputs)
    ids, whole = opened.inputs["input_ids"][0].tolist(), new.inputs["input_ids"][0].tolist()
    assert len(ids) < len(whole)
    assert whole[: len(ids) - 1] == ids[:-1]
    assert loaded.tokenizer.decode(ids).endswith("well then we go")
    assert [report.tokens for report in opened.media] == [report.tokens for report in new.media]
