"""Disks that fail: every call that writes fails in turn, and the power is cut after every one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.conversation import Conversation, Turn
from mistralrs_cli.conversation.disk import reason, replace_file
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import MistralrsError
from mistralrs_cli.messages import MediaRef, Message, Text

CALLS = ("open", "write", "fsync", "close", "replace", "mkdir")


def turn(store: Store, number: int, *, cut: bool = False) -> Turn:
    """A turn about a picture of its own."""
    medium = MediaRef("image", f"{number}.png", digest=store.keep(picture(number)))
    return Turn(Message("user", (Text(f"question {number}"), medium)), f"answer {number}", typed=f"{number}", cut=cut)


def picture(number: int) -> bytes:
    return b"\x89PNG" + bytes([number]) * 5000


def talk(store: Store, conversation: Conversation, saved: Callable[[int], None] = lambda number: None) -> None:
    """Three turns, each saved while it runs and when it has ended; what cannot be saved is gone on without."""
    for number in range(1, 4):
        for turns in ([*conversation.turns, turn(store, number, cut=True)], [*conversation.turns, turn(store, number)]):
            try:
                store.save(conversation, turns)
                saved(number)
            except MistralrsError:
                pass
        conversation.turns = turns


def check(folder: Path, least: int) -> list[Turn]:
    """At least so many turns are there, whole and with their media; no file is damaged."""
    store = Store(folder)
    assert [summary.title for summary in store.summaries() if not summary.turns] == []
    turns = store.latest().turns if store.summaries() else []
    assert [kept.answer for kept in turns] == [f"answer {number}" for number in range(1, len(turns) + 1)]
    assert len(turns) >= least
    for number, kept in enumerate(turns[:least], start=1):
        assert [store.read(medium) for medium in kept.question.media] == [picture(number)]
    return turns


class Faults:
    """Lets a call of ``os`` fail: the ``first``, counted from 1, and with ``lasting`` all that follow."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int, first: int, *, lasting: bool) -> None:
        self.number, self.first, self.lasting, self.calls = number, first, lasting, 0
        for name in CALLS:
            call = (lambda handle: None) if name == "fsync" else getattr(os, name)  # nothing here outlives the process
            patch.setattr(os, name, self.failing(name, call))

    def failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*words: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.first or (self.lasting and self.calls > self.first):
                if name == "close":
                    call(*words, **named)
                raise OSError(self.number, os.strerror(self.number))
            return call(*words, **named)

        return attempt


