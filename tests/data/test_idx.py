"""The idx reader: what was written is read, anything else is refused in little memory."""

import gzip
import tracemalloc

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfax.data import DataError, read_idx

from .conftest import to_idx

arrays = hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5))
packings = st.sampled_from([bytes, gzip.compress])
no_deadline = settings(deadline=None)  # a slow disk or a busy machine is not a failure
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "file"


@no_deadline
@given(array=arrays, pack=packings)
def test_reading_undoes_writing(path, array, pack):
    path.write_bytes(pack(to_idx(array)))
    np.testing.assert_array_equal(read_idx(path), array, strict=True)


@no_deadline
@given(content=st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: b"\0\0\x08\x01\0\0\0" + tail))
def test_what_is_read_is_the_whole_content(path, content):
    """Any bytes are either refused or exactly the encoding of the array that is returned."""
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except DataError:
        return
    assert to_idx(array) == content


@no_deadline
@given(array=arrays, pack=packings, data=st.data())
def test_truncated_file_is_refused(path, array, pack, data):
    content = pack(to_idx(array))
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError):
        read_idx(path)


@no_deadline
@given(array=arrays, pack=packings, tail=st.binary(min_size=1, max_size=9))
def test_longer_file_is_refused(path, array, pack, tail):
    path.write_bytes(pack(to_idx(array) + tail))
    with pytest.raises(DataError, match="it holds more"):
        read_idx(path)


def test_damaged_gzip_is_refused(path):
    packed = bytearray(gzip.compress(to_idx(np.arange(200, dtype=np.uint8))))
    packed[-8] ^= 1  # the checksum
    path.write_bytes(packed)
    with pytest.raises(DataError, match="CRC"):
        read_idx(path)


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "begins with 00 00 0d 01"),  # float32
        (b"\x01\0\x08\x01\0\0\0\x01\0", "begins with 01 00 08 01"),
        (b"\0\0\x08\x00\0", "number of axes"),
        (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"\0", "number of axes"),
        (b"\0\0\x08\x02\0\0\0\x01\0\0", "inside its header"),
        (b"\0\0\x08\x02\0\0\0\x00\xff\xff\xff\xff", "is empty"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "more than the"),
        (b"", "begins with nothing"),
    ],
)
def test_hostile_header_is_refused(path, head, match):
    path.write_bytes(head)
    with pytest.raises(DataError, match=match):
        read_idx(path)


def test_missing_file_and_directory_are_named(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            read_idx(path)


def peak_memory(path):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="is damaged"):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_announced_size_is_not_allocated(path):
    path.write_bytes(b"\0\0\x08\x01" + (2**30).to_bytes(4, "big") + b"few")
    assert peak_memory(path) < 3 * MEGABYTE


def test_gzip_bomb_is_not_unpacked(path):
    path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x0a" + bytes(100 * MEGABYTE), compresslevel=1))
    assert peak_memory(path) < 3 * MEGABYTE


def test_limit_is_the_callers(path):
    path.write_bytes(to_idx(np.zeros(11, np.uint8)))
    assert read_idx(path, max_bytes=11).shape == (11,)
    with pytest.raises(DataError, match="more than the 10 allowed"):
        read_idx(path, max_bytes=10)
