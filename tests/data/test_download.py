"""Downloads: the right content or nothing, from the first mirror that has it."""

import dataclasses
import gzip
import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hopfax.data import MNIST, DataError, MissingDataError, Source, load_source, read_idx
from hopfax.data.files import obtain

from .conftest import Reply

FIRST = "train-images"  # the file that tests damage


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_download_gives_what_was_encoded(tmp_path, tiny, serve):
    serve("first")
    dataset = load_source(tiny.source, tmp_path)
    pixels = tiny.arrays["train-images"].reshape(4, 6)
    np.testing.assert_allclose(dataset.train_images, pixels / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.train_labels, tiny.arrays["train-labels"])
    np.testing.assert_array_equal(dataset.test_images, 1)
    np.testing.assert_array_equal(dataset.test_labels, tiny.arrays["t10k-labels"])
    assert dataset.image_shape == (2, 3)


def test_good_files_need_no_network(tmp_path, tiny, serve, server):
    serve("first")
    first = load_source(tiny.source, tmp_path)
    server.requests.clear()
    again = load_source(tiny.source, tmp_path)
    assert server.requests == []
    np.testing.assert_array_equal(again.train_images, first.train_images)
    assert files_below(tmp_path) == sorted(tiny.contents)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"", 404),
        Reply(b"gone", 503),
        Reply(b"<html>sign in</html>"),
        Reply(gzip.compress(b"another content")),
        Reply(gzip.compress(bytes(10_000_000))),
        Reply(bytes(1_000_000)),
        Reply(b"\x1f\x8b broken"),
        Reply(gzip.compress(b"cut off")[:-9], length=4000),
        Reply(b""),
    ],
    ids=["404", "503", "page", "other", "bomb", "flood", "broken", "interrupted", "empty"],
)
def test_next_mirror_serves_when_one_fails(tmp_path, tiny, serve, server, reply):
    serve("second")
    server.replies[f"/first/{FIRST}.gz"] = reply
    load_source(tiny.source, tmp_path)
    assert server.requests[:2] == [f"/first/{FIRST}.gz", f"/second/{FIRST}.gz"]


def test_the_content_is_checked_not_its_compression(tmp_path, tiny, server):
    """Content compressed at another level, raw, compressed by the transport, or in two gzip members."""
    wrappers = [
        lambda content: Reply(gzip.compress(content, 1)),
        Reply,
        lambda content: Reply(gzip.compress(content), headers=(("Content-Encoding", "gzip"),)),
        lambda content: Reply(gzip.compress(content[:9]) + gzip.compress(content[9:])),
    ]
    for wrap, (name, content) in zip(wrappers, tiny.contents.items(), strict=True):
        server.replies[f"/first/{name}.gz"] = wrap(content)
    for file in obtain(tiny.source, tmp_path):
        np.testing.assert_array_equal(read_idx(file.path), tiny.arrays[file.path.name])


def test_a_failed_download_says_why_in_one_line_and_leaves_nothing(tmp_path, tiny, server):
    server.replies[f"/first/{FIRST}.gz"] = Reply(gzip.compress(tiny.contents[FIRST])[:30], length=4000)
    server.replies[f"/second/{FIRST}.gz"] = Reply(b"wrong")
    with pytest.raises(MissingDataError) as caught:
        load_source(tiny.source, tmp_path)
    wrong = "8810ad581e59f2bc3928b261707a71308f7e139eb04820366dc4d5c18d980225"  # sha256sum of "wrong"
    message = str(caught.value)
    for part in (FIRST, tiny.source.files[0].sha256, wrong, *tiny.source.mirrors, str(tmp_path)):
        assert part in message
    assert "hopfax data fetch tiny" in message
    assert "HOPFAX_DATA" in message
    assert "\n" not in message
    assert files_below(tmp_path) == []


def test_without_a_network_one_line_says_how_to_get_the_files(tmp_path, tiny):
    """The mirrors are ports of this machine at which nothing listens."""
    nowhere = dataclasses.replace(tiny.source, mirrors=("http://localhost:9/first/", "http://127.0.0.1:9/"))
    with pytest.raises(MissingDataError) as caught:
        load_source(nowhere, tmp_path)
    assert str(caught.value) == (
        "tiny is not on this machine, and there is no answer from localhost:9 and 127.0.0.1:9. With a network, run "
        f"`hopfax data fetch tiny`; without one, put {', '.join(file.name for file in nowhere.files)} (raw or .gz) "
        f"into {tmp_path / 'tiny'}, or into a folder tiny in the directory named by HOPFAX_DATA."
    )


def test_flood_is_cut_off(tmp_path, tiny, server):
    """No more of what a server sends is kept than the file can need, compressed or not."""
    for mirror in ("first", "second"):
        server.replies[f"/{mirror}/{FIRST}.gz"] = Reply(bytes(1_000_000))
    with pytest.raises(MissingDataError, match="serves more than"):
        load_source(tiny.source, tmp_path)


class Interrupt:
    """A progress bar during which the user presses Ctrl-C."""

    total = 0

    def update(self, n):
        raise KeyboardInterrupt

    def interrupt(self, *args):
        raise KeyboardInterrupt


