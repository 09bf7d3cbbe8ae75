"""A model in your own FastAPI app: ``uvicorn in_fastapi:app``, ``curl --data-binary @photo.jpg :8000/describe``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from mistralrs import AsyncRunner, ChatCompletionRequest, Which


@asynccontextmanager
async def model(app: FastAPI) -> AsyncIterator[None]:
    """Load the model when the app starts, free it when it ends."""
    async with AsyncRunner(Which.MultimodalPlain("demo")) as app.state.runner:
        yield


app = FastAPI(lifespan=model)


@app.post("/describe")
async def describe(request: Request) -> dict[str, str]:
    """The body is a picture; requests that come together are answered together."""
    asked = ChatCompletionRequest("What is in this picture?", images=await request.body(), temperature=0)
    response = await request.app.state.runner.send_chat_completion_request(asked)
    return {"text": response.text}
