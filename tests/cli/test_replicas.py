"""``mistralrs serve --replicas``: its words, and the files it writes. ``make test-ray`` runs it."""

from typing import Any

import pytest
import yaml

from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import parse
from mistralrs_cli.cli.replicas import ReplicaServing
from mistralrs_cli.options import ModelOptions, ServerOptions
from mistralrs_cli.server.replicas.settings import ReplicaOptions, of_replica, read, read_models
from tests.fake_model import FakeFamily, FakeModels


def parsed(*words: str) -> ReplicaServing:
    job = parse(["serve", *words])
    assert isinstance(job, ReplicaServing)
    return job


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["serve", *words], FakeModels(family=FakeFamily())) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_a_number_of_replicas() -> None:
    job = parsed("--replicas", "3", "-m", "M", "--threads", "2", "--gpus-per-replica", "0.5", "--max-queue", "7")
    assert job.how == ReplicaOptions(3, 3, 3, gpus=0.5, cpus=2.0)
    assert (job.model.model_id, job.server.queue) == ("M", 7)


def test_as_many_as_needed() -> None:
    how = parsed("--replicas", "auto", "--min-replicas", "2", "--max-replicas", "5", "--ray-address", "auto").how
    assert how == ReplicaOptions(None, 2, 5, address="auto")


@pytest.mark.parametrize(
    "words",
    [
        ("--replicas", "0"),
        ("--replicas", "many"),
        ("--replicas", "2", "--min-replicas", "1"),
        ("--replicas", "auto", "--min-replicas", "3", "--max-replicas", "2"),
        ("--min-replicas", "1"),
        ("--gpus-per-replica", "1"),
        ("--ray-address", "auto"),
        ("--print-ray-config", "--api-key", "secret"),
        ("--print-ray-config", "--uds", "x.sock"),
        ("--print-ray-config", "--token-source", "literal:secret"),
        ("--print-ray-service",),  # it would be open to others
    ],
)
def test_words_that_make_no_sense(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *words], FakeModels(family=FakeFamily())) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 2
    assert "secret" not in err


def test_without_the_extra_one_line_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistralrs_cli.server.replicas.cluster.find_spec", lambda name: None)
    models = FakeModels(family=FakeFamily())
    assert main(["serve", "--replicas", "2"], models) == 2
    assert 'pip install "mistralrs[ray]"' in capsys.readouterr().err
    assert "open" not in models.calls


def test_a_file_for_serve_deploy(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    words = ("-m", "owner/name", "--replicas", "auto", "--max-replicas", "3", "--quant", "4", "--cpu", "--strict")
    found = printed(capsys, *words, "--print-ray-config", "-p", "9000", "--api-key-file", str(keys))
    assert found["http_options"] == {"host": "127.0.0.1", "port": 9000}
    (application,) = found["applications"]
    args = application["args"]
    assert args["replicas"] == {"count": None, "least": 1, "most": 3, "gpus": 0.0, "cpus": 1.0}
    assert args["api_key_file"] == str(keys)
    (spec,) = read_models(args).specs
    assert spec.options == ModelOptions("owner/name", quant="4", cpu=True)
    assert read(ServerOptions, args["server"]) == ServerOptions(strict=True)
    assert "secret" not in str(found)


def test_several_models_with_names_and_times_are_written_and_read_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "secret"\n')
    keys.chmod(0o600)
    words = ["-m", "owner/a", "-m", "owner/b@quant=4,alias=small,keep=10m", "--max-models-loaded", "1", "--cpu"]
    words += ["--api-keys", "keys.toml", "--batch-folder", "jobs"]
    job = parsed("--replicas", "2", *words)
    found = printed(capsys, "--replicas", "2", *words, "--print-ray-config")
    args = found["applications"][0]["args"]
    assert read_models(args) == job.served
    assert args["server"]["keys_file"] == str(keys)
    assert args["server"]["batch_folder"] == str(tmp_path / "jobs")
    assert "secret" not in str(found)
    of_one = of_replica(job.server)
    assert (of_one.needs_key, of_one.keys_file, of_one.batch_folder) == (True, None, None)


def test_a_service_for_kubernetes(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--replicas", "2", "--insecure", "--print-ray-service")
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayService")
    config = yaml.safe_load(found["spec"]["serveConfigV2"])
    assert config["http_options"]["host"] == "0.0.0.0"
    assert config["applications"][0]["args"]["replicas"]["count"] == 2
    (group,) = found["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert group["replicas"] == 2
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
