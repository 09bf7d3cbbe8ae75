"""Sampling parameters: what a request asks for, what the checkpoint advises, and the fallbacks, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import OptionError
from ...options import FALLBACK_MIN_P, FALLBACK_TEMPERATURE, FALLBACK_TOP_K, FALLBACK_TOP_P, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

COLDEST = 1e-5  # below, logits divided by it overflow; and only the most likely token is left anyway
SEEDS = (-(2**63), 2**64 - 1)  # what ``torch.Generator`` takes
RANGES = (
    ("temperature", 0.0, 100.0),
    ("top-k", 0, 1 << 30),
    ("top-p", 0.0, 1.0),
    ("min-p", 0.0, 1.0),
    ("repetition-penalty", 1e-3, 100.0),
    ("frequency-penalty", -100.0, 100.0),
    ("presence-penalty", -100.0, 100.0),
)
FALLBACKS = {
    "temperature": FALLBACK_TEMPERATURE,
    "top_k": FALLBACK_TOP_K,
    "top_p": FALLBACK_TOP_P,
    "min_p": FALLBACK_MIN_P,
}


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the tokens of one sequence are sampled. ``temperature`` 0, or next to it, is greedy.

    ``top_k`` 0, ``top_p`` 1, ``min_p`` 0 and ``repetition_penalty`` 1 are off. Without a ``seed`` it is random.
    """

    temperature: float
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature < COLDEST


def resolve(sampling: Sampling, advice: Mapping[str, Any]) -> SamplingParams:
    """What the user says, else what the checkpoint advises, else the fallbacks.

    A checkpoint whose generation configuration says ``do_sample: false`` is greedy unless the user names a
    temperature. One that advises any sampling value is taken at its word: what it leaves out is off, not a fallback.
    Raises ``OptionError`` for a value out of range.
    """
    advised = {key: advice[key] for key in FALLBACKS if advice.get(key) is not None}
    neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    base = neutral | advised if advised or "do_sample" in advice else dict(FALLBACKS)
    if advice.get("do_sample") is False:
        base["temperature"] = 0.0
    named = {key: value for key in FALLBACKS if (value := getattr(sampling, key)) is not None}
    values = base | named
    advised_penalty = advice.get("repetition_penalty") or 1.0
    penalty = advised_penalty if sampling.repetition_penalty is None else sampling.repetition_penalty
    params = SamplingParams(
        repetition_penalty=penalty,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        presence_penalty=sampling.presence_penalty or 0.0,
        logit_bias=sampling.logit_bias,
        seed=sampling.seed,
        **values,
    )
    for name, low, high in RANGES:
        check_range(name, getattr(params, name.replace("-", "_")), low, high)
    if sampling.seed is not None and not SEEDS[0] <= sampling.seed <= SEEDS[1]:
        raise OptionError(f"--seed {sampling.seed} is out of range.", "Use a whole number of at most 63 bits.", "seed")
    return params


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ``OptionError`` for a value outside ``low``…``high``, or that is not a number."""
    if not low <= value <= high:
        field = name.replace("-", "_")
        raise OptionError(f"--{name} {value} is out of range.", f"Use a value from {low:g} to {high:g}.", param=field)
