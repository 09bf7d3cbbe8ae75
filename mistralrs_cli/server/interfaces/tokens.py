"""``POST /tokenize`` and ``/detokenize``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import OptionError
from ...protocol import conversation, sampling, tools
from ..generation_request import GenerationRequest
from ..http.body import parse
from ..http.sse import cancel_on_disconnect
from ..service import Service
from .chat import ending
from .schemas import DetokenizeRequest, TokenizeRequest


async def tokenize(request: Request, service: Service) -> Response:
    """The tokens of a text, or of a whole prompt."""
    body = await parse(request, TokenizeRequest, service.options)
    service.check_model(body.model)
    engine = service.ready()
    text = body.prompt
    if (text is None) == (body.messages is None):
        raise OptionError("Send either prompt or messages.", param="prompt")
    if text is not None:
        engine.check_length(text)
        special = body.add_special_tokens is not False
        ids = await service.in_thread(lambda: engine.encode(text, special=special))
    else:

        def to_request() -> GenerationRequest:
            return GenerationRequest(
                messages=conversation(body.messages, service.media_options),
                sampling=sampling(
                    enable_thinking=body.enable_thinking,
                    chat_template_kwargs=body.chat_template_kwargs,
                    turn=ending(body.continue_final_message, body.add_generation_prompt),
                ),
                tools=tools(body.tools),
            )

        ids = await cancel_on_disconnect(request, service.tokens(request, to_request))
    return JSONResponse({"tokens": ids, "count": len(ids), "max_model_len": engine.loaded.context_length})


async def detokenize(request: Request, service: Service) -> Response:
    """The text of tokens."""
    body = await parse(request, DetokenizeRequest, service.options)
    service.check_model(body.model)
    engine = service.ready()
    text = await service.in_thread(lambda: engine.decode(body.tokens, special=not body.skip_special_tokens))
    encoded = b"".join(map(engine.token_bytes, body.tokens))
    return JSONResponse({"prompt": text, "bytes": list(encoded)})
