"""The development tool that makes the binary files of CIFAR-10 from the pictures of a package."""

import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hopfax.data import CIFAR10
from hopfax.data.formats import parse_cifar

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    spec = importlib.util.spec_from_file_location("fetch_cifar10", TOOLS / "fetch_cifar10.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def to_png(images):
    stream = io.BytesIO()
    Image.fromarray(images.reshape(len(images), -1, 3)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def small(tool, monkeypatch):
    """The tool for a package of six pictures of two images, and the images and labels in them."""
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = list(range(10)) + [3, 4]
    parts = {f"{Path(name).stem}.png": to_png(images[2 * i : 2 * i + 2]) for i, name in enumerate(tool.MD5)}
    parts |= {tool.TRAIN_LABELS: json.dumps(labels[:10]).encode(), tool.TEST_LABELS: b"[3, 4]"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in parts.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(tool, "IMAGES", 2)
    opened = lambda *_: tarfile.open(fileobj=io.BytesIO(stream.getvalue()))  # noqa: SIM115
    monkeypatch.setattr(tool, "npm_package", opened)
    contents = dict(tool.files(opened()))
    monkeypatch.setattr(tool, "MD5", {name: hashlib.md5(c).hexdigest() for name, c in contents.items()})
    return images, labels


def test_tool_and_library_expect_the_same_files(tool):
    assert [file.name for file in CIFAR10.files] == list(tool.MD5)


def test_the_library_reads_what_the_tool_writes(tool, small, tmp_path, capsys):
    assert tool.main([str(tmp_path)]) == 0
    splits = [parse_cifar((tmp_path / "cifar10" / name).read_bytes(), name) for name in tool.MD5]
    np.testing.assert_array_equal(np.concatenate([split.images for split in splits]), small[0])
    assert np.concatenate([split.labels for split in splits]).tolist() == small[1]
    assert tool.main([str(tmp_path)]) == 0
    assert "already complete" in capsys.readouterr().out


def test_another_content_is_not_written(tool, small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(tool.MD5, "data_batch_1.bin", "0" * 32)
    assert tool.main([str(tmp_path)]) == 1
    assert "data_batch_1.bin is not the right CIFAR-10 file" in capsys.readouterr().err
    assert list((tmp_path / "cifar10").iterdir()) == []


def test_a_picture_of_another_size_is_refused(tool):
    with pytest.raises(ValueError, match="not RGB of"):
        tool.records(to_png(np.zeros((2, 32, 32, 3), np.uint8)), [1, 2, 3])
