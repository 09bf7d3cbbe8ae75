"""Requests in the shape of real clients, rebuilt from public reports of what they send."""

from __future__ import annotations

from typing import Any

READ: dict[str, Any] = {
    "type": "object",
    "properties": {"file_path": {"enum": ["a.txt", "b.txt"]}},
    "required": ["file_path"],
    "additionalProperties": False,
    "$schema": "http://json-schema.org/draft-07/schema#",
}
EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}


def claude_code(messages: list[Any], **fields: Any) -> dict[str, Any]:
    """Claude Code's question to ``/v1/messages``: what it sends whatever the user asks."""
    return {
        "model": "default",
        "max_tokens": 90,
        "temperature": 1,
        "stream": True,
        "metadata": {"user_id": "user_0_account__session_1"},
        "system": [
            {"type": "text", "text": "x-billing-header: cc_version=2;", "cache_control": None},
            {"type": "text", "text": "You are an agent for the command line.", "cache_control": EPHEMERAL},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "tools": [
            {
                "name": "Read",
                "description": "Reads a file.",
                "input_schema": READ,
                "eager_input_streaming": True,
                "defer_loading": False,
            },
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            {"name": "TodoWrite", "description": "", "input_schema": READ, "cache_control": EPHEMERAL, "strict": True},
        ],
        "messages": messages,
    } | fields


def codex(items: list[Any], **fields: Any) -> dict[str, Any]:
    """Codex's question to ``/v1/responses``."""
    shell = {
        "type": "object",
        "properties": {"command": {"enum": ["ls", "pwd"]}},
        "required": ["command"],
        "additionalProperties": False,
    }
    return {
        "model": "default",
        "instructions": "You are Codex, a coding agent.",
        "input": items,
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs it.", "strict": False, "parameters": shell},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Patches files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"},
            },
            {"type": "web_search", "external_web_access": False},
            {"type": "local_shell"},
            {
                "type": "namespace",
                "name": "mcp__files",
                "description": "Files.",
                "tools": [{"type": "function", "name": "stat", "parameters": shell, "defer_loading": True}],
            },
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "service_tier": None,
        "prompt_cache_key": "0199",
        "text": {"verbosity": "low"},
        "client_metadata": {"session": "0199"},
        "previous_response_id": None,
    } | fields


def agents_sdk(items: Any, **fields: Any) -> dict[str, Any]:
    """The Agents SDK's question to ``/v1/responses``: every field of its model settings, said or not."""
    return {
        "model": "default",
        "input": items,
        "include": [],
        "instructions": "Be brief.",
        "tools": [],
        "previous_response_id": None,
        "conversation": None,
        "prompt": None,
        "temperature": None,
        "top_p": None,
        "truncation": None,
        "max_output_tokens": 20,
        "tool_choice": None,
        "parallel_tool_calls": None,
        "store": None,
        "reasoning": None,
        "metadata": None,
        "text": None,
        "stream": False,
        "max_tool_calls": None,
        "top_logprobs": None,
    } | fields