@pytest.mark.parametrize(("number", "lasting"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_whichever_call_fails_what_was_stored_stays_and_the_rest_follows(
    number: int, lasting: bool, tmp_path: Path
) -> None:
    first = 0
    while True:
        first += 1
        folder = tmp_path / str(first)
        store, conversation = Store(folder), Conversation()
        name = conversation.id
        reached: list[int] = [0]
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, number, first, lasting=lasting)
            talk(store, conversation, reached.append)
        check(folder, reached[-1])
        store.save(conversation)
        assert len(check(folder, 3)) == 3
        assert [path.name for path in (folder / "sessions").glob("*.json")] == [f"{name}.json"]
        if faults.calls < first:
            break
    assert first > 50


def test_bytes_are_held_until_they_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, conversation = Store(tmp_path), Conversation()
    conversation.turns = [turn(store, 1), turn(store, 2)]
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(MistralrsError, match=r"1\.png, 2\.png cannot be saved in .*: a file is where a folder"):
        store.save(conversation)
    assert len(Store(tmp_path).latest().turns) == 2
    assert store.read(conversation.media[0]) == picture(1)
    (tmp_path / "media").unlink()
    store.save(conversation)
    check(tmp_path, 2)


class Power:
    """Notes what reaches the disk, to say what is there after a power cut.

    What was written to a file is there once the file was flushed, a name once its folder was; with ``eager`` names
    are there at once, as many systems do it.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.log: list[tuple[Any, ...]] = []
        self.paths: dict[int, str] = {}
        real_open, real_write, real_replace = os.open, os.write, os.replace
        real_mkdir, real_unlink = os.mkdir, os.unlink

        def open_(path: Any, flags: int, *words: Any, **named: Any) -> int:
            handle = real_open(path, flags, *words, **named)
            self.paths[handle] = str(path)
            if flags & os.O_CREAT:
                self.log.append(("create", str(path)))
            return handle

        def write(handle: int, data: Any) -> int:
            count = real_write(handle, bytes(data)[:2048])  # a disk may take less than it is given
            self.log.append(("write", self.paths[handle], bytes(data)[:count]))
            return count

        def fsync(handle: int) -> None:
            self.log.append(("flush", self.paths[handle]))

        def replace(old: Any, new: Any) -> None:
            real_replace(old, new)
            self.log.append(("rename", str(old), str(new)))

        def mkdir(path: Any, *words: Any, **named: Any) -> None:
            real_mkdir(path, *words, **named)
            self.log.append(("mkdir", str(path)))

        def unlink(path: Any, *words: Any, **named: Any) -> None:
            real_unlink(path, *words, **named)
            self.log.append(("unlink", str(path)))

        for name, call in {
            "open": open_, "write": write, "fsync": fsync, "replace": replace, "mkdir": mkdir, "unlink": unlink,
        }.items():  # fmt: skip
            patch.setattr(os, name, call)

    def after(self, events: int, folder: Path, *, eager: bool) -> int:
        """Write into a folder what a power cut after so many events leaves; how many turns were saved by then."""
        names: dict[str, list[bytes] | None] = {}  # path → what was written and what of it was flushed; None: a folder
        lasting: dict[str, list[bytes] | None] = {}
        saved = 0
        for what, *rest in self.log[:events]:
            match what:
                case "create":
                    names[rest[0]] = [b"", b""]
                case "write":
                    names[rest[0]][0] += rest[1]  # type: ignore[index]
                case "flush" if names.get(rest[0]) is not None:
                    names[rest[0]][1] = names[rest[0]][0]  # type: ignore[index]
                case "flush":
                    inside = {path for path in {*names, *lasting} if str(Path(path).parent) == rest[0]}
                    lasting = {path: held for path, held in lasting.items() if path not in inside}
                    lasting |= {path: held for path, held in names.items() if path in inside}
                case "rename":
                    names[rest[1]] = names.pop(rest[0])
                case "mkdir":
                    names[rest[0]] = None
                case "unlink":
                    names.pop(rest[0])
                case "saved":
                    saved = rest[0]
        for path, held in sorted((names if eager else lasting).items()):
            target = folder / Path(path).relative_to(self.root)
            if held is None:
                target.mkdir()
            elif target.parent.is_dir():
                target.write_bytes(held[1])
        return saved


@pytest.mark.parametrize("eager", [False, True])
def test_the_power_is_cut_after_every_call(eager: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        power = Power(root, patch)
        talk(Store(root / "data"), Conversation(), lambda number: power.log.append(("saved", number)))
    assert len(power.log) > 30
    for events in range(len(power.log) + 1):
        folder = tmp_path / f"{events}-{eager}"
        folder.mkdir()
        saved = power.after(events, folder, eager=eager)
        check(folder / "data", saved)


def test_reasons_are_words() -> None:
    assert reason(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"
    assert reason(OSError(9999, "Unknown error 9999")) == "the system refuses it"


def test_a_file_of_before_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    replace_file(path, b"after")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_half_written_is_removed_in_time(tmp_path: Path) -> None:
    store, conversation = Store(tmp_path), Conversation()
    conversation.turns = [turn(store, 1)]
    store.save(conversation)
    for folder in ("sessions", "media"):
        for name, age in {".new-old": 7200.0, ".new-fresh": 0.0}.items():
            (tmp_path / folder / name).write_bytes(b"half")
            moment = time.time() - age
            os.utime(tmp_path / folder / name, (moment, moment))
    Store(tmp_path).save(Conversation())
    assert sorted(path.name for path in tmp_path.rglob(".new-*")) == [".new-fresh"] * 2
    assert len(Store(tmp_path).load(conversation.id).turns) == 1
