"""The hub, replaced by a folder: what is uploaded is a model, and it is downloaded the same."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax.random as jr
import pytest

import hopfax
from hopfax.interop import hub

MODEL = hopfax.chain([4, 3, 2], key=jr.key(0))


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A stand-in for huggingface_hub, whose repositories are folders."""
    root = tmp_path / "remote"

    def create_repo(repo_id, *, private, exist_ok):
        (root / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        (root / "private").write_text(str(private))

    def upload_folder(*, repo_id, folder_path, commit_message):
        assert commit_message
        shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)

    def snapshot_download(repo_id, *, revision, allow_patterns):
        local = tmp_path / f"cache-{revision}"
        local.mkdir()
        for name in allow_patterns:
            shutil.copy(root / repo_id / name, local)
        return str(local)

    api = SimpleNamespace(create_repo=create_repo, upload_folder=upload_folder)
    package = SimpleNamespace(HfApi=lambda: api, snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    return root


@pytest.fixture
def folder(tmp_path):
    hopfax.save_model(MODEL, tmp_path / "run")
    for name in ("run.json", "checkpoint.safetensors", "notes.txt"):
        (tmp_path / "run" / name).write_text("{}")
    return tmp_path / "run"


def test_a_model_is_downloaded_as_it_was_uploaded(remote, folder):
    address = hub.push_model(folder, "me/digits")
    assert address.endswith("/me/digits")
    assert eqx.tree_equal(hub.pull_model("me/digits", revision="main"), MODEL)


def test_only_the_files_of_a_model_and_its_run_are_uploaded_privately(remote, folder):
    hub.push_model(folder, "me/digits")
    uploaded = {path.name for path in Path(remote, "me", "digits").iterdir()}
    assert uploaded == {"model.json", "weights.safetensors", "run.json", "README.md"}
    assert (remote / "private").read_text() == "True"


def test_a_card_is_written_unless_there_is_one(remote, folder):
    hub.push_model(folder, "me/digits")
    card = remote / "me" / "digits" / "README.md"
    assert "library_name: hopfax" in card.read_text()
    assert 'pull_model("me/digits")' in card.read_text()
    assert "hidden (3,)" in card.read_text()
    (folder / "README.md").write_text("mine")
    hub.push_model(folder, "me/digits")
    assert card.read_text() == "mine"


@pytest.mark.parametrize("name", ["digits", "me/", "me/a/b", "https://huggingface.co/me/a", ""])
def test_malformed_names_are_refused(name, folder):
    for call in (lambda: hub.push_model(folder, name), lambda: hub.pull_model(name)):
        with pytest.raises(ValueError, match="must be owner/name"):
            call()


def test_a_folder_without_a_model_is_not_uploaded(remote, tmp_path):
    with pytest.raises(ValueError, match=r"model\.json"):
        hub.push_model(tmp_path, "me/digits")
    assert not remote.exists()


def test_without_the_package_the_extra_is_named(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'hopfax\[hub\]'"):
        hub.push_model(folder, "me/digits")
