"""Boxes and points of an answer, over HTTP and in Python: whole, streamed, and from another server."""

from __future__ import annotations

from typing import Any

from mistralrs_cli.events import Done, Event, MediaReport, Started, TextDelta, Timing, Usage, collect
from mistralrs_cli.grounding import Found, ImageCoordinates
from mistralrs_cli.protocol import ChunkChoices, choice, head, usage
from mistralrs_cli.sdk.from_json import chat_chunk, chat_response

IMAGE = MediaReport("image", "a.png", "", 1, ImageCoordinates(200, 100, (1000.0, 1000.0)))
END = Done("stop", Usage(), Timing())
ANSWER: list[Event] = [
    Started(1, (IMAGE,)),
    TextDelta('[{"bbox_2d": [0, 0, 500, 500], '),
    TextDelta('"label": "cat"}, {"point_2d": [500, 500]}]'),
    END,
]
PLACES = {
    "boxes": [{"label": "cat", "box": [0, 0, 100, 50], "media": 0, "source": "a.png"}],
    "points": [{"label": "", "point": [100, 50], "media": 0, "source": "a.png"}],
}


def places(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ("boxes", "points") if name in value}


def test_a_choice_has_them() -> None:
    assert places(choice(0, collect(ANSWER))) == PLACES
    assert places(choice(0, collect([Started(1, (IMAGE,)), TextDelta("No."), END]))) == {}


def test_a_medium_in_the_request_is_not_sent_back() -> None:
    sent = MediaReport("image", f"data:image/png;base64,{'A' * 1000}", "", 1, IMAGE.space)
    (box,) = choice(0, collect([Started(1, (sent,)), *ANSWER[1:]]))["boxes"]
    assert box["source"] == "data:image/png;base64,AAAAAAAAAAAAAAAAAA…"


def test_the_last_chunk_has_them() -> None:
    chunks = ChunkChoices(0)
    pieces = [piece for event in ANSWER for piece in chunks.of(event)]
    assert [places(piece) for piece in pieces] == [{}, {}, PLACES]
    last = chat_chunk(head("chat.completion.chunk", "m") | {"choices": [pieces[-1]]})
    assert last.choices[0].boxes[0].box == [0, 0, 100, 50]


def test_a_response_has_them() -> None:
    whole = head("chat.completion", "m") | {"choices": [choice(0, collect(ANSWER))], "usage": usage(END)}
    response = chat_response(whole)
    assert [(box.label, box.box, box.source) for box in response.boxes] == [("cat", [0, 0, 100, 50], "a.png")]
    assert [point.point for point in response.points] == [[100, 50]]


def test_another_server_has_looked_for_them() -> None:
    found = Found.of(PLACES, ["mine.png"])
    assert [box.source for box in found.boxes] == ["mine.png"]
    assert collect([Started(0), TextDelta("x"), Done("stop", Usage(), Timing(), found=found)]).found == found
