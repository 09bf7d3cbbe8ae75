"""The numbers of a response."""

import pytest

from mistralrs_cli.events import Done, Timing, Usage
from mistralrs_cli.protocol.usage import together, usage

DONE = Done("stop", Usage(2233, 57, 2215), Timing(0.5, 2.3, 0.09))


def test_rates_count_what_was_read_and_written() -> None:
    told = usage(DONE)
    assert told["avg_prompt_tok_per_sec"] == pytest.approx(200)  # 18 tokens in 0.09 s; the others were in the cache
    assert told["avg_compl_tok_per_sec"] == pytest.approx(56 / 1.8, abs=0.01)
    assert told["avg_tok_per_sec"] == pytest.approx((18 + 57) / 2.3, abs=0.01)
    assert (told["total_prompt_time_sec"], told["total_time_sec"]) == (0.5, 2.3)


def test_nothing_measured_is_no_rate() -> None:
    assert {value for key, value in usage(Done("canceled", Usage(10), Timing())).items() if key.startswith("avg")} == {
        0
    }


def test_prompts_of_several_choices_are_counted_once() -> None:
    assert together([DONE, DONE, DONE, DONE], choices=2).timing.prefill == pytest.approx(0.18)
    assert together([DONE, DONE]).timing.prefill == pytest.approx(0.09)
