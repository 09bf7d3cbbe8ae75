"""The chat as it is typed, with a fake model: what is asked, what fails, what comes back."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image
from prompt_toolkit.history import FileHistory

from mistralrs_cli.conversation import CUT
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import ContextOverflow, OutOfMemory
from mistralrs_cli.events import ReasoningDelta
from mistralrs_cli.messages import Media, Message, Text
from mistralrs_cli.repl.prompt import Prompt
from tests.checkpoints.media import image_of
from tests.fake_model import FakeModels
from tests.repl.conftest import ALT_ENTER, CLEAR, ENTER, LEAVE, TAB, Fake, Type


def asked(engine: FakeModels, index: int = -1) -> list[str]:
    """The conversation that was given, a line for each message."""
    return [
        "".join(part.text if isinstance(part, Text) else f"<{part.kind} {Path(part.source).name}>" for part in m.parts)
        for m in engine.asked[index]
    ]


def test_questions_and_answers_follow_each_other(typed: Type, fake: Fake) -> None:
    engine = fake("One.", "Two.")
    session = typed("first", "second", LEAVE)
    assert session.code == 0
    assert session.out == "One. \nTwo. \n"
    assert asked(engine) == ["first", "One. ", "second"]
    assert engine.calls[-1] == "close"


def test_messages_of_earlier_turns_are_the_same_objects(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed("what is in photo.jpg", "and now", "and then", LEAVE)
    one, two, three = engine.asked
    assert two[0] is one[0]
    assert [id(message) for message in three[:3]] == [id(message) for message in two[:3]]


def test_a_mention_becomes_the_medium_at_its_place(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    session = typed("is photo.jpg like './My [best] photo (1).png' or clip.gif?", LEAVE)
    assert asked(engine) == ["is <image photo.jpg> like <image My [best] photo (1).png> or <video clip.gif>?"]
    assert "[1] photo.jpg as it is → 10 tokens\n[2] My [best] photo (1).png as it is → 10 tokens" in session.err


def test_a_dropped_file_in_brackets_of_the_terminal(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    dropped = str(files / "My [best] photo (1).png").replace(" ", "\\ ").replace("[", "\\[").replace("]", "\\]")
    typed(f"\x1b[200~{dropped} \x1b[201~what is this?", LEAVE)
    assert asked(engine) == ["<image My [best] photo (1).png> what is this?"]


def test_a_paste_stays_whole(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    typed("\x1b[200~one\ntwo\r\nthree\x1b[201~", LEAVE)
    assert asked(engine) == ["one\ntwo\nthree"]


def test_several_lines(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    typed("one" + ALT_ENTER + "two", '"""three', "four", 'five"""', LEAVE)
    assert asked(engine, 0) == ["one\ntwo"]
    assert asked(engine)[-1] == "three\nfour\nfive"


def test_ctrl_c_just_before_the_prompt_clears_the_line(
    typed: Type, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, read, begun = fake("Yes."), Prompt.read, []

    def interrupted(self: Prompt, line: str = "") -> str:
        begun.append(line)
        if begun == ["", line]:
            raise KeyboardInterrupt
        return read(self, line)

    monkeypatch.setattr(Prompt, "read", interrupted)
    typed("./gone.png?", "hello", CLEAR, LEAVE)
    assert begun == ["", "./gone.png?", "", ""]
    assert asked(engine) == ["hello"]


def test_staged_media_wait_for_the_question(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    session = typed("/image photo.jpg My [best] photo (1).png", "/audio beeps.wav", "/drop 1", "/media", "and?", LEAVE)
    assert len(engine.asked) == 1
    assert asked(engine) == ["<image My [best] photo (1).png><audio beeps.wav>and?"]
    assert "[3] beeps.wav as it is → 10 tokens" in session.err
    assert "[2] beeps.wav as it is → 10 tokens" in session.err


def test_patterns_and_the_command_line_stage_as_well(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed("/image *.png", "which?", LEAVE, words="--plain --image photo.jpg")
    assert asked(engine) == ["<image photo.jpg><image My [best] photo (1).png><image red_circle.png>which?"]


@pytest.mark.parametrize("line", ["photo.jpg", "(photo.jpg)", " **photo.jpg**. "])
def test_media_alone_are_described(line: str, typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    session = typed(line, LEAVE)
    assert asked(engine) == ["<image photo.jpg>"]
    assert "no question given; using “Describe this.”" in session.err


def test_signs_that_ask_are_a_question(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed("photo.jpg,red_circle.png", "photo.jpg?", LEAVE)
    assert asked(engine, 0) == ["<image photo.jpg><image red_circle.png>"]
    assert asked(engine)[-1] == "<image photo.jpg>?"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("what is ./gone.png", "No such file: ./gone.png"),
        ("what is ./photo.jpeg", "Did you mean 'photo.jpg'?"),
        ("see page.jpg", "page.jpg is a web page (HTML), not an image, audio or video."),
        ("/image gone.png", "No such file: gone.png"),
        ("/image beeps.wav", "Give it with /audio."),
        ("/image", "/image needs a file."),
        ("/drop 3", "Nothing is attached."),
        ("/retry", "No question has been asked yet."),
        ("/undo", "No question has been asked yet."),
        ("/imgae x", "Did you mean /image?"),
        ("/set temprature 1", "Did you mean temperature?"),
        ("/temperature warm", "For example: /set temperature 0.7"),
        ("/topp 2", "top_p cannot be 2."),
        ("/load gone", "No chat is saved as gone."),
        ("/model ./gone", "There is no folder ./gone."),
        ("/paste", "The clipboard cannot be read here."),
        ("/gone/photo.png what is this", "No such file: /gone/photo.png"),
    ],
)
def test_what_is_refused_comes_back_for_editing(line: str, said: str, typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    session = typed(line, "\x01`\x05` ok", LEAVE)  # to the beginning: a backquote; to the end: another
    assert said in session.err
    assert asked(engine) == [f"`{line}` ok"]


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OutOfMemory("There is not enough memory.", "Send less."), "Send less."),
        (ContextOverflow("The prompt has 2,000 tokens."), "/undo frees"),
        (RuntimeError("the ground opened"), "The chat goes on."),
    ],
)
def test_a_failed_turn_is_taken_back(error: Exception, hint: str, typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("One.", error, "Three.")
    session = typed("first", "/audio beeps.wav", "second", " again", "third", LEAVE)
    assert hint in session.err
    assert asked(engine, 2) == ["first", "One. ", "<audio beeps.wav>second again"]
    assert asked(engine, 3) == ["first", "One. ", "<audio beeps.wav>second again", "Three. ", "third"]


@pytest.mark.parametrize(("name", "key"), [("photo.jpg", "max_edge"), ("clip.gif", "frames")])
def test_a_full_context_names_what_makes_media_smaller(
    name: str, key: str, typed: Type, fake: Fake, files: Path
) -> None:
    fake(ContextOverflow("The prompt has 2,000 tokens."))
    session = typed(f"what is {name}?", CLEAR, LEAVE)
    assert "hint: shorten the question, or" in session.err
    assert f"/set {key} " in session.err


def test_an_error_in_the_middle_of_an_answer(typed: Type, fake: Fake) -> None:
    def half(messages: Sequence[Message]) -> Iterator[str]:
        yield "half"
        raise OutOfMemory("There is not enough memory.", "Send less.")

    engine = fake(half, "Whole.")
    typed("first", "", LEAVE)
    assert asked(engine) == ["first"]
    assert [turn.answer for turn in Store().latest().turns] == ["Whole. "]


def test_ctrl_c_keeps_what_was_said(typed: Type, fake: Fake) -> None:
    def endless(messages: Sequence[Message]) -> Iterator[str]:
        yield "half of"
        os.kill(os.getpid(), signal.SIGINT)
        yield from iter(lambda: "…", "")

    engine = fake(endless, "Sorry.")
    session = typed("first", "why", LEAVE)
    assert "half of" in session.out
    assert asked(engine)[1].endswith(CUT)
    assert asked(engine)[1].startswith("half of")
    assert [turn.cut for turn in session.kept.latest().turns] == [True, False]


def test_ctrl_c_before_the_first_word_takes_the_turn_back(typed: Type, fake: Fake) -> None:
    def silent(messages: Sequence[Message]) -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGINT)
        yield ""
        yield "never"

    engine = fake(silent, "Fine.")
    typed("first", " again", LEAVE)
    assert asked(engine) == ["first again"]


def test_ctrl_c_clears_the_line_and_leaves_when_pressed_twice(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    session = typed("not this" + CLEAR + ENTER, "this", CLEAR, CLEAR)
    assert asked(engine) == ["this"]
    assert "Ctrl-C again" in session.err


def test_undo_retry_and_edit(typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = files / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i s/second/better/ "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    engine = fake("One.", "Two.", "Two again.", "Better.", "Fourth.")
    typed("first photo.jpg", "second", "/retry", "/edit", "/undo", "!", LEAVE)
    assert asked(engine, 2) == ["first <image photo.jpg>", "One. ", "second"]
    assert asked(engine, 3) == ["first <image photo.jpg>", "One. ", "better"]
    assert asked(engine, 4) == ["first <image photo.jpg>", "One. ", "better!"]
    assert [turn.answer for turn in Store().latest().turns] == ["One. ", "Fourth. "]


def test_edit_without_an_editor_happens_in_the_prompt(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("One.", "Two.")
    typed("/image photo.jpg", "first", "/edit", " more", LEAVE)
    assert asked(engine) == ["<image photo.jpg>first more"]


def test_a_failed_retry_or_edit_keeps_the_old_answer(
    typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = files / "editor.sh"
    editor.write_text('#!/bin/sh\necho ./gone.png > "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    fake("One.", OutOfMemory("There is not enough memory."))
    typed("first", "/retry", CLEAR, "/edit", CLEAR, LEAVE)
    assert [turn.answer for turn in Store().latest().turns] == ["One. "]


def test_settings_reach_the_model(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    session = typed(
        "/temperature 0.5", "/topk 3", "/topp 0.9", "/set seed 7", "/set max-tokens=9", "a", "/set seed default", "b",
        "/set", "/system Be brief.", "c", "/system off", "d", LEAVE, words="--plain --seed 5",
    )  # fmt: skip
    first, second, *_ = engine.samplings
    assert (first.temperature, first.top_k, first.top_p, first.seed, first.max_tokens) == (0.5, 3, 0.9, 7, 9)
    assert second.seed == 5
    assert "max_tokens          9 " in session.err
    assert [messages[0].role for messages in engine.asked] == ["user", "user", "system", "user"]


def test_max_edge_shrinks_the_next_picture(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed("/set max_edge 50", "photo.jpg", LEAVE)
    picture = image_of(engine.asked[0][0].media[0])
    assert max(picture.image.size) == 50


def test_commands_that_only_tell(typed: Type, fake: Fake, files: Path) -> None:
    fake("Yes.")
    session = typed("/help", "photo.jpg?", "/stats", "/media", "/model", "/thought", LEAVE)
    for expected in (
        "/export FILE",
        "turns    1, media 1",
        "in the conversation: photo.jpg",
        "*  demo ",
        "no reasoning",
    ):
        assert expected in session.err


def test_a_nearly_full_context_is_announced(typed: Type, fake: Fake) -> None:
    fake(" ".join(["word"] * 40), context=50)
    session = typed("first", LEAVE)
    assert "the context is 94% full (47 of 50 tokens): /undo frees 47 tokens, /clear all" in " ".join(
        session.err.split()
    )


def test_thoughts_are_no_part_of_the_history(typed: Type, fake: Fake) -> None:
    def thinking(messages: Sequence[Message]) -> Iterator[str | ReasoningDelta]:
        yield ReasoningDelta("hm, let me see")
        yield "Yes."

    engine = fake(thinking)
    session = typed("first", "/thought", "second", LEAVE)
    assert asked(engine) == ["first", "Yes.", "second"]
    assert session.err.count("hm, let me see") == 3
    assert "hm" not in session.out


def test_everything_is_kept_and_goes_on(typed: Type, fake: Fake, files: Path, data: Path) -> None:
    engine = fake("One.")
    typed("/system Be brief.", "what is photo.jpg", "and photo.jpg again", LEAVE)
    (files / "photo.jpg").unlink()
    typed("now", LEAVE, words="--plain --continue")
    assert asked(engine) == [
        "Be brief.", "what is <image photo.jpg>", "One. ", "and <image photo.jpg> again", "One. ", "now",
    ]  # fmt: skip
    assert isinstance(engine.asked[-1][1].parts[1], Media)
    assert len(list((data / "sessions").iterdir())) == 1
    assert len(list((data / "media").iterdir())) == 1
    for path in [data, *data.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_clear_begins_another_chat_and_resume_finds_the_first(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    typed("/clear", "first", "/clear", "second", LEAVE)
    store = Store()
    assert asked(engine) == ["second"]
    assert sorted(summary.title for summary in store.summaries()) == ["first", "second"]
    first = next(summary.id for summary in store.summaries() if summary.title == "first")
    typed("third", LEAVE, words=f"--plain --resume {first}")
    assert asked(engine) == ["first", "Yes. ", "third"]


def test_save_load_and_export(typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = fake("A *house*.")
    session = typed(
        "what is photo.jpg", "/save chat", "/export chat.md", "/export chat.md", CLEAR, "/export page.html", LEAVE
    )
    assert "written to chat.json" in session.err
    assert "chat.md already exists." in session.err
    assert "![image](photo.jpg)" in (files / "chat.md").read_text()
    assert "data:image/jpeg;base64," in (files / "page.html").read_text()
    (files / "photo.jpg").unlink()
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(files / "elsewhere"))
    typed("/load chat.json", "more", LEAVE)
    assert asked(engine) == ["what is <image photo.jpg>", "A *house*. ", "more"]
    assert image_of(engine.asked[-1][0].media[0]).width == 480


def test_a_file_that_is_no_chat_is_neither_loaded_nor_overwritten(typed: Type, fake: Fake, files: Path) -> None:
    fake("Yes.")
    (files / "notes.json").write_text('{"mine": 1}')
    session = typed("first", "/load notes.json", CLEAR, "/save notes.json", CLEAR, LEAVE)
    assert "notes.json is not a saved chat." in session.err
    assert "notes.json already exists." in session.err
    assert (files / "notes.json").read_text() == '{"mine": 1}'


def test_a_full_disk_ends_no_chat(typed: Type, fake: Fake, data: Path) -> None:
    data.write_text("a file where the folder should be")
    fake("Yes.")
    session = typed("first", "second", LEAVE, LEAVE)
    assert session.out == "Yes. \nYes. \n"
    assert session.notes.count("/save FILE on another disk keeps it; every question tries again.") == 1
    assert session.notes.count("/save FILE on another disk keeps it; Ctrl-D again leaves without it.") == 1
    assert session.err.count("This chat cannot be saved") == 2


def test_another_model_goes_on_with_the_conversation(typed: Type, fake: Fake, files: Path, root: Path) -> None:
    engine = fake("Yes.")
    folder = root / "mistralrs_cli" / "demo"
    session = typed("what is photo.jpg", f"/model {folder}", "and now", LEAVE)
    assert asked(engine) == ["what is <image photo.jpg>", "Yes. ", "and now"]
    assert "the conversation continues" in session.notes
    assert [turn.model for turn in session.kept.latest().turns] == ["demo", str(folder)]


def test_tab_completes_commands_and_media(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed("/aud" + TAB + " bee" + TAB, "what is My" + TAB + "?", LEAVE)
    assert asked(engine) == ["<audio beeps.wav>what is <image My [best] photo (1).png>?"]


def test_a_path_is_a_path_before_it_is_a_command(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    typed(f"{files}/photo.jpg what is this", "/usr/bin/env does what", LEAVE)
    assert asked(engine, 0) == ["<image photo.jpg> what is this"]
    assert asked(engine)[-1] == "/usr/bin/env does what"


def test_a_line_of_an_earlier_chat_is_searched_for(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    typed("first question", "second one", LEAVE)
    search, end = "\x12", "\x05"
    typed(f"{search}first{ENTER}", f"{end} again", f"{search}second{CLEAR}new", LEAVE)
    assert asked(engine) == ["first question again", "Yes. ", "new"]


def test_lines_are_kept_for_later_chats(typed: Type, fake: Fake, data: Path) -> None:
    fake("Yes.")
    typed("first question", '"""two', 'lines"""', LEAVE)
    typed("/help", LEAVE)
    assert list(FileHistory(str(data / "history")).load_history_strings()) == [
        "/help",
        '"""two\nlines"""',
        "first question",
    ]


def test_the_model_before_answers_where_another_does_not_load(typed: Type, fake: Fake, files: Path, root: Path) -> None:
    folder = str(root / "mistralrs_cli" / "demo")
    engine = fake("Yes.", failure=OutOfMemory("It does not fit in memory.", "Try another with -m."), failing=folder)
    session = typed("photo.jpg?", f"/model {folder}", "/audio beeps.wav", "second", " again", LEAVE)
    assert "It does not fit in memory. hint: Try another with /model. note: demo is loaded again" in session.notes
    assert asked(engine) == ["<image photo.jpg>?", "Yes. ", "<audio beeps.wav>second again"]
    kept = session.kept.latest()
    assert ([turn.model for turn in kept.turns], kept.model["model_id"]) == (["demo", "demo"], "demo")


def test_the_demo_model_talks_about_a_picture(typed: Type, files: Path) -> None:
    session = typed(
        "what is in red_circle.png?", "Which color is it?", "/retry", "/undo", CLEAR, "/stats", LEAVE,
        words="--plain --temperature 0",
    )  # fmt: skip
    first, *others = session.out.lower().splitlines()
    assert ("red" in first, "circle" in first, ["red" in said for said in others]) == (True, True, [True, True])
    (turn,) = session.kept.latest().turns
    assert f"context  {turn.usage.prompt_tokens + turn.usage.completion_tokens} of 8,192 tokens" in session.err
    assert [count for count in re.findall(r"(\d+) reused\)", session.err) if int(count) > turn.usage.image_tokens] != []


def test_a_model_that_does_not_load_leaves_the_chat_open(typed: Type, fake: Fake) -> None:
    fake("", failure=OutOfMemory("demo does not fit in memory.", "Try --quant 4, or a smaller model."))
    session = typed("first", " again", CLEAR, LEAVE)
    assert session.code == 0
    assert session.err.count("demo does not fit in memory.") == 2


def test_boxes_of_an_answer_are_drawn(typed: Type, fake: Fake, files: Path) -> None:
    fake('[{"bbox_2d": [0, 0, 500, 500], "label": "cat"}]', "Nothing.")
    session = typed(
        "where is it in red_circle.png", "/draw out.png", "/draw out.png", CLEAR, "and now?", "/draw", CLEAR, LEAVE
    )
    assert "1 box drawn into out.png" in session.notes
    assert "out.png already exists." in session.notes
    assert "The answer marks no box and no point" in session.notes
    with Image.open(files / "out.png") as drawn, Image.open(files / "red_circle.png") as image:
        assert drawn.width % image.width == 0
    assert [path.name for path in files.glob("chat-*")] == []
