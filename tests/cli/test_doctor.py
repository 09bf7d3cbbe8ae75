"""``doctor`` looks at the real installation and lets the demo model answer."""

import json

import pytest

from mistralrs_cli.cli import checkup
from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.checkup import Finding

pytestmark = pytest.mark.slow

Captured = pytest.CaptureFixture[str]


def test_this_installation_is_well(capsys: Captured) -> None:
    """Everything is tried, with the hub switched off."""
    assert main(["doctor", "--json"]) == 0
    findings = {found["subject"]: found for found in json.loads(capsys.readouterr().out)["findings"]}
    assert {name for name, found in findings.items() if found["state"] == "fail"} == set()
    assert "red square" in findings["answer"]["text"]
    assert {"JPEG", "PNG", "WEBP"} <= set(findings["images"]["text"].split(", "))
    assert "not checked" in findings["hub"]["text"]
    assert findings["engines"]["state"] == "ok"


def test_every_problem_comes_with_its_fix(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("torch", "ok", "2.13"), Finding("video", "fail", "no ffmpeg", "pip install imageio-ffmpeg")]
    monkeypatch.setattr(checkup, "checkup", lambda options, models, check: iter(found))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "ok    torch         2.13",
        "FAIL  video         no ffmpeg",
        "                    → pip install imageio-ffmpeg",
    ]
    assert "Problems found: video." in shown.err


def test_a_warning_alone_is_no_failure(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checkup, "checkup", lambda options, models, check: iter([Finding("hub", "warn", "no network", "connect")])
    )
    assert main(["doctor"]) == 0


def test_an_unreachable_hub_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from mistralrs_cli.options import ModelOptions

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    finding = checkup.hub(ModelOptions(token_source="none"))
    assert finding.state == "warn"
    assert "cannot be reached" in finding.text
