"""The engine through its front door: streams, limits, cancelling, errors that concern one request alone."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.kv import snapshot
from mistralrs_cli.engine.runner import model_runner
from mistralrs_cli.engine.runner.prefill import begin as real_begin
from mistralrs_cli.engine.sampling import grammar
from mistralrs_cli.engine.sampling.grammar import GrammarCompiler
from mistralrs_cli.errors import (
    ContextOverflow,
    EngineDown,
    GenerationError,
    GrammarError,
    OptionError,
    OutOfMemory,
    UnsupportedModality,
)
from mistralrs_cli.events import Done, Started, TextDelta, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Media, Message, Text
from mistralrs_cli.options import Grammar, Sampling
from tests.checkpoints.media import clip, picture, sound

Tiny = Callable[[str], LoadedModel]
LONG = Sampling(max_tokens=1500, temperature=0.0, ignore_eos=True)


def user(*parts: Media | str) -> list[Message]:
    return [Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))]


@pytest.fixture(scope="module")
def engine(tiny: Tiny) -> Iterator[Engine]:
    with Engine(tiny("gemma4"), max_rows=6) as engine:
        yield engine


@pytest.fixture
def idle(engine: Engine) -> Engine:
    """The engine once nothing runs any more."""
    wait_until(lambda: engine.running == 0)
    return engine


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def test_events_begin_with_the_prompt_and_end_with_the_reason(engine: Engine) -> None:
    events = list(
        engine.stream(user(picture(), sound(), "what"), Sampling(max_tokens=5, temperature=0, ignore_eos=True))
    )
    assert isinstance(events[0], Started)
    assert [report.kind for report in events[0].media] == ["image", "audio"]
    assert all(report.tokens > 0 for report in events[0].media)
    assert all(isinstance(event, TextDelta) for event in events[1:-1])
    done = events[-1]
    assert isinstance(done, Done)
    assert done.reason == "length"
    assert done.usage.completion_tokens == 5
    assert done.usage.image_tokens + done.usage.audio_tokens < done.usage.prompt_tokens
    assert 0 < done.timing.first_token <= done.timing.total


def test_many_at_once_answer_as_they_do_alone(engine: Engine) -> None:
    """Different media, samplings, lengths and stop strings from many threads at a time."""
    requests = [
        (user("hello there"), Sampling(max_tokens=20, temperature=0.0)),
        (user(picture(1), "what is this"), Sampling(max_tokens=12, temperature=0.9, seed=3)),
        (
            user("a", picture(2, 40, 90), "b", picture(3), "c"),
            Sampling(max_tokens=25, temperature=0.7, seed=4, top_k=20),
        ),
        (user(sound(0.7), "say"), Sampling(max_tokens=9, temperature=0.0, frequency_penalty=1.5, presence_penalty=0.5)),
        (user(clip(1), "go on and on and on"), Sampling(max_tokens=18, temperature=1.1, seed=5, min_p=0.02)),
        (user("x"), Sampling(max_tokens=30, temperature=1.0, seed=6, stop=("e", "T"))),
        (user(picture(4), sound(0.3), clip(2)), Sampling(max_tokens=14, temperature=0.0, repetition_penalty=1.3)),
    ] * 2
    alone = [engine.generate(*request) for request in requests]
    with ThreadPoolExecutor(len(requests)) as pool:
        joined = list(pool.map(lambda request: engine.generate(*request), requests))
    for one, other in zip(alone, joined, strict=True):
        assert (one.text, one.reason, one.usage) == (other.text, other.reason, other.usage)
    assert len({reply.text for reply in alone}) >= 7


def test_a_report_says_what_a_stream_begins_with(engine: Engine) -> None:
    messages = user("look", picture(), sound(), "what")
    report = engine.report(messages)
    with engine.stream(messages, LONG) as stream:
        assert next(stream) == Started(report.prompt_tokens, report.media)
    assert report.prompt_tokens == len(engine.prompt_tokens(messages))
    assert engine.count("hello there") == len(engine.encode("hello there", special=False)) > 0


def test_info_is_the_model_s_and_stats_the_engine_s(idle: Engine) -> None:
    loaded, info = idle.loaded, idle.info
    assert (info.name, info.family, info.context_length) == (loaded.name, "Gemma 4", loaded.context_length)
    assert info.modalities == ("image", "audio", "video")
    assert (info.audio_rate, info.video_sampling) == (loaded.family.audio_rate, loaded.family.sampling)
    assert (info.device, info.dtype) == ("cpu", "float32")
    assert 0 < len(idle.text_tokens()) < info.vocabulary
    assert idle.stats.running == 0
    with idle.stream(user("one"), LONG) as stream:
        next(stream), next(stream)
        assert idle.stats.running == 1
    assert idle.stats.kv_capacity_tokens == idle.budget.tokens > 0
    assert idle.stats.failure is None


def test_requests_really_run_together(idle: Engine) -> None:
    streams = [idle.stream(user(word), LONG) for word in ("one", "two", "three")]
    for stream in streams:
        next(stream), next(stream)
    wait_until(lambda: idle.running == 3)
    for stream in streams:
        stream.close()


def test_more_requests_than_rows_all_get_their_turn(idle: Engine) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: idle.generate(user(f"{n}"), Sampling(max_tokens=4, seed=n)), range(20)))
    assert len(replies) == 20
    assert all(reply.reason in {"length", "stop"} for reply in replies)


def test_a_seed_repeats_and_another_seed_differs(engine: Engine) -> None:
    def ask(seed: int) -> str:
        return engine.generate(user("hello"), Sampling(max_tokens=20, temperature=1.0, top_k=0, seed=seed)).text

    assert ask(1) == ask(1)
    assert ask(1) != ask(2)


def test_closing_a_stream_frees_its_row_within_a_token(idle: Engine) -> None:
    stream = idle.stream(user("hello"), LONG)
    next(stream), next(stream)
    wait_until(lambda: idle.running == 1)
    stream.close()
    wait_until(lambda: idle.running == 0, 2)
    assert list(stream) == []


def test_breaking_out_of_a_loop_cancels(idle: Engine) -> None:
    for event in idle.stream(user("hello"), LONG):
        if isinstance(event, TextDelta):
            break
    wait_until(lambda: idle.running == 0, 2)


def test_a_reader_of_a_waiting_request_wakes_when_another_thread_closes_it(tiny: Tiny) -> None:
    with Engine(tiny("llama"), max_rows=1) as engine, ThreadPoolExecutor(1) as pool:
        running = engine.stream(user("hello"), LONG)
        next(running), next(running)
        waiting = engine.stream(user("hello"), LONG)
        next(waiting)
        reader = pool.submit(list, waiting)
        wait_until(reader.running)
        waiting.close()
        assert reader.result(20) == []
        while (done := waiting._request.outbox.get(timeout=20)) is None:  # the mark, if the reader came too late for it
            pass
        assert isinstance(done, Done)
        assert done.reason == "canceled"
        assert engine.running == 1, "the row that was full all along"


def test_cancelling_one_leaves_the_others_as_they_were(idle: Engine) -> None:
    sampling = Sampling(max_tokens=60, temperature=0.0, ignore_eos=True)
    expected = idle.generate(user(picture(5), "stay"), sampling).text
    leaver = idle.stream(user("this prompt is longer and leaves early " * 3), LONG)
    stayer = idle.stream(user(picture(5), "stay"), sampling)
    next(leaver), next(leaver)
    leaver.close()
    assert collect(stayer).text == expected


def test_a_request_that_fails_fails_alone(idle: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(model, inputs, *rest, **named):  # type: ignore[no-untyped-def]
        if inputs["input_ids"].shape[1] > 200:
            raise RuntimeError("you tried to allocate 1 GiB: can't allocate memory")
        return real_begin(model, inputs, *rest, **named)

    monkeypatch.setattr(model_runner, "begin", begin)
    good = idle.stream(user("good"), Sampling(max_tokens=40, temperature=0.0, ignore_eos=True))
    with pytest.raises(Exception, match="not enough memory") as caught:
        idle.generate(user("bad " * 80), Sampling(max_tokens=4))
    assert caught.value.http_status == 503  # type: ignore[attr-defined]
    assert collect(good).usage.completion_tokens == 40


def test_a_failing_forward_pass_is_reported_and_the_engine_goes_on(
    idle: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise RuntimeError("shape mismatch")

    with monkeypatch.context() as patch:
        patch.setattr(model_runner, "decode", decode)
        with pytest.raises(GenerationError, match="shape mismatch"):
            idle.generate(user("hello"), Sampling(max_tokens=5, ignore_eos=True))
    assert idle.generate(user("hello"), Sampling(max_tokens=5, ignore_eos=True)).usage.completion_tokens == 5


def test_a_failing_join_fails_its_rows_and_the_engine_goes_on(idle: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: object, prefilled: object) -> None:
        raise RuntimeError("can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr("mistralrs_cli.engine.kv.joined.JoinedCache.add", add)
        with pytest.raises(OutOfMemory):
            idle.generate(user("hello"), Sampling(max_tokens=5, ignore_eos=True))
    assert idle.generate(user("hello"), Sampling(max_tokens=5, ignore_eos=True)).usage.completion_tokens == 5


def test_after_a_failure_nobody_expected_all_requests_have_ended_and_the_engine_goes_on(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[BaseException] = []
    with Engine(tiny("llama"), max_rows=2, prefixes=2, on_failure=reports.append) as engine:
        before = engine.generate(user("hello"), Sampling(max_tokens=5, temperature=0.0))
        streams = [engine.stream(user("hello"), LONG) for _ in range(4)]
        wait_until(lambda: engine.running == 2 and engine.waiting == 2)

        def fail() -> None:
            raise ZeroDivisionError

        def admit() -> None:
            streams[0].on_ready(fail)
            raise KeyError("never")

        with monkeypatch.context() as patch:
            patch.setattr(engine._scheduler, "_admit", admit)
            for stream in streams:
                with pytest.raises(GenerationError, match="never"):
                    collect(stream)
        assert {type(error) for error in reports} == {KeyError, ZeroDivisionError}
        assert (engine.running, engine.waiting) == (0, 0)
        assert engine.generate(user("hello"), Sampling(max_tokens=5, temperature=0.0)).text == before.text


def test_an_engine_that_cannot_go_on_says_so(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tiny("llama"), on_failure=lambda error: None)
    assert engine.failure is None

    def receive(*, block: bool = True) -> None:
        raise SystemError("the inbox is broken")

    monkeypatch.setattr(engine._scheduler, "_receive", receive)
    engine.generate(user("wake it"), Sampling(max_tokens=1))
    wait_until(lambda: engine.failure is not None)
    with pytest.raises(EngineDown, match="the inbox is broken"):
        engine.generate(user("hello"))
    engine.close()


def test_what_cannot_be_joined_runs_alone_with_the_same_answer(idle: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(max_tokens=30, temperature=0.0, ignore_eos=True)
    prompts = [user(picture(seed), f"number {seed}") for seed in range(3)]
    expected = [idle.generate(prompt, sampling).text for prompt in prompts]
    monkeypatch.setattr(snapshot, "joinable", lambda cache: False)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda prompt: idle.generate(prompt, sampling).text, prompts)) == expected


def test_stop_strings_end_the_answer_without_being_shown(engine: Engine) -> None:
    free = engine.generate(user("hello"), Sampling(max_tokens=40, temperature=0.0)).text
    stop = next(char for char in free[2:] if char.isascii() and char not in free[:2])
    reply = engine.generate(user("hello"), Sampling(max_tokens=40, temperature=0.0, stop=(stop,)))
    assert reply.reason == "stop"
    assert reply.text == free[: free.index(stop)]


@pytest.mark.parametrize(
    ("kind", "value", "check"),
    [
        ("regex", r"(cat|dog){2}", lambda text: text in {"catcat", "catdog", "dogcat", "dogdog"}),
        (
            "json_schema",
            '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}',
            lambda text: isinstance(json.loads(text)["n"], int),
        ),
        ("lark", 'start: "yes" | "no"', lambda text: text in {"yes", "no"}),
    ],
)
def test_a_grammar_holds_even_a_random_model(
    engine: Engine, kind: str, value: str, check: Callable[[str], bool]
) -> None:
    sampling = Sampling(max_tokens=60, temperature=2.0, seed=1, top_k=0, grammar=Grammar(kind, value))  # type: ignore[arg-type]
    with ThreadPoolExecutor(3) as pool:
        for reply in pool.map(lambda _: engine.generate(user("hello"), sampling), range(3)):
            assert reply.reason in {"stop", "length"}
            assert reply.reason == "length" or check(reply.text)


def test_a_complete_grammar_ends_the_answer_even_where_end_tokens_are_ignored(engine: Engine) -> None:
    sampling = Sampling(max_tokens=50, temperature=1.0, grammar=Grammar("regex", "ab"), ignore_eos=True)
    reply = engine.generate(user("hello"), sampling)
    assert (reply.text, reply.reason) == ("ab", "stop")


def test_a_grammar_that_may_end_here_allows_every_end_token(tiny: Tiny) -> None:
    loaded = tiny("llama")
    letter, turn = loaded.tokenizer.convert_tokens_to_ids(["a", "<|im_end|>"])
    ends = frozenset({loaded.tokenizer.eos_token_id, turn})
    processor = GrammarCompiler(loaded.tokenizer, len(loaded.tokenizer), ends).processor(Grammar("regex", "a+"))

    def allowed() -> set[int]:
        logits = torch.zeros(len(loaded.tokenizer))
        processor.apply(logits)
        return set(logits.isfinite().nonzero().flatten().tolist())

    assert allowed() == {letter}
    processor.accept(letter)
    assert allowed() == {letter, *ends}


def test_a_bad_grammar_is_refused_before_anything_runs(engine: Engine) -> None:
    for wrong in (Grammar("regex", "(unclosed"), Grammar("json_schema", "{not json"), Grammar("lark", "start: (")):
        with pytest.raises(GrammarError):
            engine.stream(user("hello"), Sampling(grammar=wrong))


def test_a_regex_that_takes_too_long_is_refused_and_nobody_waits_for_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "((a{1000}){1000}){1000}"
    monkeypatch.setattr(grammar, "READING", 0.05)
    begun = time.monotonic()
    with pytest.raises(GrammarError, match="too complex"):
        engine.stream(user("hello"), Sampling(grammar=Grammar("regex", hostile)))
    assert time.monotonic() - begun < 5
    monkeypatch.undo()
    reply = engine.generate(user("hello"), Sampling(max_tokens=5, grammar=Grammar("regex", "ab")))
    assert reply.text == "ab"


def test_a_mask_that_takes_too_long_ends_its_answer_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(max_tokens=40, temperature=0.0, ignore_eos=True)
    expected = engine.generate(user("beside"), sampling).text
    real, masked = grammar.Masks.after, 0
    go_on = threading.Event()

    def after(self: grammar.Masks, token: int) -> object:
        nonlocal masked
        masked += 1
        if masked == 3:
            go_on.wait(60)
        return real(self, token)

    monkeypatch.setattr(grammar.Masks, "after", after)
    monkeypatch.setattr(grammar, "MASKING", 0.3)
    slow = engine.stream(user("hello"), replace(sampling, grammar=Grammar("regex", "[a-z]+")))
    beside = engine.stream(user("beside"), sampling)
    with pytest.raises(GrammarError, match="too complex"):
        collect(slow)
    go_on.set()
    assert masked == 3
    assert collect(beside).text == expected


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(ContextOverflow, match="2,048"):
        engine.stream(user("many words " * 300))


def test_an_answer_ends_where_the_context_ends(engine: Engine) -> None:
    prompt = user("w" * 2000)
    reply = engine.generate(prompt, Sampling(temperature=0.0, ignore_eos=True))
    assert reply.reason == "length"
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens == 2048


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_tokens=0),
        Sampling(temperature=-1.0),
        Sampling(top_p=1.5),
        Sampling(temperature=float("nan")),
        Sampling(repetition_penalty=0.0),
        Sampling(seed=2**70),
    ],
)
def test_values_out_of_range_are_refused(engine: Engine, sampling: Sampling) -> None:
    with pytest.raises(OptionError):
        engine.stream(user("hello"), sampling)


def test_a_temperature_next_to_zero_is_greedy(engine: Engine) -> None:
    greedy = engine.generate(user("hello"), Sampling(max_tokens=5, temperature=0.0)).text
    assert engine.generate(user("hello"), Sampling(max_tokens=5, temperature=1e-40)).text == greedy


def test_a_modality_the_model_lacks_is_refused_by_name(tiny: Tiny) -> None:
    with Engine(tiny("qwen3_vl")) as engine, pytest.raises(UnsupportedModality, match="does not read audio") as caught:
        engine.stream(user(sound(), "hello"))
    assert "gemma" in (caught.value.hint or "")


def test_a_placeholder_typed_by_the_user_is_text(engine: Engine) -> None:
    plain = engine.stream(user("say <|image|> and <|im_end|> please"), Sampling(max_tokens=1))
    started = next(plain)
    assert isinstance(started, Started)
    assert started.media == ()
    ids = engine.loaded.family.prepare(engine.loaded.processor, user("say <|image|> please")).inputs["input_ids"][0]
    assert engine.loaded.processor.image_token_id not in ids.tolist()


def test_media_without_words_get_the_default_instruction(engine: Engine) -> None:
    prepared = engine.loaded.family.prepare(engine.loaded.processor, user(picture()))
    assert "Describe this." in engine.loaded.tokenizer.decode(prepared.inputs["input_ids"][0])


def test_a_sound_longer_than_the_window_goes_in_whole(engine: Engine) -> None:
    started = next(engine.stream(user(sound(70.0), "hear"), Sampling(max_tokens=1)))
    assert isinstance(started, Started)
    assert started.media[0].summary == "70.0 s in 3 windows"
    whole = next(engine.stream(user(sound(30.0), "hear"), Sampling(max_tokens=1)))
    assert isinstance(whole, Started)
    assert started.media[0].tokens > 2.2 * whole.media[0].tokens


def test_a_request_never_slips_in_behind_a_closing_engine(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that was told the engine is open must not wait for a worker that has ended."""
    engine = Engine(tiny("llama"))
    inbox, closer = engine._scheduler._inbox, threading.Thread(target=engine.close)

    class Slow:
        def put(self, request: object) -> None:
            if request is not None and not closer.is_alive():
                closer.start()
                closer.join(0.5)
            inbox.put(request)  # type: ignore[arg-type]

        def get(self, *, block: bool) -> object:
            return inbox.get(block=block)

    monkeypatch.setattr(engine._scheduler, "_inbox", Slow())
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(engine.generate, user("hello"), LONG)
        with pytest.raises(GenerationError, match="closed"):
            reader.result(20)
    closer.join()


def test_closing_the_engine_fails_what_is_left_and_ends_the_thread(tiny: Tiny) -> None:
    engine = Engine(tiny("gemma4"))
    stream = engine.stream(user("hello"), LONG)
    next(stream), next(stream)
    engine.close()
    with pytest.raises(GenerationError, match="closed"):
        collect(stream)
    with pytest.raises(GenerationError, match="closed"):
        engine.stream(user("hello"))
    assert not any(
        thread.name == "mistralrs-engine" and thread is engine._scheduler._thread for thread in threading.enumerate()
    )


FORGETFUL = """
import sys
from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling

options = ModelOptions(model_id=sys.argv[1], dtype="f32", cpu=True)
engine = Engine(load(open_checkpoint(options), options))
stream = engine.stream([Message("user", (Text("hello"),))], Sampling(max_tokens=1500, ignore_eos=True))
next(stream), next(stream)
"""


def test_a_program_that_forgets_to_close_its_engine_ends_cleanly(tiny: Tiny, root: Path) -> None:
    command = [sys.executable, "-c", FORGETFUL, tiny("llama").model.name_or_path]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "terminate" not in ended.stderr