def test_interrupted_download_leaves_nothing(tmp_path, tiny, serve):
    serve("first")
    with pytest.raises(KeyboardInterrupt):
        obtain(tiny.source, tmp_path, progressbar=Interrupt())
    assert files_below(tmp_path) == []


def test_interrupted_write_leaves_nothing(tmp_path, tiny, serve, monkeypatch):
    serve("first")
    monkeypatch.setattr(shutil, "move", Interrupt().interrupt)
    with pytest.raises(KeyboardInterrupt):
        obtain(tiny.source, tmp_path)
    assert files_below(tmp_path) == []


def test_a_downloaded_file_can_be_read_by_others(tmp_path, tiny, serve):
    serve("first")
    assert {file.path.stat().st_mode & 0o777 for file in obtain(tiny.source, tmp_path)} == {0o644}


def test_without_pooch_files_are_found_and_a_download_names_the_extra(
    tmp_path, tiny, serve, server, monkeypatch
):
    serve("first")
    obtain(tiny.source, tmp_path)
    monkeypatch.setitem(sys.modules, "pooch", None)
    server.requests.clear()
    assert load_source(tiny.source, tmp_path).name == "tiny"
    (tmp_path / "tiny" / FIRST).unlink()
    with pytest.raises(ImportError, match=r"downloading tiny needs pooch.*pip install 'hopfax\[apps\]'"):
        obtain(tiny.source, tmp_path)
    with pytest.raises(MissingDataError, match=f"{FIRST}, .* not found in any folder"):
        obtain(tiny.source, download=False)
    assert server.requests == []


def test_unwritable_directory_is_named(tmp_path, tiny, serve):
    serve("first")
    (tmp_path / "tiny").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written.*HOPFAX_DATA"):
        obtain(tiny.source, tmp_path)


def test_only_the_missing_file_is_downloaded(tmp_path, tiny, serve, server):
    serve("first")
    obtain(tiny.source, tmp_path)
    (tmp_path / "tiny" / FIRST).unlink()
    server.requests.clear()
    obtain(tiny.source, tmp_path)
    assert server.requests == [f"/first/{FIRST}.gz"]


@pytest.mark.parametrize("mirror", ["http://example.org/", "ftp://example.org/", "https://example.org/a"])
def test_unsafe_mirror_is_refused(tiny, mirror):
    with pytest.raises(ValueError, match="must begin with https"):
        dataclasses.replace(tiny.source, mirrors=(mirror,))


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", ""])
def test_name_that_is_a_path_is_refused(tiny, name):
    with pytest.raises(ValueError, match="not a plain file name"):
        dataclasses.replace(tiny.source, name=name)


def test_malformed_hash_is_refused(tiny):
    files = (tiny.source.files[0]._replace(sha256="f" * 63), *tiny.source.files[1:])
    with pytest.raises(ValueError, match="not a SHA-256"):
        dataclasses.replace(tiny.source, files=files)


def test_files_in_the_wrong_order_are_refused(tmp_path, tiny, serve):
    serve("first")
    files = tiny.source.files
    swapped = Source(
        name="swapped", description="", files=(files[1], files[0], *files[2:]), mirrors=tiny.source.mirrors
    )
    with pytest.raises(DataError, match="swapped"):
        load_source(swapped, tmp_path)


# The time stamp and the SHA-256 of the original .gz files.
ORIGINALS = {
    "train-images-idx3-ubyte": (
        848331386,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte": (
        848331398,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte": (
        885827245,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte": (
        885827268,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}


def original_gz(name, content):
    """The bytes that the MNIST mirrors serve, or a skip where this gzip program compresses differently."""
    program = shutil.which("gzip") or pytest.skip("there is no gzip program to rebuild the original files")
    packed = subprocess.run(
        [program, "-6", "-n", "-c"], input=content, capture_output=True, check=True
    ).stdout
    stamp, expected = ORIGINALS[name]
    stored_name = name.replace("-idx", ".idx").encode() + b"\0"
    rebuilt = b"\x1f\x8b\x08\x08" + stamp.to_bytes(4, "little") + b"\0\x03" + stored_name + packed[10:]
    if hashlib.sha256(rebuilt).hexdigest() != expected:
        pytest.skip(f"this gzip program does not rebuild the original {name}.gz")
    return rebuilt


@pytest.mark.slow
@pytest.mark.mnist
def test_real_mnist_is_downloaded_as_the_mirrors_serve_it(tmp_path, mnist, server):
    for file in obtain(MNIST, download=False):
        name = file.path.name.removesuffix(".gz")
        server.replies[f"/{name}.gz"] = Reply(original_gz(name, file.content))
    source = dataclasses.replace(MNIST, name="downloaded", mirrors=(server.url,), flat=False)
    downloaded = load_source(source, tmp_path)
    assert len(server.requests) == 4
    np.testing.assert_array_equal(downloaded.train_images, mnist.train_images)
    np.testing.assert_array_equal(downloaded.test_labels, mnist.test_labels)
