"""Engines are found by what they have loaded, shared, left alone by others, and missed at once when they are gone."""

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs import ChatCompletionRequest, Runner
from mistralrs_cli.attach import AttachedEngine, attach, connection, engines, find, stop
from mistralrs_cli.attach.codec import packed
from mistralrs_cli.attach.identity import digest, environment, has_capacity, unchanged, watched
from mistralrs_cli.attach.peer import Peer
from mistralrs_cli.attach.record import EngineRecord, own_folder, records
from mistralrs_cli.cli.app import main
from mistralrs_cli.errors import EngineDown, EngineLost, OptionError, Overloaded
from mistralrs_cli.events import TextDelta
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import AttachOptions, ModelOptions, Sampling
from mistralrs_cli.start import Models
from tests.attach.serving import played, serving
from tests.fake_model import FakeFamily, FakeModels
from tests.media.pdf import document
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]
QUESTION = (Message("user", (Text("What?"),)),)
HOW = AttachOptions()


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of its own, and an empty stdin."""
    monkeypatch.setattr(sys, "stdin", Stdin())
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # a socket's path must be short
        monkeypatch.setenv("MISTRALRS_RUNTIME_DIR", folder)
        yield Path(folder)


def models(*answers: Any) -> FakeModels:
    return FakeModels(*answers or (["It is ", "red."],), family=FakeFamily())


class Real(FakeModels):
    """A fake model for what is loaded here; looks for engines as the program does."""

    def attach(self, options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None) -> Any:
        return Models.attach(self, options, how, note)


def test_what_is_loaded_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths count by where they lead, a capacity only where it is asked for, and no secret at all."""
    (tmp_path / "model").mkdir()
    (tmp_path / "t.jinja").write_text("x")
    monkeypatch.chdir(tmp_path)
    absolute = ModelOptions(str(tmp_path / "model"), chat_template=str(tmp_path / "t.jinja"))
    same = ModelOptions("model", chat_template="t.jinja", token_source="literal:secret", max_seqs=3, threads=2)
    assert digest(absolute) == digest(same)
    others = [
        ModelOptions("model"),
        ModelOptions("model", chat_template="t.jinja", dtype="f32"),
        ModelOptions("model", chat_template="t.jinja", revision="main"),
        ModelOptions("other", chat_template="t.jinja"),
        ModelOptions("model", chat_template="chat_templates/vicuna.json"),
    ]
    assert len({digest(options) for options in [*others, absolute]}) == 6
    before = digest(absolute)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert digest(absolute) != before
    monkeypatch.setenv("HF_HOME", "hub")
    here = digest(absolute)
    monkeypatch.chdir("/")
    assert digest(absolute) != here
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    assert digest(absolute) == here
    assert environment()["HF_HOME"] == str(tmp_path / "hub")
    loaded = {"max_seqs": 3}
    assert has_capacity(ModelOptions(), loaded)
    assert has_capacity(ModelOptions(max_seqs=3), loaded)
    assert not has_capacity(ModelOptions(max_seqs=4), loaded)
    assert not has_capacity(ModelOptions(threads=4), loaded)


