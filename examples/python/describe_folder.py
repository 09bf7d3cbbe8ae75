"""Describe every picture of a folder, a line of JSON each: ``python describe_folder.py photos > photos.jsonl``."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mistralrs import ChatCompletionRequest, Runner, Which


def main(folder: str, model: str = "demo") -> None:
    """Answers come in the order of the files, several being made at once."""
    pictures = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    with Runner(Which.MultimodalPlain(model)) as runner, ThreadPoolExecutor(8) as pool:

        def describe(path: Path) -> str:
            request = ChatCompletionRequest("Describe this picture.", images=path, temperature=0, max_tokens=200)
            return runner.send_chat_completion_request(request).text

        for path, text in zip(pictures, pool.map(describe, pictures), strict=True):
            print(json.dumps({"file": path.name, "text": text}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
