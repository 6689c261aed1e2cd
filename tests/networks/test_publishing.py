"""The card, the folder and the upload of a network; the Hub itself is a stand-in."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, errors

import pixelwise
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.publishing import hub
from pixelwise.networks.publishing.folder import write_folder
from pixelwise.networks.publishing.measured import data_name, measured
from pixelwise.networks.segmenter import Segmenter, load

NAMES = ("ground", "wat|er*", "道路")


@pytest.fixture(scope="module")
def network():
    return create_model("fcn", "test_resnet", num_classes=3, names=NAMES, attention="psa_s").eval()


@pytest.fixture
def run(tmp_path, network):
    """A run's folder, as training and evaluation leave it."""
    folder = tmp_path / "secret_home" / "runs" / "train" / "3"
    network.save_pretrained(folder)
    here = str(tmp_path / "secret_home" / "camvid" / "data.yaml")
    settings = {"data": here, "model": "fcn", "lr": 0.003, "crop": "64x96", "name": None}
    settings |= {"start": str(tmp_path / "secret_home" / "runs"), "model_options": {"width": 8}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    scores = {
        "data": here,
        "split": "test",
        "miou": 0.5,
        "miou_interval": [0.4, 0.6],
        "iou": dict(zip(NAMES, (0.9, 0.1, None), strict=True)),
        "iou_interval": dict(zip(NAMES, ([0.85, 0.95], [0.05, 0.2], None), strict=True)),
        "truth_pixels": dict.fromkeys(NAMES, 1000),
        "best_step": 3,
        "nothing": float("nan"),
    }
    (folder / "evaluate" / "test").mkdir(parents=True)
    (folder / "evaluate" / "test" / "metrics.json").write_text(json.dumps(scores))
    for number in range(5):
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "samples" / f"{number:04d}_a person's name.png").write_bytes(b"png")
    return folder


def written(network, run, tmp_path, **changes):
    folder = tmp_path / "made"
    given = {"name": "somebody/my-net", "run": run, "licence": "apache-2.0"} | changes
    write_folder(network, network.described(), folder, **given)
    return folder, (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_tells_what_is_known(network, run, tmp_path):
    folder, text = written(network, run, tmp_path)
    data = ModelCard(text).data
    assert data.license == "apache-2.0"
    assert data.library_name == "pixelwise"
    assert data.pipeline_tag == "image-segmentation"
    assert {"pixelwise", "fcn", "psa_s"} <= {*data.tags}
    (result,) = data.eval_results
    assert (result.dataset_name, result.dataset_split) == ("camvid", "test")
    assert (result.metric_type, result.metric_value) == ("mean_iou", 0.5)
    assert "| ground | 90.00 | 85.00 to 95.00 | 1,000 |" in text
    assert "| wat\\|er\\* | 10.00 | 5.00 to 20.00 | 1,000 |" in text
    assert "| 道路 | - |  | 1,000 |" in text
    assert "miou: 50.00 % (40.00 to 60.00)" in text
    assert "Trained on camvid." in text
    assert "M parameters" in text
    assert "GMACs" in text
    assert "64x96" in text
    assert "lr: 0.003" in text
    assert "width: 8" in text
    assert sorted(p.name for p in folder.glob("sample_*")) == [f"sample_{n}.png" for n in (1, 2, 3)]


def test_nothing_of_the_machine_is_told(network, run, tmp_path):
    folder, _ = written(network, run, tmp_path)
    for file in folder.iterdir():
        content = file.read_bytes()
        assert str(tmp_path).encode() not in content, file
        assert b"secret_home/camvid" not in content, file
        assert "person" not in file.name


def test_what_the_card_shows_runs(network, run, tmp_path):
    folder, text = written(network, run, tmp_path)
    code = text.partition("```python\n")[2].partition("```")[0]
    namespace = {}
    exec(code.replace("somebody/my-net", str(folder)), namespace)
    assert namespace["answer"].shape == (1, 256, 256)


def test_what_was_published_loads_the_same(network, run, tmp_path):
    folder, _ = written(network, run, tmp_path)
    image = torch.rand(1, 3, 40, 52)
    assert torch.equal(pixelwise.load(folder)(image), network(image))


def test_a_network_without_a_run_and_a_licence(network, tmp_path):
    folder, text = written(network, None, tmp_path, licence=None)
    assert {p.name for p in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert ModelCard(text).data.license is None
    assert "Not stated" in text
    assert "was not evaluated" in text


@pytest.mark.parametrize(
    ("task", "names", "tag"),
    [
        ("keypoints", ("nose", "tail"), "keypoint-detection"),
        ("regression", ("depth",), "depth-estimation"),
        ("regression", ("height",), "image-to-image"),
        ("multilabel", ("road", "shadow"), "image-segmentation"),
        ("binary", ("no", "crack"), "image-segmentation"),
    ],
)
def test_every_task(task, names, tag, tmp_path):
    count = 1 if task == "binary" else len(names)
    model = create_model("fcn", "test_resnet", num_classes=count, names=names, task=task)
    _, text = written(model, None, tmp_path)
    assert ModelCard(text).data.pipeline_tag == tag


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"iou": {"ground": "x"}, "miou": "a"}'])
def test_damaged_files_of_a_run_are_passed_over(network, run, tmp_path, content):
    (run / "evaluate" / "test" / "metrics.json").write_text(content)
    (run / "config.yaml").write_text("a: *b")
    _, text = written(network, run, tmp_path)
    assert "was not evaluated" in text
    assert measured(run).recipe == {}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("/home/me/camvid/data.yaml", "camvid"),
        ("C:\\data\\camvid\\data.yaml", "camvid"),
        ("camvid", "camvid"),
        ("../camvid/", "camvid"),
        ("data.yaml", "data"),
        ("scenes:size=64", "scenes:size=64"),
        ("", ""),
    ],
)
def test_names_of_data(data, name):
    assert data_name(data) == name