def test_a_changed_file_is_another_model(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    template = tmp_path / "t.jinja"
    files = watched(ModelOptions(str(tmp_path), chat_template=str(template)), tmp_path)
    assert unchanged(json.loads(json.dumps(files)))
    template.write_text("x")
    assert not unchanged(files)
    files = watched(ModelOptions(str(tmp_path)), tmp_path)
    os.utime(config, ns=(1, 1))
    assert not unchanged(files)


def test_an_engine_is_found_asked_and_left_running(capsys: Captured) -> None:
    asked = models()
    with serving() as (service, _, record):
        service.backend = played(asked, "demo")
        here = Real("no", family=FakeFamily())
        for _ in range(2):
            assert main(["run", "-m", "demo", "-i", "What?"], here) == 0
        assert capsys.readouterr() == ("It is red.\n" * 2, "")
        assert main(["run", "-m", "demo", "--dtype", "f32", "-i", "What?"], here) == 0
        assert main(["run", "-m", "demo", "--no-attach", "-i", "What?"], here) == 0
        assert main(["run", "-m", "demo", "--dry-run", "-i", "What?"], here) == 0
        assert here.calls == ["open", "load", "close"] * 2 + ["open", "processor"]
        assert len(asked.asked) == 2
        ((found, said),) = engines()
        assert found == record
        assert said is not None
        assert (said["state"], said["requests"], said["running"], said["keep"]) == ("ready", 2, 0, None)
        assert said["memory"]["host"] > 2**20
    assert records() == []


def test_two_commands_at_once_share_the_engine() -> None:
    """Both are being answered at the same time: neither's first word waits for the other's last."""
    both = threading.Barrier(2, timeout=60)

    def play(messages: object) -> Iterator[str]:
        yield "one "
        both.wait()
        yield "two"

    with serving() as (service, _, record):
        service.backend = played(models(play), "demo")
        answers: list[str] = []

        def ask() -> None:
            answers.append(AttachedEngine(record, ModelOptions()).generate(QUESTION).text)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert answers == ["one two"] * 2


def test_closing_the_stream_cancels_there() -> None:
    going = threading.Event()

    def play(messages: object) -> Iterator[str]:
        yield "one "
        assert going.wait(60)
        yield "two "
        yield "three"

    with serving() as (service, _, record):
        service.backend = backend = played(models(play), "demo")
        with AttachedEngine(record, ModelOptions()).stream(QUESTION) as events:
            assert [next(events), next(events)][1] == TextDelta("one ")
        assert backend.answers[0].closed.wait(60)
        going.set()


def test_an_engine_that_has_ended_is_forgotten(capsys: Captured) -> None:
    with serving() as (_, _, record):
        pass
    record.write()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(record.socket))  # a socket that nobody listens on any more, as kill -9 leaves it
    here = Real("It is red.", family=FakeFamily())
    assert main(["run", "-m", "demo", "-i", "What?"], here) == 0
    note = f"note: the engine of demo (process {os.getpid()}) has ended unexpectedly\n"
    assert capsys.readouterr() == ("It is red. \n", note)
    assert not record.path.exists()
    assert not record.socket.exists()


@contextmanager
def stuck() -> Iterator[EngineRecord]:
    """An engine whose socket takes connections and says nothing."""
    folder = own_folder()
    record = EngineRecord("stuck", 0, "", digest(ModelOptions()), "demo", modalities=("image",))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "stuck.sock"))
        listener.listen(8)
        record.write()
        yield record


def test_a_stuck_engine_is_noticed_and_the_model_loaded_here(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.PATIENCE == 2.0
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    here = Real("It is red.", family=FakeFamily())
    with stuck() as record:
        assert main(["run", "-m", "demo", "-i", "What?"], here) == 0
        shown = capsys.readouterr()
        assert shown.out == "It is red. \n"
        assert shown.err == "note: the engine of demo (process 0) does not respond; loading the model here\n"
        assert main(["ps"]) == 0
        assert "stuck" in capsys.readouterr().out
        assert record.path.exists()


def request_of(connection: socket.socket) -> bytes:
    """A whole request."""
    data = b""
    while piece := connection.recv(1 << 16):
        data += piece
        head, end, body = data.partition(b"\r\n\r\n")
        length = next((line[16:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), b"0")
        if end and len(body) >= int(length):
            break
    return data


def test_an_engine_that_dies_amid_an_answer_is_said(capsys: Captured) -> None:
    """The other end is closed after the first word, as when the process is killed."""
    folder = own_folder()
    record = EngineRecord("dying", 7, "", digest(ModelOptions()), "demo", modalities=("image",))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "dying.sock"))
        listener.listen(8)
        record.write()

        def die() -> None:
            for _ in range(2):
                other, _ = listener.accept()
                with other:
                    if request_of(other):
                        other.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                        for event in (
                            '{"$": "Started", "v": {"prompt_tokens": 3}}',
                            '{"$": "TextDelta", "v": {"text": "It"}}',
                        ):
                            line = f'data: {{"event": {event}}}\n\n'
                            other.sendall(f"{len(line):x}\r\n{line}\r\n".encode())

        thread = threading.Thread(target=die)
        thread.start()
        here = Real("no", family=FakeFamily())
        assert main(["run", "-m", "demo", "-i", "What?"], here) == 5
        thread.join(60)
    out, err = capsys.readouterr()
    assert out == "It\n"
    assert err.splitlines()[0] == "error: The engine of demo (process 7) has ended, and the answer with it."
    assert here.calls == []


