"""Media that are sent once and named in requests: whose they are, how long they stay, and how many there may be."""

import base64
import shutil
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import MediaNotFound, MediaTooLarge
from mistralrs_cli.server import uploads as kept
from mistralrs_cli.server.uploads import EXPIRY, Uploads

from .conftest import Start

KEY = "of-the-page"
BYTES = {"Content-Type": "application/octet-stream"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_same_bytes_are_kept_once_and_are_their_owners() -> None:
    uploads = Uploads()
    address = uploads.keep(b"abc", "alice")
    assert uploads.keep(b"abc", "alice") == address
    assert uploads.read(address, "alice") == b"abc"
    assert uploads.keep(b"abc", "bob") != address
    with pytest.raises(MediaNotFound):
        uploads.read(address, "bob")
    with pytest.raises(MediaNotFound):
        uploads.read("upload:../../etc/passwd", "alice")
    uploads.close()
    with pytest.raises(MediaNotFound):
        uploads.read(address, "alice")


def test_what_was_used_longest_ago_makes_room() -> None:
    uploads = Uploads(total=12, own=8)
    first, second = uploads.keep(b"1111", "a"), uploads.keep(b"2222", "a")
    uploads.read(first, "a")
    third = uploads.keep(b"3333", "a")  # of one owner
    with pytest.raises(MediaNotFound):
        uploads.read(second, "a")
    other = uploads.keep(b"4444", "b")
    uploads.keep(b"5555", "c")  # of all
    with pytest.raises(MediaNotFound):
        uploads.read(first, "a")
    assert (uploads.read(third, "a"), uploads.read(other, "b")) == (b"3333", b"4444")
    with pytest.raises(MediaTooLarge):
        uploads.keep(b"123456789", "a")
    uploads.close()


def test_uploads_expire_some_time_after_their_last_use() -> None:
    clock = Clock()
    uploads = Uploads(now=clock)
    address = uploads.keep(b"abc", "a")
    clock.now = EXPIRY - 1
    assert uploads.read(address, "a") == b"abc"
    clock.now += EXPIRY
    assert uploads.read(address, "a") == b"abc"
    clock.now += EXPIRY + 1
    with pytest.raises(MediaNotFound):
        uploads.read(address, "a")
    uploads.close()


def test_one_owner_has_so_many_uploads_however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    uploads = Uploads()
    first, *others = (uploads.keep(data, "a") for data in (b"1", b"2", b"3"))
    with pytest.raises(MediaNotFound):
        uploads.read(first, "a")
    assert [uploads.read(address, "a") for address in others] == [b"2", b"3"]
    uploads.close()


def test_folders_of_killed_servers_go_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = Uploads()
    address = running.keep(b"abc", "a")
    (killed, elsewhere) = (tmp_path / "mistralrs-uploads-killed", tmp_path / "elsewhere")
    for folder in (killed, elsewhere):
        folder.mkdir()
        (folder / ".lock").touch()
    (killed / "0123").write_bytes(b"private")
    (tmp_path / "mistralrs-uploads-link").symlink_to(elsewhere)
    (tmp_path / "mistralrs-uploads-new").mkdir()  # not locked yet
    Uploads().close()
    assert not killed.exists()
    assert elsewhere.exists()
    assert (tmp_path / "mistralrs-uploads-new").exists()
    assert running.read(address, "a") == b"abc"
    running.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "elsewhere",
        "mistralrs-uploads-link",
        "mistralrs-uploads-new",
    ]


def test_uploads_outlive_a_cleaning_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    uploads = Uploads()
    address = uploads.keep(b"abc", "a")
    for folder in tmp_path.iterdir():
        shutil.rmtree(folder)
    with pytest.raises(MediaNotFound):
        uploads.read(address, "a")
    assert uploads.read(uploads.keep(b"abc", "a"), "a") == b"abc"
    uploads.close()
    assert not list(tmp_path.iterdir())


def about(url: str) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}], "max_tokens": 1}


def test_a_request_names_what_was_uploaded_with_its_key(start: Start, samples: Path, tmp_path: Path) -> None:
    data = (samples / "red_circle.png").read_bytes()
    running = start(api_keys=("alice", "bob"))
    alice, bob = ({"Authorization": f"Bearer {key}"} for key in ("alice", "bob"))
    with httpx.Client(base_url=running.url, timeout=60) as client:
        assert client.post("/ui/media", content=data, headers=BYTES).status_code == 401
        # what a page elsewhere may send without asking
        assert client.post("/ui/media", content=data, headers=alice | {"Content-Type": "text/plain"}).status_code == 415
        url = client.post("/ui/media", content=data, headers=alice | BYTES).json()["url"]
        inline = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        named, whole = (
            client.post("/v1/chat/completions", json=about(one), headers=alice).json() for one in (url, inline)
        )
        assert named["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]
        assert named["choices"][0]["message"] == whole["choices"][0]["message"]
        assert client.post("/ui/report", json={"messages": about(url)["messages"]}, headers=alice).status_code == 200
        refused = client.post("/v1/chat/completions", json=about(url), headers=bob)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "media_not_found")
        assert "messages[0].content[0]" in refused.json()["error"]["message"]


def test_media_of_stored_chats_are_named_by_their_hash_with_the_key_of_the_page(
    start: Start, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(tmp_path))
    store = Store(tmp_path)
    digest = store.keep((samples / "red_circle.png").read_bytes())
    from mistralrs_cli.conversation import Conversation, Turn
    from mistralrs_cli.messages import MediaRef, Message

    store.save(Conversation(turns=[Turn(Message("user", (MediaRef("image", "a.png", digest=digest),)), "A circle.")]))
    with httpx.Client(base_url=start(page_key=KEY).url, timeout=60) as client:
        for headers, status in (({}, 404), ({"Authorization": f"Bearer {KEY}"}, 200)):
            body = {"messages": about(f"upload:{digest}")["messages"]}
            assert client.post("/ui/report", json=body, headers=headers).status_code == status
        gone = client.post("/ui/report", json={"messages": about(f"upload:{'0' * 64}")["messages"]}, headers=headers)
        assert gone.json()["error"]["code"] == "media_not_found"