def test_the_command_writes_and_says_where(run, capsys):
    words = ["push", str(run), "somebody/my-net", "--dry-run"]
    for _ in range(2):  # its own files are replaced
        assert main([*words, "--license", "mit"]) == 0
    told = capsys.readouterr().out
    assert f"nothing was uploaded; this would be: {run / 'hub'}" in told
    assert main([*words, "--no-samples", "--quiet"]) == 0
    assert not list((run / "hub").glob("sample_*"))
    (run / "hub" / "README.md").write_text("mine now")
    assert main(words) == 2
    assert "not as `pixelwise push` wrote it" in capsys.readouterr().err
    assert (run / "hub" / "README.md").read_text() == "mine now"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["my-net"], "name='my-net': must be OWNER/NAME"),
        (["a/b/c"], "must be OWNER/NAME"),
        (["somebody/my net"], "must be OWNER/NAME"),
        (["some/net", "--license", "apache2"], "did you mean 'apache-2.0'?"),
    ],
)
def test_wrong_words(run, capsys, words, message):
    assert main(["push", str(run), *words, "--dry-run"]) == 2
    assert message in capsys.readouterr().err
    assert not (run / "hub").exists()


class Api:
    """Stands in for HfApi."""

    calls = []  # noqa: RUF012
    error = None

    def create_repo(self, name, *, private, exist_ok, repo_type):
        self.calls.append(("create", name, private, exist_ok))
        if self.error:
            raise self.error
        return f"https://hub.test/{name}"

    def upload_folder(self, *, repo_id, folder_path, commit_message, ignore_patterns):
        names = sorted(p.name for p in Path(folder_path).iterdir())
        self.calls.append(("upload", repo_id, names))


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "token")
    monkeypatch.setattr(Api, "calls", [])
    monkeypatch.setattr(Api, "error", None)
    return Api


def test_push_to_hub(network, run, api):
    address = network.push_to_hub("somebody/my-net", run=run, private=True)
    assert address == "https://hub.test/somebody/my-net"
    created, uploaded = api.calls
    assert created == ("create", "somebody/my-net", True, True)
    assert {"README.md", "config.json", "model.safetensors", "metrics.json"} <= {*uploaded[2]}


def test_the_command_uploads(run, api, capsys):
    assert main(["push", str(run), "somebody/my-net", "--quiet"]) == 0
    assert "published: https://hub.test/somebody/my-net" in capsys.readouterr().out
    assert [call[0] for call in api.calls] == ["create", "upload"]


def answered(code, kind=errors.HfHubHTTPError):
    response = SimpleNamespace(status_code=code, headers={}, request=None)
    return kind("told\nin lines", response=response)


NoRoute = type("ConnectError", (Exception,), {"__module__": "httpx2"})


WRONG = [
    (answered(401), "the Hub does not take the token; run `hf auth login` again"),
    (answered(403), "you may not write there; take an OWNER that you belong to"),
    (answered(500), "the Hub refused (HfHubHTTPError: told in lines"),
    (answered(404, errors.RepositoryNotFoundError), "there is no such model, or it is private"),
    (answered(403, errors.GatedRepoError), "its owner has to let you in"),
    (answered(404, errors.RemoteEntryNotFoundError), "holds no network of pixelwise"),
    (NoRoute("no route"), "the Hub cannot be reached"),
    (OSError("no route"), "the Hub cannot be reached"),
    (errors.LocalEntryNotFoundError("not cached"), "the Hub cannot be reached"),
    (errors.OfflineModeIsEnabled("off"), "HF_HUB_OFFLINE is set"),
]


@pytest.mark.parametrize(("error", "message"), WRONG, ids=lambda x: type(x).__name__)
def test_what_can_go_wrong_is_one_line(network, api, monkeypatch, error, message):
    monkeypatch.setattr(api, "error", error)
    with pytest.raises(InputError) as found:
        network.push_to_hub("somebody/my-net")
    text = str(found.value)
    assert message in text
    assert "\n" not in text
    assert text.startswith("somebody/my-net: ")

    def fetch(*args):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    with pytest.raises(InputError, match="on the Hub"):
        Segmenter.from_pretrained("somebody/my-net")


def test_not_logged_in(network, api, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(InputError, match="not logged in to the Hub; run `hf auth login`"):
        network.push_to_hub("somebody/my-net")
    assert not api.calls


def test_from_pretrained_takes_both_files_of_the_hub(network, tmp_path, monkeypatch):
    network.save_pretrained(tmp_path)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda name, file: os.fspath(tmp_path / file)
    )
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(load("somebody/my-net")(image), network(image))


def test_the_hubs_own_client_offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as found:
        load("somebody/nothing-of-that-name")
    assert "\n" not in str(found.value)
    assert hub.told("a/b", ValueError("x")).args