def test_another_users_engine_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On both sides: the command talks to nobody else's engine, and the engine answers nobody else."""
    with serving() as (service, _, record):
        service.backend = played(models(), "demo")
        with monkeypatch.context() as patch:
            patch.setattr("mistralrs_cli.attach.connection.peer_of", lambda connection: Peer(os.geteuid() + 1))
            assert attach(ModelOptions(), HOW) is None
            assert engines() == []
            with pytest.raises(EngineLost):
                AttachedEngine(record, ModelOptions()).stream(QUESTION)
        assert record.path.exists()
        with monkeypatch.context() as patch:
            patch.setattr("mistralrs_cli.server.http.connection.peer_of", lambda connection: Peer(os.geteuid() + 1))
            with pytest.raises(EngineLost):
                AttachedEngine(record, ModelOptions()).stream(QUESTION)


def test_a_folder_that_others_can_open_is_not_used(runtime: Path) -> None:
    with serving() as (service, _, _):
        service.backend = played(models(), "demo")
        assert attach(ModelOptions(), HOW) is not None
        runtime.chmod(0o755)
        assert attach(ModelOptions(), HOW) is None
        with pytest.raises(OptionError, match="only you can open"):
            own_folder()
        runtime.chmod(0o700)
        assert runtime.stat().st_mode & 0o777 == 0o700


def test_without_a_folder_the_answer_comes_all_the_same(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MISTRALRS_RUNTIME_DIR", str(tmp_path / "file" / "run"))
    here = Real("It is red.", family=FakeFamily())
    assert main(["run", "-m", "demo", "--keep", "5m", "-i", "What?"], here) == 0
    shown = capsys.readouterr()
    assert shown.out == "It is red. \n"
    assert shown.err.startswith("note: No engine can be kept: ")
    assert "MISTRALRS_RUNTIME_DIR" in shown.err


def test_the_public_interface_is_there_and_the_private_paths_are_nowhere_else() -> None:
    with serving() as (service, _, record):
        service.backend = played(models(), "demo")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(record.socket)), base_url="http://localhost") as client:
            assert client.get("/health").json() == {"status": "ok", "model": "demo"}
            assert (
                "There is no method"
                in client.post("/engine/call", content=b"".join(packed({"name": "close", "given": ()}))).text
            )


def test_an_engine_ends_once_it_was_idle_for_long_enough() -> None:
    with serving(keep=0.0) as (service, server, _):
        assert not service.expired  # it is loading
        service.backend = played(models(), "demo")
        while not server.should_exit:
            threading.Event().wait(0.01)


def test_a_chat_that_pauses_keeps_its_engine() -> None:
    with serving(keep=3600.0) as (service, _, record):
        service.backend = played(models(), "demo")
        engine = AttachedEngine(record, ModelOptions(), keep=7200.0)
        assert engine.info.name == "demo"
        assert service.keep == 7200.0
        engine.hold()
        while service.idle:
            threading.Event().wait(0.01)
        assert engine.count("two words") == 2
        assert engine.report(QUESTION).prompt_tokens == 7
        assert engine.sampling_params(Sampling(top_k=3)).top_k == 3
        engine.close()
        while not service.idle:
            threading.Event().wait(0.01)


def test_stop_ends_it(capsys: Captured) -> None:
    with serving() as (service, server, record):
        service.backend = played(models(), "demo")
        assert main(["stop", "other"]) == 2
        assert "There is no engine other: " in capsys.readouterr().err
        assert main(["stop", "demo"]) == 0
        assert server.should_exit
        assert "ended the engine of demo" in capsys.readouterr().err
        stop(record)  # again: it is gone, and that is all right
    assert main(["stop"]) == 0
    assert "no engine runs" in capsys.readouterr().err


