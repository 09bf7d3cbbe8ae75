"""Conversations by themselves: their messages, their file, and what is told of them."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from mistralrs_cli.conversation import CUT, Conversation, LostMedia, ToolRound, Turn
from mistralrs_cli.conversation.export import as_form, as_html, as_markdown, as_text
from mistralrs_cli.conversation.record import from_object, to_object
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import MediaNotFound, OptionError
from mistralrs_cli.events import Timing, Usage
from mistralrs_cli.grounding import Box, Found
from mistralrs_cli.messages import Media, MediaOptions, MediaRef, Message, Text, ToolCall

PICTURE = b"\x89PNG and so on"


def talked(store: Store, *questions: str) -> Conversation:
    """A conversation with a picture in every question."""
    conversation = Conversation(model={"model_id": "demo"})
    conversation.instruct("Be brief.")
    for question in questions:
        medium = MediaRef("image", "my pic.png", options=MediaOptions(max_edge=64), digest=store.keep(PICTURE))
        message = Message("user", (Text(question), medium, Text("?")))
        usage = Usage(prompt_tokens=20, completion_tokens=5, image_tokens=9)
        conversation.turns.append(Turn(message, f"<{question}>", typed=question, staged=1, model="demo", usage=usage))
    return conversation


def as_dict(conversation: Conversation) -> dict[str, object]:
    return to_object(conversation)


def test_an_answer_that_was_cut_says_so_to_the_model_only() -> None:
    turn = Turn(Message("user", (Text("a"),)), "half", cut=True)
    assert turn.reply.text == "half" + CUT
    assert turn.answer == "half"


PHOTO, OTHER = MediaRef("image", "pics/my photo (1).jpg"), MediaRef("audio", "https://x.org/talk.mp3?size=big")


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        ((Text("what is in "), PHOTO, Text("?")), "what is in my photo (1).jpg?"),
        ((PHOTO, Text("what is it?")), "my photo (1).jpg what is it?"),
        ((PHOTO, OTHER, Text("which?")), "my photo (1).jpg talk.mp3 which?"),
        ((PHOTO, Text(", "), OTHER, Text("; and?")), "my photo (1).jpg, talk.mp3; and?"),
        ((PHOTO, Text("'s colours")), "my photo (1).jpg's colours"),
        ((Text("("), PHOTO, Text(")")), "(my photo (1).jpg)"),
        ((MediaRef("image", "data:image/png;base64,AAAA"), Text("what?")), "image what?"),
        ((MediaRef("video", "C:\\clips\\a.mp4"), Text("…")), "a.mp4…"),
        ((Text("quoi ?"),), "quoi ?"),
    ],
)
def test_titles_have_no_space_before_a_mark(parts: tuple[Text | Media, ...], title: str) -> None:
    assert Conversation(turns=[Turn(Message("user", parts), "x")]).title == title


def test_words_stand_for_media_that_are_lost() -> None:
    lost = LostMedia.of(PHOTO)
    turn = Turn(Message("user", (Text("is "), lost, Text(" like "), OTHER, Text("?"))), "x", staged=1)
    whole = Message("user", (Text("one"), OTHER))
    assert turn.asked.parts[1] == Text("[image my photo (1).jpg: no longer available]")
    assert turn.asked.media == (OTHER,)
    assert turn.attached == ()
    assert turn.question.media == (lost, OTHER)
    assert Turn(whole, "x").asked is whole


def test_chats_of_other_versions_open(tmp_path: Path) -> None:
    found = to_object(talked(Store(tmp_path), "one"))
    found["turns"][0]["usage"] |= {"more": 1}
    del found["turns"][0]["timing"]["total"]
    assert from_object(found, "chat.json", lambda data: "").turns[0].usage.prompt_tokens == 20


def test_changed_media_that_fail_change_nothing() -> None:
    conversation = talked(Store(Path("nowhere")), "a", "b")
    before = list(conversation.turns)

    def change(medium: Media) -> Media:
        raise MediaNotFound("gone")

    with pytest.raises(MediaNotFound):
        conversation.change_media(change)
    assert conversation.turns == before


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    conversation = talked(store, "one", "two")
    store.save(conversation)
    again = Store(tmp_path).load(conversation.id)
    assert as_dict(again) == as_dict(conversation)
    assert again.media[0].options.max_edge == 64
    assert Store(tmp_path).read(again.media[0]) == PICTURE
    assert [path.name for path in (tmp_path / "media").iterdir()] == [hashlib.sha256(PICTURE).hexdigest()]


def test_nothing_is_written_before_a_conversation_is_saved(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    assert store.read(MediaRef("image", "x", digest=store.keep(PICTURE))) == PICTURE
    assert not (tmp_path / "data").exists()


def test_two_chats_that_go_on_with_the_same_one_lose_nothing(tmp_path: Path) -> None:
    first = Store(tmp_path)
    conversation = talked(first, "one")
    first.save(conversation)
    second = Store(tmp_path)
    other = second.load(conversation.id[:12])
    other.turns += talked(second, "two").turns
    second.save(other)
    conversation.turns += talked(first, "three").turns
    first.save(conversation)
    kept = [[turn.typed for turn in Store(tmp_path).load(summary.id).turns] for summary in Store(tmp_path).summaries()]
    assert sorted(kept) == [["one", "three"], ["one", "two"]]


def test_deleting_keeps_the_media_of_others(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, two = talked(store, "one"), talked(store, "two")
    store.save(one)
    store.save(two)
    store.delete(one)
    assert len(list((tmp_path / "media").iterdir())) == 1
    store.delete(two)
    assert list((tmp_path / "media").iterdir()) == []
    assert store.summaries() == []


def test_names_that_are_none_or_two(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(OptionError, match="No chat is saved yet"):
        store.latest()
    for number in range(2):
        conversation = talked(store, "one")
        conversation.id = f"2026-{number}"
        store.save(conversation)
    with pytest.raises(OptionError, match="2 chats begin with 2026"):
        store.load("2026")
    with pytest.raises(OptionError, match="No chat is saved as"):
        store.load("../sessions/2026-0")


def test_media_that_are_gone_or_changed_are_missed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    conversation = talked(store, "one")
    store.save(conversation)
    (medium,) = conversation.media
    path = tmp_path / "media" / str(medium.digest)
    path.write_bytes(b"other")
    with pytest.raises(MediaNotFound, match=r"my pic\.png was changed on the disk"):
        store.read(medium)
    path.unlink()
    with pytest.raises(MediaNotFound, match=r"my pic\.png is gone"):
        store.read(medium)


def test_a_medium_is_read_from_where_it_was_and_stored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path)
    conversation = talked(store, "one")
    store.save(conversation)
    (medium,) = conversation.media
    path = tmp_path / "media" / str(medium.digest)
    path.write_bytes(b"other")
    (tmp_path / "my pic.png").write_bytes(b"another picture")
    with pytest.raises(MediaNotFound):
        store.read(medium)
    (tmp_path / "my pic.png").write_bytes(PICTURE)
    assert store.read(medium) == PICTURE
    store.save(conversation)
    assert path.read_bytes() == PICTURE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mistralrs_chat": 2}, "newer version"),
        ({"turns": 3}, "damaged"),
        ({"id": "../../etc"}, "not allowed"),
        ({"turns": [{}]}, "damaged"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = to_object(talked(store, "one")) | change
    with pytest.raises(OptionError, match=said):
        from_object(found, "chat.json", store.keep)


def test_a_digest_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = to_object(talked(store, "one"))
    found["turns"][0]["question"][1]["sha256"] = "../../secret"
    with pytest.raises(OptionError, match="not allowed"):
        from_object(found, "chat.json", store.keep)


@pytest.mark.parametrize("data", [b"other bytes", None])
def test_damaged_bytes_in_a_file_cost_that_medium_only(data: bytes | None, tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = to_object(talked(store, "one", "two"), lambda medium: PICTURE)
    damaged = found["turns"][0]["question"][1]
    damaged["base64"] = "not base64!" if data is None else base64.b64encode(data).decode()
    damaged["sha256"] = "0" * 64
    other = Store(tmp_path / "elsewhere")
    lost, kept = from_object(found, "chat.json", other.keep).media
    assert other.read(kept) == PICTURE
    with pytest.raises(MediaNotFound, match="is gone"):
        other.read(lost)


def test_a_damaged_session_is_listed_and_harms_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(talked(store, "one"))
    (tmp_path / "sessions" / "broken.json").write_text("{")
    assert sorted(summary.turns for summary in store.summaries()) == [0, 1]


def test_exports(tmp_path: Path) -> None:
    conversation = talked(Store(tmp_path), "<script>one")
    page = as_form(conversation, ".html", lambda medium: PICTURE)
    assert "<script" not in page
    assert "&lt;script&gt;one" in page
    assert 'src="data:image/png;base64,' in page
    assert "![image](<my pic.png>)?" in as_form(conversation, ".md", lambda medium: PICTURE)
    assert "> <script>one[image my pic.png]?" in as_form(conversation, ".txt", lambda medium: PICTURE)
    assert json.loads(as_form(conversation, ".json", lambda medium: PICTURE))["turns"][0]["typed"] == "<script>one"
    with pytest.raises(OptionError, match=r"no export as \.pdf"):
        as_form(conversation, ".pdf", lambda medium: PICTURE)


def test_times_and_numbers_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    conversation = talked(store, "one")
    conversation.turns[0] = Turn(
        conversation.turns[0].question, "x", timing=Timing(0.25, 1.5), reasoning="hm", cut=True
    )
    store.save(conversation)
    turn = store.load(conversation.id).turns[0]
    assert (turn.timing, turn.reasoning, turn.cut) == (Timing(0.25, 1.5), "hm", True)


def test_boxes_count_media_that_are_lost_as_well() -> None:
    question = Message("user", (LostMedia("image", "a.png"), MediaRef("image", "b.png")))
    box = Box((1, 2, 3, 4), "circle", 0, "b.png")
    placed = Conversation().placed(Found((box,)), question)
    assert [(one.media, question.media[one.media].source) for one in placed.boxes] == [(1, "b.png")]


def test_tools_and_boxes_are_stored_and_exported_and_may_be_missing() -> None:
    rounds = (ToolRound("Let me see.", (ToolCall("a", "look", '{"at": 1}'),), ("a circle",)),)
    found = Found((Box((1, 2, 3, 4), "circle", 0, "b.png"),))
    turn = Turn(Message("user", (Text("What is it?"),)), "A circle.", rounds=rounds, found=found, finish="length")
    written = to_object(Conversation(turns=[turn]))
    read = from_object(written, "it", str)
    assert (read.turns[0].rounds, read.turns[0].found, read.turns[0].finish) == (rounds, found, "length")
    assert "look" in as_markdown(read)
    assert "a circle" in as_text(read)
    assert "a circle" in as_html(read, lambda medium: None)
    for name in ("tools", "boxes", "finish"):
        del written["turns"][0][name]
    assert from_object(written, "it", str).messages()[1].text == "A circle."
    # nothing came of these calls: what was said with them is the answer
    open_round = ToolRound("Let me see.", rounds[0].calls)
    waiting = Conversation(turns=[Turn(turn.question, "", rounds=(open_round,))])
    assert [message.text for message in waiting.messages()] == ["What is it?", "Let me see."]
