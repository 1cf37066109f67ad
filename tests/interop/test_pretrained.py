"""The trained networks of the repository: what the catalogue says of them is true, and other files are refused."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import pytest

import hopfax
from hopfax.apps.cli import run
from hopfax.data import MissingDataError, load
from hopfax.interop import pretrained
from hopfax.interop.pretrained import load_pretrained, pretrained_models

FOLDER = Path(__file__).parents[2] / "models"  # the package may be installed elsewhere
MODELS = pretrained_models()
EMBEDDED = [name for name, model in MODELS.items() if model.data == "digits"]
URL = "https://models.example/digits/"


def error_of(name: str, tmp_path: Path) -> float:
    """The error on the test images, by `hopfax evaluate`."""
    out = tmp_path / "evaluation.json"
    assert run(["evaluate", str(FOLDER / name), "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    if "completion" in result:
        return result["completion"]["30 % of pixels"]["mean"]["error_per_pixel"]
    return 1 - result["test_accuracy"]


@pytest.fixture
def copy(tmp_path):
    """The folder of the networks, which a test may damage."""
    return shutil.copytree(FOLDER, tmp_path / "models")


def test_the_catalogue_describes_every_folder_and_its_weights():
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == sorted(MODELS)
    for name, described in MODELS.items():
        weights = eqx.filter(load_pretrained(name, directory=FOLDER), eqx.is_inexact_array)
        assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == described.parameters
        card = (FOLDER / name / "README.md").read_text(encoding="utf-8")
        assert all(value in card for value in (name, described.data, *described.sha256.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDED)
def test_the_error_of_a_network_of_digits_is_that_of_the_catalogue(name, tmp_path):
    # Compilers differ in rounding, and one image of 297 is 0.0034.
    assert error_of(name, tmp_path) == pytest.approx(MODELS[name].error, abs=0.004)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name not in EMBEDDED])
def test_the_error_of_a_network_of_larger_images_is_that_of_the_catalogue(name, tmp_path):
    try:
        load(MODELS[name].data, download=False)
    except MissingDataError:
        pytest.skip(f"{MODELS[name].data} is not on this machine")
    assert error_of(name, tmp_path) == pytest.approx(MODELS[name].error, abs=0.001)


def test_the_command_lists_the_catalogue(capsys):
    assert run(["models", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["name"] for row in rows] == list(MODELS)
    assert {"name", "data", "error", "parameters"} <= set(rows[0])


def test_a_damaged_or_missing_file_is_refused(copy):
    weights = copy / EMBEDDED[0] / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="SHA-256"):
        load_pretrained(EMBEDDED[0], directory=copy)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="`directory=`"):
        load_pretrained(EMBEDDED[0], directory=copy)


def test_a_url_is_downloaded_and_checked_by_its_hashes(tmp_path, monkeypatch):
    name = EMBEDDED[0]

    def retrieve(url, known_hash, file, folder):
        content = (FOLDER / name / url.removeprefix(URL)).read_bytes()
        assert known_hash == f"sha256:{hashlib.sha256(content).hexdigest()}"
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / file).write_bytes(content)

    log = SimpleNamespace(setLevel=lambda level: None)
    pooch = SimpleNamespace(retrieve=retrieve, os_cache=lambda _: tmp_path, get_logger=lambda: log)
    monkeypatch.setitem(sys.modules, "pooch", pooch)
    assert eqx.tree_equal(
        load_pretrained(URL, sha256=MODELS[name].sha256), load_pretrained(name, directory=FOLDER)
    )


def test_a_name_with_a_slash_is_on_the_hub(monkeypatch):
    model = load_pretrained(EMBEDDED[0], directory=FOLDER)
    monkeypatch.setattr(pretrained, "pull_model", {"me/digits": model}.__getitem__)
    assert hopfax.load_pretrained("me/digits") is model
