"""The readers of CIFAR and SVHN: what was written is read, anything else is refused; archives; data sets by name."""

import dataclasses
import gzip
import io
import tarfile

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfax import data
from hopfax.data import CifarRecords, DataError, Idx, MissingDataError, Source, StreetView, load_source
from hopfax.data.files import obtain
from hopfax.data.formats import parse_cifar, parse_street_view
from hopfax.data.registry import SOURCES

from .conftest import Reply, as_file, to_idx

quick = settings(deadline=None, max_examples=25)
counts = st.integers(1, 3)
PIXELS = 3 * 32 * 32


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def to_cifar(images, *labels):
    """The binary format, pixel by pixel as its page describes it: labels, then the planes row by row."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    planes = [images[..., channel].reshape(len(images), -1) for channel in range(3)]
    return np.concatenate([*columns, *planes], axis=1).tobytes()


def to_mat(images, labels, **options):
    stream = io.BytesIO()
    variables = {"X": images.transpose(1, 2, 3, 0), "y": np.asarray(labels, np.uint8)[:, None]}
    scipy.io.savemat(stream, {**variables, **options})
    return stream.getvalue()


@quick
@given(count=counts, label_bytes=st.integers(1, 2), values=st.data())
def test_reading_undoes_writing_cifar(count, label_bytes, values):
    labels = values.draw(hnp.arrays(np.uint8, (label_bytes, count)))
    images = pictures(count, int(labels.sum()))
    read = parse_cifar(to_cifar(images, *labels), "x", label_bytes)
    np.testing.assert_array_equal(read.images, images, strict=True)
    np.testing.assert_array_equal(read.labels, labels[-1], strict=True)


@quick
@given(content=st.binary(max_size=40) | st.binary(max_size=9).map(lambda tail: bytes(PIXELS) + tail))
def test_what_is_read_of_cifar_is_the_whole_content(content):
    """Any bytes are either refused or exactly the encoding of what is returned."""
    try:
        images, labels = parse_cifar(content, "x")
    except DataError:
        return
    assert to_cifar(images, labels) == content


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"\0", lambda c: b""])
def test_cifar_without_whole_records_is_refused(change):
    with pytest.raises(DataError, match="`some.bin` is no binary file of CIFAR"):
        parse_cifar(change(to_cifar(pictures(2), [1, 2])), "some.bin")


@quick
@given(labels=st.lists(st.integers(1, 10), min_size=1, max_size=3))
def test_reading_undoes_writing_svhn(labels):
    images = pictures(len(labels), sum(labels))
    read = parse_street_view(to_mat(images, labels), "x")
    np.testing.assert_array_equal(read.images, images, strict=True)
    assert read.labels.tolist() == [label % 10 for label in labels]


ONE = pictures(1)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no .mat file of arrays"),
        (b"no mat", "no .mat file of arrays"),
        (to_mat(ONE, [1])[:-200], "`some.mat`"),
        (to_mat(ONE, [0]), r"`y` must lie in \[1, 10\], got \[0, 0\]"),
        (to_mat(ONE, [11]), r"`y` must lie in \[1, 10\], got \[11, 11\]"),
        (to_mat(ONE, [1, 2]), r"`y` must be bytes of shape \(1, 1\), got uint8 of shape \(2, 1\)"),
        (to_mat(ONE, [1], y=np.array([[1.0]])), r"`y` must be bytes .* got float64"),
        (to_mat(ONE, [1], y="ten"), r"`y` must be bytes"),
        (to_mat(ONE, [1], X={"a": 1}), r"`X` must be bytes of shape \(32, 32, 3, images\)"),
        (to_mat(ONE[:, :-1], [1]), r"`X` must be bytes .* got uint8 of shape \(31, 32, 3, 1\)"),
        (to_mat(ONE / 255, [1]), r"`X` must be bytes .* got float64"),
    ],
)
def test_a_mat_file_that_is_not_svhn_is_refused(content, match):
    with pytest.raises(DataError, match=match):
        parse_street_view(content, "some.mat")


def source(server, contents, form, **options):
    files = tuple(as_file(name, content) for name, content in contents.items())
    mirrors = (f"{server.url}first/", f"{server.url}second/")
    return Source(name="tiny", description="for tests", files=files, mirrors=mirrors, format=form, **options)


CIFAR_FILES = {
    name: to_cifar(pictures(2, seed), [seed, 7]) for seed, name in enumerate(("a.bin", "b.bin", "test.bin"))
}


def assert_cifar(dataset):
    """The last file has the test examples."""
    assert dataset.image_shape == (32, 32, 3)
    expected = np.concatenate([pictures(2, 0), pictures(2, 1)]).astype(np.float32).reshape(
        4, -1
    ) / np.float32(255)
    np.testing.assert_array_equal(dataset.train_images, expected)
    assert dataset.train_labels.tolist() == [0, 7, 1, 7]
    assert dataset.test_labels.tolist() == [2, 7]


@pytest.fixture
def archived(server):
    """A source whose mirrors serve one archive, and its content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in {"readme.html": b"hello", **CIFAR_FILES}.items():
            member = tarfile.TarInfo(f"folder/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    packed = stream.getvalue()
    return source(server, CIFAR_FILES, CifarRecords(), archive=as_file("all.tar.gz", packed)), packed


def test_an_archive_is_downloaded_checked_and_unpacked_once(tmp_path, server, archived):
    tiny, packed = archived
    server.replies = {"/first/all.tar.gz": Reply(packed[:-1]), "/second/all.tar.gz": Reply(packed)}
    assert_cifar(load_source(tiny, tmp_path))
    assert server.requests == ["/first/all.tar.gz", "/second/all.tar.gz"]
    assert {path.name for path in (tmp_path / "tiny").iterdir()} >= set(CIFAR_FILES)
    assert_cifar(load_source(tiny, tmp_path, download=False))
    assert len(server.requests) == 2


def test_an_archive_on_this_machine_needs_no_network(tmp_path, server, archived):
    tiny, packed = archived
    with pytest.raises(MissingDataError, match=r"a\.bin.*all\.tar\.gz"):
        load_source(tiny, tmp_path, download=False)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "all.tar.gz").write_bytes(packed)
    assert_cifar(load_source(tiny, tmp_path, download=False))
    assert server.requests == []


