"""A runner whose model is a server's: the same requests over HTTP, the same objects back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from ..messages import Media, Modality, Part
from .chunks import Chunks
from .parts import as_json, read_part, with_media
from .problems import RequestError, RunnerError
from .requests import ChatCompletionRequest, CompletionRequest
from .responses import ChatCompletionResponse, CompletionResponse, chat_response, completion_response


class RemoteRunner:
    """``Runner.connect(address)``. Media that are no address are sent whole; text paths are left to the server."""

    def __init__(self, address: str, api_key: str | None = None) -> None:
        import httpx

        base = address.rstrip("/").removesuffix("/v1")
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(base_url=base, headers=headers, timeout=httpx.Timeout(600.0, connect=10.0))

    def send_chat_completion_request(
        self, request: ChatCompletionRequest, model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks:
        """As ``Runner`` does."""
        body = {
            "model": model_id or request.model,
            "messages": [plain(message, index) for index, message in enumerate(turns(request))],
            "n": request.n_choices,
            **request.fields,
        }
        if request.tool_definitions is not None:
            body |= {"tools": request.tool_definitions}
            if request.tool_choice_value is not None:
                body |= {"tool_choice": request.tool_choice_value}
        if request.stream:
            return self._stream(body | {"stream": True, "stream_options": {"include_usage": True}})
        return chat_response(self._post("/v1/chat/completions", body))

    def send_completion_request(self, request: CompletionRequest, model_id: str | None = None) -> CompletionResponse:
        """As ``Runner`` does."""
        body = {"model": model_id or request.model, "prompt": request.prompt, "n": request.n_choices, **request.fields}
        if request.echo_prompt:
            body["echo"] = True
        return completion_response(self._post("/v1/completions", body))

    def tokenize_text(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """A text's tokens."""
        body = {"prompt": text, "add_special_tokens": add_special_tokens}
        found: list[int] = self._post("/tokenize", body)["tokens"]
        return found

    def detokenize_text(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of tokens."""
        body = {"tokens": list(tokens), "skip_special_tokens": skip_special_tokens}
        return str(self._post("/detokenize", body)["prompt"])

    def list_models(self) -> list[str]:
        """The models the server has."""
        return [model["id"] for model in self._answer(self._client.build_request("GET", "/v1/models"))["data"]]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._answer(self._client.build_request("POST", path, json=body))

    def _answer(self, request: Any) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.send(request)
        except httpx.HTTPError as error:
            raise unreachable(self._client.base_url, error) from error
        check(response)
        found: dict[str, Any] = response.json()
        return found

    def _stream(self, body: dict[str, Any]) -> Chunks:
        import httpx

        open_ones = ExitStack()
        try:
            request = self._client.build_request("POST", "/v1/chat/completions", json=body)
            response = self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise unreachable(self._client.base_url, error) from error
        open_ones.callback(response.close)
        if response.is_error:
            response.read()
            check(response)
        return Chunks(with_usage_last(events(response)), open_ones.close)


def turns(request: ChatCompletionRequest) -> list[dict[str, Any]]:
    """The messages, with the media beside them put in."""
    kinds: tuple[tuple[Modality, Sequence[Any]], ...] = (
        ("image", request.images),
        ("audio", request.audios),
        ("video", request.videos),
    )
    beside = [(kind, value) for kind, values in kinds for value in values]
    messages = with_media(request.messages, beside)
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)


def plain(message: dict[str, Any], index: int) -> dict[str, Any]:
    """A message as JSON: values that only a program can hold become base64."""
    content = message.get("content")
    if not isinstance(content, list):
        return dict(message)
    found: list[Any] = []
    for number, item in enumerate(content):
        part: Part | None = read_part(item, f"messages[{index}].content[{number}]")
        held = isinstance(part, Media) and (part.data is not None or not isinstance(item, dict) or "url" not in item)
        found.append(as_json(part) if part is not None and held else item)
    return {**message, "content": found}


def events(response: Any) -> Iterator[dict[str, Any]]:
    """The objects of a stream of server-sent events. Raises what the server says went wrong."""
    import httpx

    try:
        for line in response.iter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            item: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if "error" in item:
                raise RunnerError(str(item["error"].get("message", item["error"])))
            yield item
    except httpx.HTTPError as error:
        raise RunnerError(f"The answer broke off: {error}") from error


def with_usage_last(items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """OpenAI sends the usage in a chunk of its own, without choices: here it comes with the last one that has some."""
    held: dict[str, Any] | None = None
    for item in items:
        if not item["choices"] and held is not None:
            held = {**held, "usage": item.get("usage")}
            continue
        if held is not None:
            yield held
        held = item
    if held is not None:
        yield held


def check(response: Any) -> None:
    """Raise what the server says is wrong."""
    if not response.is_error:
        return
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        said = response.text[:200]
    raise (RequestError if response.status_code < 500 else RunnerError)(said)


def unreachable(address: object, error: Exception) -> RunnerError:
    """The error for a server that does not answer."""
    return RunnerError(f"{address} cannot be reached: {error}\nIs the server up? mistralrs serve")
