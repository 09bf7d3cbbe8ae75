"""``POST /tokenize`` and ``/detokenize``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import OptionError
from ...protocol import conversation, sampling, tools
from ..exchange import caller_of
from ..generation_request import GenerationRequest
from ..http.sse import cancel_on_disconnect
from ..service import Service
from .chat import last_turn
from .schemas import DetokenizeRequest, TokenizeRequest


async def tokenize(http_request: Request, service: Service) -> Response:
    """The tokens of a text, or of a conversation's whole prompt."""
    body = await TokenizeRequest.from_request(http_request, service.options)
    model = service.model(body.model)
    caller = caller_of(http_request, service, model)
    text = body.prompt
    if (text is None) == (body.messages is None):
        raise OptionError("Send either prompt or messages.", param="prompt")

    def to_request() -> GenerationRequest:
        return GenerationRequest(
            messages=conversation(body.messages, model.media_options),
            sampling=sampling(
                enable_thinking=body.enable_thinking,
                chat_template_kwargs=body.chat_template_kwargs,
                turn=last_turn(body.continue_final_message, body.add_generation_prompt),
            ),
            tools=tools(body.tools),
        )

    async def answer() -> Response:
        async with service.using(model) as backend:
            if text is not None:
                backend.check_length(text)
                special = body.add_special_tokens is not False
                ids = await service.in_thread(lambda: backend.encode(text, special=special))
            else:
                ids = await service.tokens(to_request, caller, model)
            return JSONResponse({"tokens": ids, "count": len(ids), "max_model_len": backend.info.context_length})

    return await cancel_on_disconnect(http_request, answer)


async def detokenize(http_request: Request, service: Service) -> Response:
    """The text of tokens."""
    body = await DetokenizeRequest.from_request(http_request, service.options)
    model = service.model(body.model)
    caller_of(http_request, service, model)

    async def answer() -> Response:
        async with service.using(model) as backend:
            special = not body.skip_special_tokens
            text = await service.in_thread(lambda: backend.decode(body.tokens, special=special))
            encoded = b"".join(map(backend.token_bytes, body.tokens))
        return JSONResponse({"prompt": text, "bytes": list(encoded)})

    return await cancel_on_disconnect(http_request, answer)