def test_one_that_does_not_end_leaves_the_others_to_end(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(record: EngineRecord) -> None:
        ended.append(record.id)
        if record.id == "stuck":
            raise EngineDown("The engine of demo does not end.")

    ended: list[str] = []
    monkeypatch.setattr("mistralrs_cli.attach.stop", fail)
    with stuck(), serving() as (_, _, record):
        assert main(["stop", "--all"]) == 5
        assert sorted(ended) == sorted([record.id, "stuck"])
    assert "error: The engine of demo does not end." in capsys.readouterr().err


def test_what_ends_leaves_no_record() -> None:
    """The process may still be closing its model when its socket is gone."""
    with serving() as (service, _, record):
        service.backend = played(models(), "demo")
        stop(record)
        assert not record.path.exists()
        assert not record.socket.exists()


def test_an_engine_that_cannot_be_asked_just_now_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, path: Path) -> None:
        raise OSError(24, "Too many open files")

    with serving() as (_, _, record):
        with monkeypatch.context() as patch:
            patch.setattr(connection.Connection, "__init__", full)
            assert attach(ModelOptions(), HOW) is None
            assert engines() == []
            with pytest.raises(EngineDown, match="cannot be asked"):
                stop(record)
        assert record.path.exists()
        assert attach(ModelOptions(), HOW) is not None


def test_ctrl_c_says_nothing_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    with serving() as (service, _, record):
        service.backend = played(models(), "demo")
        engine = AttachedEngine(record, ModelOptions())
        with monkeypatch.context() as patch:
            patch.setattr("mistralrs_cli.attach.engine.AttachedStream.begin", interrupted)
            with pytest.raises(KeyboardInterrupt):
                engine.stream(QUESTION)
        assert not engine.lost
        assert engine.generate(QUESTION).text == "It is red."


def test_an_engine_that_is_about_to_end_is_as_good_as_gone(capsys: Captured) -> None:
    with serving() as (service, _, _):
        service.backend = played(models(), "demo")
        service.draining = True
        here = Real("It is red.", family=FakeFamily())
        assert main(["run", "-m", "demo", "-i", "What?"], here) == 0
        shown = capsys.readouterr()
        assert shown.out == "It is red. \n"
        assert f"(process {os.getpid()}) is ending; loading the model here" in shown.err


def test_a_request_that_the_engine_refuses_is_answered_here(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: object, count: int) -> None:
        raise Overloaded("The bodies of other requests take all the memory there is for bodies.")

    with serving() as (service, _, _):
        service.backend = played(models(), "demo")
        monkeypatch.setattr("mistralrs_cli.server.limits.memory.Reservation.take", refuse)
        here = Real("It is red.", family=FakeFamily())
        assert main(["run", "-m", "demo", "-i", "What?"], here) == 0
        assert "does not take it: The bodies of other requests take all" in capsys.readouterr().err


def test_what_goes_wrong_in_a_kept_engine_is_logged_with_its_place() -> None:
    from mistralrs_cli.cli.engine import with_traceback

    try:
        raise ValueError("odd")
    except ValueError:
        logged = with_traceback({"event": "error", "error": "ValueError: odd"})
    assert "test_attach.py" in str(logged["traceback"])
    assert with_traceback({"event": "request"}) == {"event": "request"}


def test_what_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    monkeypatch.setattr(find, "LEAVING", 0.1)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    monkeypatch.setattr(os, "kill", lambda process, number: killed.append((process, number)))
    with stuck() as record, pytest.raises(EngineDown, match="does not end"):
        stop(record)
    assert [number for _, number in killed] == [9]
    record.remove()


@pytest.mark.parametrize(
    ("typed", "said"), [("soon", "is not a time"), ("-1m", "is not a time"), ("5 parsecs", "time")]
)
def test_a_time_that_is_none(typed: str, said: str, capsys: Captured) -> None:
    assert main(["run", f"--keep={typed}", "-i", "x"], models()) == 2
    assert said in capsys.readouterr().err


def test_a_program_finds_the_engine_that_runs(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples)
    request = ChatCompletionRequest([{"role": "user", "content": [{"type": "image_url", "image_url": "shapes.png"}]}])
    with pytest.raises(RuntimeError, match="No engine runs"):
        Runner.connect()
    asked = models()
    with serving() as (service, _, _):
        service.backend = played(asked)
        with Runner.connect() as remote:
            assert remote.send_chat_completion_request(request).choices[0].message.content == "It is red."
        (medium,) = asked.messages[0].media
        assert medium.source.startswith("data:")
        (tmp_path / "doc.pdf").write_bytes(document(3))
        monkeypatch.chdir(tmp_path)
        address = {"type": "image_url", "image_url": "doc.pdf#page=2-"}
        with Runner.connect() as remote:
            remote.send_chat_completion_request(ChatCompletionRequest([{"role": "user", "content": [address]}]))
        assert [medium.options.pages for medium in asked.messages[0].media] == ["2", "3"]
