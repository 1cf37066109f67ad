"""The networks in `models/` and the catalogue are what the tool makes of their runs."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from hopfax.interop.pretrained import FILES, pretrained_models

ROOT = Path(__file__).parents[2]
NAMES = sorted(pretrained_models())


@pytest.fixture
def places(monkeypatch, tmp_path):
    """The tool with an empty catalogue, and a folder for its models."""
    from tools import publish_model

    monkeypatch.setattr(publish_model, "CHECKOUT", tmp_path / "models")
    monkeypatch.setattr(publish_model, "CATALOGUE", tmp_path / "catalogue.json")
    return tmp_path


def publish(monkeypatch, run, name):
    from tools import publish_model

    monkeypatch.setattr(sys, "argv", ["publish_model.py", str(run), name])
    publish_model.main()


@pytest.mark.parametrize("name", NAMES)
def test_a_published_network_is_what_its_run_says(name):
    from tools.publish_model import card, entry

    model = entry(ROOT / "models" / name, name)
    assert model == pretrained_models()[name]
    assert (ROOT / "models" / name / "README.md").read_text(encoding="utf-8") == card(model)


def test_publishing_adds_a_network_or_replaces_it(places, monkeypatch):
    for run, name in (("conv-digits", "b"), ("completion-digits", "a"), ("conv-digits", "b")):
        publish(monkeypatch, ROOT / "models" / run, name)
    models = json.loads((places / "catalogue.json").read_text(encoding="utf-8"))["models"]
    assert [model["name"] for model in models] == ["a", "b"]
    assert {file.name for file in (places / "models" / "b").iterdir()} == {*FILES, "run.json", "README.md"}


def test_a_run_of_an_unknown_commit_is_refused(places, monkeypatch):
    run = shutil.copytree(ROOT / "models" / "conv-digits", places / "run")
    result = json.loads((run / "run.json").read_text(encoding="utf-8"))
    result["circumstances"]["commit"] = None
    (run / "run.json").write_text(json.dumps(result), encoding="utf-8")
    with pytest.raises(SystemExit, match="commit"):
        publish(monkeypatch, run, "unknown")
    assert not (places / "catalogue.json").exists()
