"""A prompt that is cut at its beginning is otherwise the one it was."""

import torch

from mistralrs_cli.engine.truncation import truncated
from mistralrs_cli.families import Prepared


def test_all_but_the_tokens_stays_as_it_is() -> None:
    ids = torch.arange(100)[None]
    prepared = Prepared({"input_ids": ids, "rate": torch.ones(1)}, 100, (), adapter="speech", reusable=False)
    cut = truncated(prepared, 50, 10)
    assert (cut.prompt_tokens, cut.adapter, cut.reusable) == (40, "speech", False)
    assert cut.inputs["input_ids"].tolist() == ids[:, 60:].tolist()
    assert cut.inputs["rate"] is prepared.inputs["rate"]
    assert truncated(prepared, None, 10) is truncated(prepared, 200, 10) is prepared