def test_a_damaged_archive_is_named(tmp_path, archived):
    tiny, packed = archived
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "all.tar.gz").write_bytes(packed[:-1] + bytes([packed[-1] ^ 1]))
    with pytest.raises(DataError, match=r"all\.tar\.gz` is not all\.tar\.gz"):
        obtain(tiny, tmp_path)


def test_an_archive_with_other_files_is_refused(tmp_path, server, archived):
    tiny, packed = archived
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "all.tar.gz").write_bytes(packed)
    absent = dataclasses.replace(tiny, files=(*tiny.files[:2], tiny.files[2]._replace(name="other.bin")))
    with pytest.raises(DataError, match=r"has no other\.bin"):
        obtain(absent, tmp_path)
    changed = dataclasses.replace(tiny, files=(*tiny.files[:2], tiny.files[2]._replace(sha256="0" * 64)))
    with pytest.raises(DataError, match=r"folder/test\.bin` is not test\.bin"):
        obtain(changed, tmp_path)


def test_files_of_svhn_are_served_raw(tmp_path, server):
    contents = {"train.mat": to_mat(pictures(2), [10, 3]), "test.mat": to_mat(pictures(1), [9])}
    tiny = source(server, contents, StreetView(), suffix="")
    server.replies = {f"/first/{name}": Reply(content) for name, content in contents.items()}
    dataset = load_source(tiny, tmp_path)
    assert dataset.train_labels.tolist() == [0, 3]
    assert dataset.image_shape == (32, 32, 3)


def test_files_that_are_checked_gzipped_stay_gzipped(tmp_path, server, tiny):
    contents = {f"{name}.gz": gzip.compress(content, 1) for name, content in tiny.contents.items()}
    packed = source(server, contents, Idx())
    server.replies = {f"/first/{name}": Reply(content) for name, content in contents.items()}
    assert load_source(packed, tmp_path).train_labels.tolist() == [0, 1, 2, 3]
    name, content = next(iter(tiny.contents.items()))
    (tmp_path / "tiny" / f"{name}.gz").write_bytes(gzip.compress(content, 9))
    with pytest.raises(DataError, match="is not"):
        load_source(packed, tmp_path)


@pytest.mark.parametrize("name", ["kmnist", "cifar10", "cifar100", "svhn"])
def test_names_lead_to_the_functions(name, tmp_path):
    with pytest.raises(MissingDataError, match=f"^{name}: .*hopfax data fetch {name}"):
        getattr(data, name)(tmp_path, False)
    with pytest.raises(MissingDataError, match=f"^{name}: "):
        data.load(name, tmp_path, download=False)
    assert SOURCES[name].classes == (100 if name == "cifar100" else 10)


def test_sizes_are_those_of_the_numbers_of_images():
    sizes = lambda name: [file.size for file in SOURCES[name].files]
    assert sizes("cifar10") == 6 * [10_000 * (1 + PIXELS)]
    assert sizes("cifar100") == [50_000 * (2 + PIXELS), 10_000 * (2 + PIXELS)]


def test_idx_files_keep_the_shape_of_colour_images(tmp_path, server):
    arrays = {
        "a": pictures(3),
        "b": np.arange(3, dtype=np.uint8),
        "c": pictures(1),
        "d": np.zeros(1, np.uint8),
    }
    contents = {name: to_idx(array) for name, array in arrays.items()}
    server.replies = {f"/first/{name}.gz": Reply(content) for name, content in contents.items()}
    assert load_source(source(server, contents, Idx()), tmp_path).image_shape == (32, 32, 3)
