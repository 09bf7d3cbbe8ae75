"""The page at ``/ui``: its files, who may use the chats of the server's user, and what the model gets of media."""

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs_cli.conversation import Conversation
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.server.page.files import BUILT, names

from .conftest import Running, Start

WEB = Path(__file__).resolve().parents[2] / "web"
SOURCES = ("index.html", "package-lock.json", "vite.config.ts", "src")
KEY = "of-the-page"
LARGEST = 1_500_000  # bytes of the whole page


CHROMIUM = shutil.which("chromium")
HEADLESS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Where the server finds the chats of its user."""
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(tmp_path))
    return Store(tmp_path)


@pytest.fixture
def page(store: Store, start: Start) -> Iterator[httpx.Client]:
    """A browser's requests to a server on this machine."""
    headers = {"Sec-Fetch-Site": "same-origin", "Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=start(page_key=KEY).url, headers=headers) as client:
        yield client


def chat(**fields: Any) -> dict[str, Any]:
    turn = {
        "question": [{"text": "What is it?"}],
        "answer": "A circle.",
        "typed": "What is it?",
        "staged": 0,
        "cut": False,
        "reasoning": "",
        "model": "demo",
        "usage": {"prompt_tokens": 7},
        "timing": {"total": 0.5},
    }
    made = {"mistralrs_chat": 1, "id": "20260101-000000-abcd", "created": "2026-01-01T00:00:00+00:00", "title": ""}
    return made | {"model": {}, "system": None, "turns": [turn]} | fields


def put(client: httpx.Client, found: dict[str, Any], version: str | None = None, **headers: str) -> httpx.Response:
    return client.put(f"/ui/chats/{found['id']}", json={"chat": found, "version": version}, headers=headers)


def test_the_page_is_at_both_addresses_and_loads_nothing_from_elsewhere(server: Running) -> None:
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        for path in ("/", "/ui"):
            found = client.get(path)
            assert (found.status_code, found.url.path) == (200, "/ui/")
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "://" not in policy
    assert "<script>" not in found.text
    assert "style=" not in found.text
    assert "://" not in found.text
    assert found.headers["cache-control"] == "no-cache"
    assert found.headers["x-frame-options"] == "DENY"


def test_files_with_a_hash_in_their_names_are_kept_for_good_and_others_asked_for_again(server: Running) -> None:
    with httpx.Client(base_url=server.url) as client:
        script = next(name for name in names() if name.endswith(".js"))
        found = client.get(f"/ui/{script}")
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["content-type"] == "text/javascript; charset=utf-8"
        again = client.get("/ui/", headers={"If-None-Match": client.get("/ui/").headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get("/ui/assets/..%2Findex.html").status_code == 404
        assert client.get("/ui/assets/%2e%2e%2f%2e%2e%2ffiles.py").status_code == 404


def test_the_page_works_below_a_prefix(start: Start) -> None:
    with httpx.Client(base_url=start(root_path="/llm").url, follow_redirects=True) as client:
        found = client.get("/llm/")
        assert (found.status_code, found.url.path) == (200, "/llm/ui/")
        assert client.get("/llm/ui/about").status_code == 200


def test_without_a_page_there_is_none(start: Start) -> None:
    with httpx.Client(base_url=start(page=False).url) as client:
        assert "--no-ui" in client.get("/ui").json()["message"]
        assert {client.get(path).status_code for path in ("/", "/ui", "/ui/", "/ui/about", "/ui/chats")} == {404}


def test_the_built_page_is_small_and_made_from_these_sources() -> None:
    """``make check-ui`` builds it again, and compares every byte."""
    assert sum(path.stat().st_size for path in BUILT.rglob("*") if path.is_file()) < LARGEST
    digest = hashlib.sha256()
    for name in SOURCES:
        found = [WEB / name] if "." in name else sorted(path for path in (WEB / name).rglob("*") if path.is_file())
        for path in sorted(found, key=lambda path: path.relative_to(WEB).as_posix()):
            digest.update(f"{path.relative_to(WEB).as_posix()}\n".encode() + path.read_bytes())
    assert (BUILT / "sources.sha256").read_text().strip() == digest.hexdigest(), "run make ui"


def test_the_lock_file_names_no_other_registry() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    places = [package.get("resolved", "") for package in lock["packages"].values()]
    assert all(place == "" or place.startswith("https://registry.npmjs.org/") for place in places)


def test_a_key_is_needed_for_everything_but_the_page_itself(store: Store, start: Start) -> None:
    with httpx.Client(base_url=start(api_keys=("secret",), page_key=KEY).url) as client:
        assert client.get("/ui/").status_code == 200
        assert client.get(f"/ui/{next(name for name in names() if name.endswith('.js'))}").status_code == 200
        for path in ("/ui/about", "/ui/chats", f"/ui/media/{'0' * 64}", "/ui/report"):
            assert client.get(path).status_code == 401
        # a key of the server may be that of many; the chats are its user's
        assert client.get("/ui/chats", headers={"Authorization": "Bearer secret"}).status_code == 403
        assert client.get("/ui/chats", headers={"Authorization": f"Bearer {KEY}"}).json() == {"chats": []}
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("sent", [None, "Bearer", "Bearer other", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer \xe4"])
def test_other_users_of_the_machine_have_no_chats(store: Store, start: Start, sent: str | None) -> None:
    kept = Conversation()
    store.save(kept)
    headers = [] if sent is None else [(b"Authorization", sent.encode("latin-1"))]
    for running in (start(page_key=KEY), start()):
        with httpx.Client(base_url=running.url, headers=headers) as client:
            about = client.get("/ui/about").json()
            assert (about["own"], about["locked"]) == (False, bool(running.service.options.page_key))
            for path in ("/ui/chats", f"/ui/chats/{kept.id}", f"/ui/media/{'0' * 64}"):
                assert client.get(path).status_code == 403
            assert put(client, chat()).status_code == 403
            assert client.delete(f"/ui/chats/{kept.id}").status_code == 403
            assert client.get("/v1/models").status_code == 200  # a server without keys asks for none
    assert len(store.summaries()) == 1


def test_the_unix_socket_is_for_its_user_alone(store: Store, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        started = start(uds=str(path), ready=False)
        assert started.service.options.page_key == ""
        assert path.stat().st_mode & 0o077 == 0
        assert client.get("/ui/chats").json() == {"chats": []}


def test_a_chat_of_the_page_is_one_of_the_terminal_and_back(page: httpx.Client, store: Store) -> None:
    data = b"\x89PNG not really"
    digest = hashlib.sha256(data).hexdigest()
    made = chat()
    made["turns"][0]["question"].insert(0, {"kind": "image", "source": "a.png", "sha256": digest, "options": {}})
    assert put(page, made | {"id": "other"}).json()["missing"] == [digest]
    page.delete("/ui/chats/other")
    page.post("/ui/media", content=data, headers={"Content-Type": "application/octet-stream"})
    saved = put(page, made).json()
    assert (saved["title"], saved["missing"]) == ("a.png What is it?", [])
    kept = store.latest()
    assert [(turn.question.text, turn.answer) for turn in kept.turns] == [("What is it?", "A circle.")]
    assert store.read(kept.media[0]) == data
    assert page.get(f"/ui/media/{digest}").content == data

    kept.turns.append(kept.turns[0])
    store.save(kept)
    found = page.get(f"/ui/chats/{kept.id}").json()
    assert len(found["chat"]["turns"]) == 2
    assert page.get("/ui/chats").json()["chats"][0]["turns"] == 2
    # what the page had is older: the terminal's is not lost
    beside = put(page, made, saved["version"]).json()
    assert beside["id"] != made["id"]
    assert len(store.load(made["id"]).turns) == 2
    assert put(page, found["chat"], found["version"]).json()["id"] == made["id"]
    assert page.delete(f"/ui/chats/{made['id']}").status_code == 204
    assert page.get(f"/ui/chats/{made['id']}").status_code == 404
    assert [one.id for one in store.summaries()] == [beside["id"]]


def test_boxes_and_tools_are_kept_by_the_terminal(page: httpx.Client, store: Store) -> None:
    more = {
        "tools": [{"text": "Let me see.", "calls": [{"id": "a", "name": "look", "arguments": "{}"}], "results": ["x"]}],
        "boxes": [{"label": "circle", "box": [1, 2, 3, 4], "media": 0, "source": "a.png"}],
        "points": [{"label": "middle", "point": [2, 3], "media": 0, "source": "a.png"}],
    }
    made = chat()
    made["turns"][0] |= more
    put(page, made)
    kept = store.latest()
    assert [message.role for message in kept.messages()] == ["user", "assistant", "tool", "assistant"]
    kept.instruct("Be brief.")
    store.save(kept)
    found = page.get(f"/ui/chats/{kept.id}").json()["chat"]["turns"][0]
    assert {name: found[name] for name in more} == more


def test_a_branch_is_kept_by_the_terminal(page: httpx.Client, store: Store) -> None:
    put(page, chat(branch={"of": "20250101-000000-abcd", "at": 2}))
    kept = store.latest()
    kept.instruct("Be brief.")
    store.save(kept)
    assert page.get(f"/ui/chats/{kept.id}").json()["chat"]["branch"] == {"of": "20250101-000000-abcd", "at": 2}
    assert page.get("/ui/chats").json()["chats"][0]["branch"] == {"of": "20250101-000000-abcd", "at": 2}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:1234"},  # a name that was made to mean this machine
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9"},
        {"X-Forwarded-For": "10.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_no_other_site_and_no_proxy_reaches_the_chats(
    page: httpx.Client, store: Store, headers: dict[str, str]
) -> None:
    kept = Conversation()
    store.save(kept)
    about = page.get("/ui/about", headers=headers)
    assert about.status_code == 403 or (about.json()["own"], about.json()["locked"]) == (False, False)
    for path in ("/ui/chats", f"/ui/chats/{kept.id}", f"/ui/media/{'0' * 64}"):
        assert page.get(path, headers=headers).status_code == 403
    assert put(page, chat(), **headers).status_code == 403
    assert page.delete(f"/ui/chats/{kept.id}", headers=headers).status_code == 403
    assert len(store.summaries()) == 1


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example:1234"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_rebound_name_does_not_reach_the_model(start: Start, headers: dict[str, str]) -> None:
    body = {"messages": "hi", "max_tokens": 1}
    evil = {"Host": "evil.example:1234"} | headers
    with httpx.Client(base_url=start().url) as client:
        for path in ("/ui/", "/v1/models"):
            assert client.get(path, headers=evil).status_code == 403
        assert client.post("/v1/chat/completions", json=body, headers=evil).status_code == 403
        for path in ("/ui/report", "/tokenize"):
            assert client.post(path, json=body, headers=evil).status_code == 403
        # a program that merely calls this machine by another name is no browser
        assert client.post("/tokenize", json=body, headers={"Host": "box.example"}).status_code == 200
    allowed = start(cors_origins=("http://evil.example:1234",))
    assert (
        httpx.get(f"{allowed.url}/v1/models", headers=evil | {"Origin": "http://evil.example:1234"}).status_code == 200
    )


def test_a_shared_server_gives_no_chats(store: Store, start: Start) -> None:
    with httpx.Client(base_url=start(host="0.0.0.0", insecure=True, page_key=KEY).url) as client:
        assert client.get("/ui/about").json()["own"] is False
        assert client.get("/ui/chats").status_code == 403


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"chat": {}, "version": null}'),  # what a page elsewhere may send without asking
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/json", b'{"chat": {}, "version": null}'),
        ("application/json", json.dumps({"chat": chat(id="../../x"), "version": None}).encode()),
        ("application/json", json.dumps({"chat": chat(id="other"), "version": None}).encode()),
    ],
)
def test_what_is_no_chat_is_not_stored(page: httpx.Client, store: Store, kind: str, body: bytes) -> None:
    answer = page.put("/ui/chats/20260101-000000-abcd", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 415)
    assert store.summaries() == []


@pytest.mark.parametrize("digest", ["x", "0" * 63, "..%2F..%2Fetc%2Fpasswd", "0" * 64])
def test_only_stored_media_are_given(page: httpx.Client, digest: str) -> None:
    assert page.get(f"/ui/media/{digest}").status_code == 404


def media_part(kind: str, path: Path, **options: Any) -> dict[str, Any]:
    url = f"data:application/octet-stream;base64,{base64.b64encode(path.read_bytes()).decode()}"
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url, **options}}


def test_what_the_model_gets_is_known_before_it_is_asked(page: httpx.Client, samples: Path) -> None:
    parts = [
        media_part("image", samples / "red_circle.png"),
        {"type": "text", "text": "and"},
        media_part("video", samples / "clip.mp4", end=1, num_frames=4),
        media_part("audio", samples / "beeps.wav"),
    ]
    found = page.post("/ui/report", json={"messages": [{"role": "user", "content": parts}]}, timeout=60).json()
    image, video, audio = found["media"]
    assert (image["width"], image["height"], image["format"]) == (480, 360, "PNG")
    assert image["place"] == "messages[0].content[0]"
    assert len(video["frames"]) == video["given_frames"] == 4
    assert [frame["time"] for frame in video["frames"]] == sorted(frame["time"] for frame in video["frames"])
    assert base64.b64decode(video["frames"][0]["image"].partition(",")[2]).startswith(b"\xff\xd8")
    assert audio["seconds"] == pytest.approx(1.5, abs=0.1)
    assert found["prompt_tokens"] > sum(one["tokens"] for one in found["media"]) > 0
    assert all(one["tokens"] > 0 and one["summary"] for one in found["media"])


def test_a_document_is_its_pages(page: httpx.Client, samples: Path, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.pdf"
    first, *others = (
        Image.open(samples / name).convert("RGB") for name in ("red_circle.png", "shapes.png", "sign.png")
    )
    first.save(path, save_all=True, append_images=others)
    messages = [{"role": "user", "content": [media_part("image", path, pages="1,3")]}]
    found = page.post("/ui/report", json={"messages": messages}, timeout=60).json()
    assert [(one["page"], one["place"]) for one in found["media"]] == [
        (1, "messages[0].content[0]"),
        (3, "messages[0].content[0]"),
    ]


def test_the_page_never_has_the_server_read_its_files(page: httpx.Client, samples: Path) -> None:
    for url in (str(samples / "red_circle.png"), f"file://{samples}/red_circle.png"):
        part = {"type": "image_url", "image_url": {"url": url}}
        answer = page.post("/ui/report", json={"messages": [{"role": "user", "content": [part]}]})
        assert answer.status_code == 403
        page.headers.pop("Sec-Fetch-Site", None)  # from any program


@pytest.mark.skipif(CHROMIUM is None, reason="the page was not opened: Chromium is not installed (make test-ui)")
def test_the_page_comes_up_in_a_browser(server: Running, tmp_path: Path) -> None:
    words = [str(CHROMIUM), *HEADLESS, f"--user-data-dir={tmp_path}", "--virtual-time-budget=30000", "--dump-dom"]
    shown = subprocess.run([*words, f"{server.url}/"], capture_output=True, text=True, timeout=200).stdout
    assert 'aria-label="Your question"' in shown
    assert ">demo</span>" in shown
    assert "Ask about pictures, sound and video" in shown
