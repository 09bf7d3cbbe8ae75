"""Ask many things at once from an event loop: the model answers them together."""

import asyncio
import sys
from pathlib import Path

from mistralrs import AsyncRunner, ChatCompletionRequest, Which


async def ask(runner: AsyncRunner, picture: Path) -> str:
    """One question."""
    request = ChatCompletionRequest("What is in this picture?", images=picture, temperature=0)
    response = await runner.send_chat_completion_request(request)
    return f"{picture.name}: {response.text}"


async def main(*pictures: str) -> None:
    """Answers are printed in the order of the pictures."""
    async with AsyncRunner(Which.MultimodalPlain("demo")) as runner:
        for line in await asyncio.gather(*(ask(runner, Path(picture)) for picture in pictures)):
            print(line)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
