"""Data sets by name."""

import numpy as np
import pytest

from hopfax import data
from hopfax.data.registry import SOURCES


def test_an_unknown_name_lists_the_known_ones():
    for use in (data.load, data.fetch):
        with pytest.raises(ValueError, match="'minst'.*digits, mnist, fashion-mnist"):
            use("minst")


def test_digits_by_name_are_the_digits():
    np.testing.assert_array_equal(data.load("digits").test_images, data.digits().test_images)
    assert data.fetch("digits") == []


def test_registry_agrees_with_the_functions(tmp_path):
    """A name leads to the data set that its function loads: both miss the same files."""
    for name, function in {"mnist": data.mnist, "fashion-mnist": data.fashion_mnist}.items():
        messages = []
        for use in (
            lambda name=name: data.load(name, tmp_path, download=False),
            lambda f=function: f(tmp_path, False),
        ):
            with pytest.raises(data.MissingDataError, match=f"^{name}: ") as caught:
                use()
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_the_listing_says_what_is_on_this_machine(tmp_path):
    rows = {row.name: row for row in data.available(tmp_path)}
    assert list(rows) == ["digits", *SOURCES]
    assert rows["digits"].available
    assert not rows["mnist"].available
    assert "not found" in rows["mnist"].where


def test_the_listing_reports_damage(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    row = data.available(tmp_path)[1]
    assert not row.available
    assert str(tmp_path / "mnist" / "t10k-labels-idx1-ubyte") in row.where


def test_what_was_fetched_is_listed_and_loaded(tmp_path, tiny, serve, monkeypatch):
    serve("first")
    monkeypatch.setitem(SOURCES, "tiny", tiny.source)
    assert [path.name for path in data.fetch("tiny", tmp_path)] == list(tiny.contents)
    assert data.available(tmp_path)[-1] == ("tiny", True, str(tmp_path / "tiny"), "for tests")
    assert data.load("tiny", tmp_path, download=False).name == "tiny"


@pytest.mark.mnist
def test_mnist_has_its_published_statistics(mnist):
    assert mnist.train_images.shape == (60_000, 784)
    assert mnist.test_images.shape == (10_000, 784)
    assert round(float(mnist.train_images.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(mnist.train_images.std(dtype=np.float64)), 4) == 0.3081
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
