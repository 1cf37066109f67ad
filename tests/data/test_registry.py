import numpy as np
import pytest

from hopfax import data
from hopfax.data.registry import REGISTRY, Downloadable


def test_unknown_name_lists_the_known():
    for use in (data.load, data.fetch):
        with pytest.raises(ValueError, match="'minst'.*digits, mnist, fashion-mnist"):
            use("minst")


def test_digits_by_name_are_the_digits():
    np.testing.assert_array_equal(data.load("digits").test_images, data.digits().test_images)
    assert data.fetch("digits") == []


def test_registry_agrees_with_the_functions(tmp_path):
    """Each name leads to the data set its function loads: both miss the same files."""
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


def test_listing_tells_what_is_here(tmp_path):
    rows = {row.name: row for row in data.available(tmp_path)}
    assert list(rows) == list(REGISTRY)
    assert rows["digits"].found
    assert not rows["mnist"].found
    assert "not found" in rows["mnist"].where


def test_listing_reports_damage(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    row = data.available(tmp_path)[1]
    assert not row.found
    assert str(tmp_path / "mnist" / "t10k-labels-idx1-ubyte") in row.where


def test_downloadable_fetches_then_loads_from_one_folder(tmp_path, tiny, serve):
    serve("first")
    entry = Downloadable(tiny.source)
    paths = entry.fetch(tmp_path, False)
    assert [path.name for path in paths] == list(tiny.contents)
    assert entry.where(tmp_path) == str(tmp_path / "tiny")
    assert entry.load(tmp_path, False).name == "tiny"


@pytest.mark.mnist
def test_mnist_has_its_published_statistics(mnist):
    assert mnist.train_images.shape == (60_000, 784)
    assert mnist.test_images.shape == (10_000, 784)
    assert round(float(mnist.train_images.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(mnist.train_images.std(dtype=np.float64)), 4) == 0.3081
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
