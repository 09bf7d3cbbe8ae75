"""How full the context of a chat is, and what would make room."""

from __future__ import annotations

from dataclasses import dataclass

from ..conversation import Conversation
from ..events import Usage


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """The tokens of a conversation, of ``context`` that the model holds (None: not known)."""

    conversation: Conversation
    context: int | None

    def __str__(self) -> str:
        """``512 of 8,192 tokens``."""
        total = "" if self.context is None else f" of {self.context:,}"
        return f"{self.conversation.tokens:,}{total} tokens"

    @property
    def share(self) -> float:
        """How much of the context is taken, 0 where it is not known."""
        return self.conversation.tokens / self.context if self.context else 0.0

    @property
    def remedy(self) -> str:
        """What would free some of it."""
        turns = self.conversation.turns
        if not turns:
            return "shorten the question"
        before = turns[-2].usage if len(turns) > 1 else Usage()
        freed = self.conversation.tokens - before.prompt_tokens - before.completion_tokens
        system = "" if self.conversation.system is None else " but the instructions"
        return f"/undo frees {max(0, freed):,} tokens, /clear all{system}"
