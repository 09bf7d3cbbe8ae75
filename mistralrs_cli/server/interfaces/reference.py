"""The OpenAPI document beside the bodies of requests: responses, errors, examples, and the key."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}
MAYBE: dict[str, Any] = {"type": ["string", "null"]}
USAGE: dict[str, Any] = {
    "type": "object",
    "properties": {"prompt_tokens": NUMBER, "completion_tokens": NUMBER, "total_tokens": NUMBER},
}


def answer(**properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """A list."""
    return {"type": "array", "items": item}


MESSAGE = {
    "type": "object",
    "properties": {
        "role": TEXT,
        "content": MAYBE,
        "reasoning_content": MAYBE,
        "tool_calls": listed({"type": "object"}),
    },
}
CHOICE = {"type": "object", "properties": {"index": NUMBER, "message": MESSAGE, "finish_reason": TEXT}}
MODEL = answer(id=TEXT, object=TEXT, created=NUMBER, owned_by=TEXT, status=TEXT)
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": answer(
        id=TEXT, object=TEXT, created=NUMBER, model=TEXT, choices=listed(CHOICE), usage=USAGE
    ),
    "/v1/completions": answer(
        id=TEXT, object=TEXT, created=NUMBER, model=TEXT, choices=listed({"type": "object"}), usage=USAGE
    ),
    "/v1/responses": answer(
        id=TEXT, object=TEXT, created_at={"type": "number"}, status=TEXT, model=TEXT, output=listed({"type": "object"})
    ),
    "/v1/messages": answer(
        id=TEXT, type=TEXT, role=TEXT, model=TEXT, content=listed({"type": "object"}), stop_reason=MAYBE
    ),
    "/v1/messages/count_tokens": answer(input_tokens=NUMBER),
    "/v1/audio/transcriptions": answer(text=TEXT),
    "/v1/audio/translations": answer(text=TEXT),
    "/tokenize": {"type": "object"},
    "/detokenize": {"type": "object"},
    "/v1/models": answer(object=TEXT, data=listed(MODEL)),
    "/v1/models/{name}": MODEL,
    "/health": answer(status=TEXT),
    "/ready": answer(status=TEXT),
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://example.com/photo.jpg"}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ],
        "max_tokens": 100,
    },
    "/v1/completions": {"prompt": "The capital of France is", "max_tokens": 10},
    "/v1/responses": {"input": "What can you do?"},
    "/v1/messages": {"max_tokens": 100, "messages": [{"role": "user", "content": "What can you do?"}]},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "What can you do?"}]},
    "/tokenize": {"text": "Hello"},
    "/detokenize": {"tokens": [1, 2, 3]},
}
TAGS = {
    "/v1/messages": "Anthropic",
    "/v1/": "OpenAI",
    "/tokenize": "Tokens",
    "/detokenize": "Tokens",
    "/": "The server itself",
}
UPLOADS = ("/v1/audio/transcriptions", "/v1/audio/translations")
STREAMED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", *UPLOADS)
ERRORS = {
    "400": "The request is wrong; the message says what to change.",
    "401": "The API key is missing or wrong.",
    "403": "A medium that may not be read.",
    "404": "No such model or medium.",
    "413": "The body or a medium is too large.",
    "415": "The body has another type.",
    "429": "Too many requests wait; Retry-After says when to come back.",
    "503": "The model is loading, or the server is shutting down.",
}
OPENAI_ERROR = answer(
    error=answer(message=TEXT, type=TEXT, param=MAYBE, code={"type": ["string", "integer", "null"]}), message=TEXT
)
ANTHROPIC_ERROR = answer(type=TEXT, error=answer(type=TEXT, message=TEXT))


def complete_document(document: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """FastAPI's document with what it cannot know."""
    components = document.setdefault("components", {})
    components["schemas"] = {"Error": OPENAI_ERROR, "AnthropicError": ANTHROPIC_ERROR}
    if keys:
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            describe(operation, path, method)
            if keys and path not in ("/health", "/ready"):
                operation["security"] = [{"bearer": []}, {"header": []}]
    return document


def describe(operation: dict[str, Any], path: str, method: str) -> None:
    """One operation's tag, example and responses."""
    operation["tags"] = [next(tag for start, tag in TAGS.items() if path.startswith(start))]
    operation["summary"] = operation.get("summary", "").replace("``", "`")
    if path in EXAMPLES:
        operation["requestBody"]["content"]["application/json"]["example"] = EXAMPLES[path]
    content: dict[str, Any] = {"text/plain": {"schema": TEXT}}
    if path in ANSWERS:
        content = {"application/json": {"schema": ANSWERS[path]}}
    if path in STREAMED:
        content["text/event-stream"] = {"schema": TEXT}
    if path in UPLOADS:
        content["text/plain"] = {"schema": TEXT}
    kind = "AnthropicError" if path.startswith("/v1/messages") else "Error"
    failed = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}
    codes = ERRORS if method == "post" else {code: ERRORS[code] for code in ("401", "404", "503")}
    operation["responses"] = {"200": {"description": "The answer.", "content": content}} | {
        code: {"description": words, "content": failed} for code, words in codes.items()
    }
