"""``POST /tokenize`` and ``/detokenize``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import OptionError
from ...protocol import conversation, sampling, tools
from ..http.body import parse
from ..http.sse import cancel_on_disconnect
from ..question import GenerationRequest
from ..service import Service
from .chat import ending
from .schemas import DetokenizeRequest, TokenizeRequest


async def tokenize(request: Request, service: Service) -> Response:
    """The tokens of a text, or of a whole prompt."""
    asked = await parse(request, TokenizeRequest, service.options)
    service.check_model(asked.model)
    engine = service.ready()
    text = asked.prompt
    if (text is None) == (asked.messages is None):
        raise OptionError("Send either prompt or messages.", param="prompt")
    if text is not None:
        engine.check_length(text)
        special = asked.add_special_tokens is not False
        ids = await service.in_thread(lambda: engine.encode(text, special=special))
    else:

        def convert() -> GenerationRequest:
            return GenerationRequest(
                messages=conversation(asked.messages, service.media_options),
                sampling=sampling(
                    enable_thinking=asked.enable_thinking,
                    chat_template_kwargs=asked.chat_template_kwargs,
                    turn=ending(asked.continue_final_message, asked.add_generation_prompt),
                ),
                tools=tools(asked.tools),
            )

        ids = await cancel_on_disconnect(request, service.tokens(request, convert))
    return JSONResponse({"tokens": ids, "count": len(ids), "max_model_len": engine.loaded.context_length})


async def detokenize(request: Request, service: Service) -> Response:
    """The text of tokens."""
    asked = await parse(request, DetokenizeRequest, service.options)
    service.check_model(asked.model)
    engine = service.ready()
    text = await service.in_thread(lambda: engine.decode(asked.tokens, special=not asked.skip_special_tokens))
    encoded = b"".join(map(engine.token_bytes, asked.tokens))
    return JSONResponse({"prompt": text, "bytes": list(encoded)})
