"""Which of transformers' modules compute what most models compute, recognized by their code.

transformers writes the layers of every model out, so that the same lines stand in dozens of its files. A function is of
a form where its code is, apart from annotations, one of the texts here. Code that a new version of transformers has
changed is of no form, and runs as it is; ``tests/drift/test_layer_forms.py`` tells.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

UNREAD = ("sliding_window", "position_ids")
"""Arguments of some models' attention beside the mask; ``attention.attend`` reads the mask alone."""

ROTATE_HALF = (
    """
x1 = x[..., : x.shape[-1] // 2]
x2 = x[..., x.shape[-1] // 2 :]
return torch.cat((-x2, x1), dim=-1)
""",
)
ROTARY = (
    """
cos = cos.unsqueeze(unsqueeze_dim)
sin = sin.unsqueeze(unsqueeze_dim)
q_embed = (q * cos) + (rotate_half(q) * sin)
k_embed = (k * cos) + (rotate_half(k) * sin)
return q_embed, k_embed
""",
)
NORM = (
    """
input_dtype = hidden_states.dtype
hidden_states = hidden_states.to(torch.float32)
variance = hidden_states.pow(2).mean(-1, keepdim=True)
hidden_states = hidden_states * torch.rsqrt(variance + self.variance_epsilon)
return self.weight * hidden_states.to(input_dtype)
""",
)
MLP = (
    """
down_proj = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
return down_proj
""",
    """
return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
""",
    """
return self.down_proj(self.act_fn(self.gate_proj(hidden_state)) * self.up_proj(hidden_state))
""",
)
LAYER = (
    """
residual = hidden_states
hidden_states = self.input_layernorm(hidden_states)
hidden_states, _ = self.self_attn(
    hidden_states=hidden_states,
    attention_mask=attention_mask,
    position_ids=position_ids,
    past_key_values=past_key_values,
    use_cache=use_cache,
    position_embeddings=position_embeddings,
    **kwargs,
)
hidden_states = residual + hidden_states
residual = hidden_states
hidden_states = self.post_attention_layernorm(hidden_states)
hidden_states = self.mlp(hidden_states)
hidden_states = residual + hidden_states
return hidden_states
""",
)
ATTEND = """
cos, sin = position_embeddings
query_states, key_states = apply_rotary_pos_emb(query_states, key_states, cos, sin)
if past_key_values is not None:
    key_states, value_states = past_key_values.update(key_states, value_states, self.layer_idx)
attention_interface: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
    self.config._attn_implementation, eager_attention_forward
)
attn_output, attn_weights = attention_interface(
    self,
    query_states,
    key_states,
    value_states,
    attention_mask,
    dropout=0.0 if not self.training else self.attention_dropout,
    scaling=self.scaling,
    **kwargs,
)
"""
HEADS = """
input_shape = hidden_states.shape[:-1]
hidden_shape = (*input_shape, -1, self.head_dim)
"""
OUT = """
attn_output = attn_output.reshape(*input_shape, -1).contiguous()
attn_output = self.o_proj(attn_output)
return attn_output, attn_weights
"""
ATTENTION = (
    f"""{HEADS}
query_states = self.q_proj(hidden_states).view(hidden_shape).transpose(1, 2)
key_states = self.k_proj(hidden_states).view(hidden_shape).transpose(1, 2)
value_states = self.v_proj(hidden_states).view(hidden_shape).transpose(1, 2)
{ATTEND}{OUT}""",
    f"""
bsz, q_len, _ = hidden_states.size()
query_states = self.q_proj(hidden_states)
key_states = self.k_proj(hidden_states)
value_states = self.v_proj(hidden_states)
query_states = query_states.view(bsz, q_len, -1, self.head_dim).transpose(1, 2)
key_states = key_states.view(bsz, q_len, -1, self.head_dim).transpose(1, 2)
value_states = value_states.view(bsz, q_len, -1, self.head_dim).transpose(1, 2)
{ATTEND}{OUT.replace("*input_shape", "bsz, q_len")}""",
)
NORMED_ATTENTION = (
    f"""{HEADS}
query_states = self.q_norm(self.q_proj(hidden_states).view(hidden_shape)).transpose(1, 2)
key_states = self.k_norm(self.k_proj(hidden_states).view(hidden_shape)).transpose(1, 2)
value_states = self.v_proj(hidden_states).view(hidden_shape).transpose(1, 2)
{ATTEND}{OUT}""",
)
"""Attention that normalizes each head's query and key."""


def has_form(function: Callable[..., Any], forms: tuple[str, ...]) -> bool:
    """Whether a function's body is one of the texts ``forms``; not where its source cannot be read."""
    found = body_of(inspect.unwrap(function))
    return found is not None and any(found == parsed(form) for form in forms)


def rotates(module: Any) -> bool:
    """Whether the code that a module's class stands in rotates queries and keys by halves."""
    names = inspect.unwrap(type(module).forward).__globals__
    functions = names.get("rotate_half"), names.get("apply_rotary_pos_emb")
    return all(
        function is not None and has_form(function, forms)
        for function, forms in zip(functions, (ROTATE_HALF, ROTARY), strict=True)
    )


@cache
def body_of(function: Callable[..., Any]) -> str | None:
    """A function's body in the notation of ``parsed``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    defined = tree.body[0]
    return notation(defined.body) if isinstance(defined, ast.FunctionDef) else None


@cache
def parsed(text: str) -> str:
    """A text of statements without annotations, docstring and what ``UNREAD`` names, in a notation to be compared."""
    return notation(ast.parse(text).body)


def notation(statements: list[ast.stmt]) -> str:
    if isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
        statements = statements[1:]
    return "\n".join(ast.dump(Plain().visit(statement)) for statement in statements)


class Plain(ast.NodeTransformer):
    """Removes what makes no difference."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:  # ast's name
        if node.value is None:
            return node
        return ast.Assign([node.target], node.value)

    def visit_Call(self, node: ast.Call) -> ast.AST:  # ast's name
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "attention_interface":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in UNREAD]
        return node
