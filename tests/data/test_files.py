"""Where files are searched, and what is said of missing and damaged ones."""

import dataclasses
import gzip

import numpy as np
import pooch
import pytest

from hopfax.data import DataError, MissingDataError, load_source
from hopfax.data.files import data_directories, obtain

FIRST = "train-images"


@pytest.fixture
def put(tiny):
    """A function that writes the tiny data set into a folder, raw or gzipped."""

    def write(folder, packed=False):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in tiny.contents.items():
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)

    return write


def folders_of(source, directory=None):
    return {file.path.parent for file in obtain(source, directory, download=False)}


def test_order_of_search(tmp_path, tiny, put, monkeypatch):
    """The argument wins over the variable, the variable over the cache folder."""
    cache = pooch.os_cache("hopfax")
    monkeypatch.setenv("HOPFAX_DATA", str(tmp_path / "variable"))
    put(cache / "tiny")
    assert folders_of(tiny.source, tmp_path / "argument") == {cache / "tiny"}
    put(tmp_path / "variable" / "tiny")
    assert folders_of(tiny.source, tmp_path / "argument") == {tmp_path / "variable" / "tiny"}
    put(tmp_path / "argument" / "tiny")
    assert folders_of(tiny.source, tmp_path / "argument") == {tmp_path / "argument" / "tiny"}


def test_a_download_goes_to_the_first_directory(tmp_path, tiny, serve, monkeypatch):
    serve("first")
    assert {file.path.parent for file in obtain(tiny.source)} == {pooch.os_cache("hopfax") / "tiny"}
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "empty")
    monkeypatch.setenv("HOPFAX_DATA", str(tmp_path / "variable"))
    assert {file.path.parent for file in obtain(tiny.source)} == {tmp_path / "variable" / "tiny"}


def test_an_empty_variable_names_no_directory(monkeypatch):
    monkeypatch.setenv("HOPFAX_DATA", "")
    assert data_directories(None) == [pooch.os_cache("hopfax")]


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_directory_that_is_a_file_is_refused(tmp_path, monkeypatch, by_variable):
    path = tmp_path / "file"
    path.touch()
    if by_variable:
        monkeypatch.setenv("HOPFAX_DATA", str(path))
    with pytest.raises(DataError, match="HOPFAX_DATA" if by_variable else "`directory`"):
        data_directories(None if by_variable else path)


def test_gzipped_files_are_read(tmp_path, tiny, put):
    put(tmp_path / "tiny", packed=True)
    dataset = load_source(tiny.source, tmp_path, download=False)
    np.testing.assert_array_equal(dataset.train_labels, tiny.arrays["train-labels"])


def test_missing_files_are_named_with_the_remedy(tmp_path, tiny, put, server):
    put(tmp_path / "tiny")
    (tmp_path / "tiny" / FIRST).unlink()
    with pytest.raises(
        MissingDataError, match=f"tiny: {FIRST} not found.*hopfax data fetch tiny.*HOPFAX_DATA"
    ) as caught:
        load_source(tiny.source, tmp_path, download=False)
    assert str(tmp_path / "tiny") in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"",
        lambda content: gzip.compress(content)[:-1],
        lambda content: gzip.compress(content + bytes(10_000_000)),
    ],
    ids=["truncated", "longer", "flipped", "empty", "truncated gzip", "bomb"],
)
@pytest.mark.parametrize("download", [True, False])
def test_damaged_file_is_named_and_never_used(tmp_path, tiny, put, serve, server, damage, download):
    """Not even if a good one could be downloaded or is in the next directory: the user should know."""
    serve("first")
    put(tmp_path / "tiny")
    put(pooch.os_cache("hopfax") / "tiny")
    path = tmp_path / "tiny" / FIRST
    path.write_bytes(damage(tiny.contents[FIRST]))
    with pytest.raises(DataError) as caught:
        load_source(tiny.source, tmp_path, download=download)
    assert not isinstance(caught.value, MissingDataError)
    for part in (str(path), tiny.source.files[0].sha256, *tiny.source.mirrors, "HOPFAX_DATA", "delete it"):
        assert part in str(caught.value)
    assert server.requests == []


def test_flat_files_count_only_with_the_right_content(tmp_path, tiny, put):
    flat = dataclasses.replace(tiny.source, flat=True)
    put(tmp_path)
    assert folders_of(flat, tmp_path) == {tmp_path}
    with pytest.raises(MissingDataError):
        obtain(tiny.source, tmp_path, download=False)
    (tmp_path / FIRST).write_bytes(b"another data set's")
    with pytest.raises(MissingDataError, match=f"ignored: {tmp_path / FIRST}"):
        obtain(flat, tmp_path, download=False)
