"""How a chat template takes a message: as parts in the order given, or as text.

Most templates loop over the parts. Some know text only (Vicuna's), some are written for a text model and leave media
out, and some move all images to the front (LLaVA's). For those the parts of every message are joined beforehand, by
a few lines of Jinja in front of the template, with the family's placeholder for each medium in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..errors import TemplateError
from ..messages import MODALITIES

Turn = Mapping[str, Any]
LISTED = re.compile(r"""["']type["']: ?["']text["']""")  # a list of parts as Python or JSON writes it
CALL = "abcdefgh1"  # some templates want nine letters and digits
FIRST, SECOND = "alpha", "omega"  # words that no template writes itself

JOINED = """\
{%- set joined = namespace(turns=[], text='') -%}
{%- for turn in messages -%}
{%- if turn.content is defined and turn.content is not string -%}
{%- set joined.text = '' -%}
{%- for part in turn.content -%}
{%- set joined.text = joined.text + (part.text if part.type == 'text' else PLACEHOLDERS[part.type]) -%}
{%- endfor -%}
{%- set joined.turns = joined.turns + [dict(turn, content=CONTENT)] -%}
{%- else -%}
{%- set joined.turns = joined.turns + [turn] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = joined.turns -%}
{{- '' }}"""


def own_template(templates: str | Mapping[str, str], *, tools: bool) -> str:
    """The template of a checkpoint; of several, which some text models have, the one for tools or the default."""
    if isinstance(templates, str):
        return templates
    names = [name for name in ("tool_use" if tools else "default", "default") if name in templates]
    return templates[names[0]] if names else next(iter(templates.values()))


def adapt_template(
    template: str, conversation: Sequence[Turn], placeholders: Mapping[str, str], special: Mapping[str, str]
) -> str:
    """``template``, or one that joins the parts of this conversation before it.

    ``placeholders`` is what stands for a medium in the text, by kind; ``special`` the tokens a template may name.
    Raises ``TemplateError`` where the template has no place for a medium and the model no placeholder.
    """
    if any(isinstance(turn["content"], str) for turn in conversation):
        return template
    parts = rendered(template, [text(FIRST), text(SECOND)], special)
    if parts is None or "'text'" in parts:  # it failed on a list, or wrote the list down
        takes_text = FIRST in (rendered(template, FIRST, special) or "")
        if not takes_text:
            return template
    elif not misplaces(template, conversation, special):
        return template
    for kind in {part["type"] for turn in conversation for part in turn["content"]} - {"text", *placeholders}:
        raise TemplateError(
            f"The chat template has no place for {kind}.",
            "Leave out -c and -j, or name a template that has: --jinja-explicit FILE.jinja",
        )
    return joining(template, placeholders, as_list=parts is not None and "'text'" not in parts)


@lru_cache(maxsize=8)
def text_roles(template: str, special: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The roles beside the user whose content must be text, since the template would write a list down as it is."""
    for asked in ([text(FIRST)], FIRST):
        alone = conversed(template, [{"role": "user", "content": asked}], dict(special))
        if alone is not None and not LISTED.search(alone):
            break
    user = {"role": "user", "content": asked}
    call = {"id": CALL, "type": "function", "function": {"name": FIRST, "arguments": {}}}
    said = [text(SECOND)]
    talks: dict[str, list[Turn]] = {
        "system": [{"role": "system", "content": said}, user],
        "assistant": [user, {"role": "assistant", "content": said}, user],
        "tool": [
            user,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": CALL, "name": FIRST, "content": said},
        ],
    }
    prompts = {role: conversed(template, turns, dict(special)) for role, turns in talks.items()}
    return frozenset(role for role, prompt in prompts.items() if prompt is not None and LISTED.search(prompt))


def in_text(conversation: Sequence[Turn], roles: Collection[str]) -> list[dict[str, Any]]:
    """The conversation with what these roles say as text, where they say nothing else."""
    return [
        {**turn, "content": "".join(part["text"] for part in turn["content"])}
        if turn["role"] in roles and not isinstance(turn["content"], str) and all_text(turn["content"])
        else dict(turn)
        for turn in conversation
    ]


def all_text(content: Sequence[Turn]) -> bool:
    """Whether there are no media among the parts."""
    return all(part["type"] == "text" for part in content)


def misplaces(template: str, conversation: Sequence[Turn], special: Mapping[str, str]) -> bool:
    """Whether the template would leave a medium of this conversation out, or move it before a text."""
    content = [turn["content"] for turn in conversation]
    for kind in MODALITIES:
        if not any(part["type"] == kind for parts in content for part in parts):
            continue
        bare = rendered(template, [text(FIRST), text(SECOND)], special)
        between = rendered(template, [text(FIRST), {"type": kind}, text(SECOND)], special)
        if bare is None or between is None:
            continue
        if between == bare:
            return True
        if gap(between) == gap(bare) and any(follows_text(parts, kind) for parts in content):
            return True
    return False


def follows_text(parts: Sequence[Turn], kind: str) -> bool:
    """Whether a medium of this kind stands after a text in the same message."""
    kinds = [part["type"] for part in parts]
    return "text" in kinds and kind in kinds[kinds.index("text") :]


def rendered(template: str, content: Any, special: Mapping[str, str]) -> str | None:
    """What the template makes of one message of the user; ``None`` where it fails."""
    return conversed(template, [{"role": "user", "content": content}], special)


def conversed(template: str, conversation: Sequence[Turn], special: Mapping[str, str]) -> str | None:
    """What the template makes of a conversation; ``None`` where it fails."""
    from transformers.utils.chat_template_utils import render_jinja_template

    render: Any = render_jinja_template  # its annotations leave out what it returns
    try:
        prompts, _ = render(
            conversations=[list(conversation)],
            chat_template=template,
            add_generation_prompt=True,
            **special,
        )
    except Exception:  # whatever a template can raise; the real conversation will raise it again
        return None
    return str(prompts[0])


def gap(prompt: str) -> str | None:
    """What stands between the two words, if they stand in order."""
    _, found, rest = prompt.partition(FIRST)
    between, ended, _ = rest.partition(SECOND)
    return between if found and ended else None


def joining(template: str, placeholders: Mapping[str, str], *, as_list: bool) -> str:
    """``template`` behind the lines that join the parts, to text or to a list with one text."""
    content = "[{'type': 'text', 'text': joined.text}]" if as_list else "joined.text"
    lines = JOINED.replace("PLACEHOLDERS", json.dumps(dict(placeholders))).replace("CONTENT", content)
    return lines + template


def text(words: str) -> dict[str, str]:
    """A text as a content item."""
    return {"type": "text", "text": words}
