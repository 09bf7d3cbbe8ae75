"""Tool calls of one model: how tools reach its prompt, and how its calls are parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...loading import LoadedModel
from ...loading.template_syntax import template_variables
from ...messages import Message
from ...options import Sampling, Tools
from .grammar import call_or_form_grammar, forced_call_grammar
from .parser import ToolParser
from .prompt import as_system_prompt
from .syntax import HERMES, syntax_of


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A request with its tools in place; ``parser`` reads the calls, where the model may call tools."""

    messages: Sequence[Message]
    sampling: Sampling
    template_inputs: dict[str, Any]
    parser: ToolParser | None = None


class ToolSupport:
    """How one model calls tools, by its chat template: the model was trained on what that writes."""

    def __init__(self, loaded: LoadedModel) -> None:
        template = getattr(loaded.processor, "chat_template", None)
        self.template = template if isinstance(template, str) else str(template or "")
        names = template_variables(template) if isinstance(template, str) else None
        self.template_has_tools = names is None or "tools" in names
        self.syntax = syntax_of(self.template) if self.template_has_tools else HERMES
        self.tokenizer = loaded.tokenizer
        vocabulary = self.tokenizer.get_vocab()
        special = set(self.tokenizer.all_special_ids)
        self.special = {
            marker: vocabulary[marker] for marker in self.syntax.markers if vocabulary.get(marker) in special
        }
        self.hidden = frozenset(special - set(self.special.values()))
        self.end_tokens = frozenset(vocabulary[marker] for marker in self.syntax.ends if marker in vocabulary)

    def prepare(self, messages: Sequence[Message], sampling: Sampling, tools: Tools | None) -> ToolRequest:
        """The request with its tools: free to call one, and otherwise constrained to the request's grammar.

        Raises ``GrammarError`` for parameters that are no JSON schema, ``OptionError`` for a form that is a grammar.
        """
        tools = tools if tools is not None and tools.choice != "none" else None
        inputs = sampling.template_inputs
        mentions_tools = tools is not None or any(message.tool_calls or message.role == "tool" for message in messages)
        if mentions_tools and not self.template_has_tools:
            messages = as_system_prompt(messages, tools)
        elif tools is not None:
            inputs["tools"] = list(tools.definitions)
        if tools is None:
            return ToolRequest(messages, sampling, inputs)
        if tools.choice == "required":  # a call is no answer, so its form does not matter
            sampling = replace(sampling, grammar=forced_call_grammar(self.syntax, tools, self.special, self.template))
        elif sampling.grammar is not None:
            either = call_or_form_grammar(self.syntax, tools, self.special, self.template, sampling.grammar)
            sampling = replace(sampling, grammar=either)
        return ToolRequest(messages, sampling, inputs, ToolParser(self.syntax, tools))

    def decode(self, ids: Sequence[int]) -> str:
        """Text with the markers of calls in it, though they may be special tokens."""
        shown = [token for token in ids if token not in self.hidden]
        text: str = self.tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
