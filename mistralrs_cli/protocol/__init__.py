"""OpenAI's words for a request and its answer, to ours and back: one conversion for every face that speaks them."""

from .answers import ChunkChoices, choice, head
from .messages import conversation
from .sampling import sampling
from .thinking import thinking_fields
from .tools import tools
from .usage import together, usage

__all__ = [
    "ChunkChoices",
    "choice",
    "conversation",
    "head",
    "sampling",
    "thinking_fields",
    "together",
    "tools",
    "usage",
]
