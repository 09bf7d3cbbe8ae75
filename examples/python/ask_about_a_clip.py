"""Ask about a part of a clip, a frame every half second: ``python ask_about_a_clip.py clip.mp4 0 3``."""

import sys

from mistralrs import ChatCompletionRequest, Runner, Which


def main(clip: str, start: str = "0", end: str = "3", model: str = "demo") -> None:
    """The part's options say which frames are taken."""
    video = {"type": "video_url", "video_url": {"url": clip, "fps": 2, "start": float(start), "end": float(end)}}
    messages = [{"role": "user", "content": [video, {"type": "text", "text": "What happens in this video?"}]}]
    with Runner(Which.MultimodalPlain(model)) as runner:
        (report,) = runner.inspect(messages)
        print(f"{report.summary}: {report.tokens} tokens", file=sys.stderr)
        request = ChatCompletionRequest(messages, temperature=0)
        print(runner.send_chat_completion_request(request).text)


if __name__ == "__main__":
    main(*sys.argv[1:])
