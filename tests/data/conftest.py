"""A tiny data set in idx files, and a web server on this machine that serves what a test gives it."""

import gzip
import hashlib
import http.server
import threading
from typing import NamedTuple

import numpy as np
import pytest

from hopfax.data import DataFile, Source


def to_idx(array):
    """The idx content that encodes an array of unsigned bytes."""
    axes = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + axes + array.tobytes()


def as_file(name, content):
    return DataFile(name, len(content), hashlib.sha256(content).hexdigest())


class Reply(NamedTuple):
    """An answer of the server; `length` is the size it announces, which may be wrong."""

    body: bytes
    status: int = 200
    length: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Tiny(NamedTuple):
    """Four idx files: their contents by name, the arrays in them, and their source."""

    contents: dict[str, bytes]
    arrays: dict[str, np.ndarray]
    source: Source


@pytest.fixture
def server(monkeypatch):
    """A loopback server: `replies` maps paths to `Reply`s (others are 404), `requests` lists the paths asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            reply = self.server.replies.get(self.path, Reply(b"", 404))
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            for header in reply.headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda request, address: None  # some tests hang up
        server.replies, server.requests = {}, []
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tiny(server):
    """A data set of 4 + 2 images of 2x3 pixels, on the mirrors `first/` and `second/` of the server."""
    arrays = {
        "train-images": np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10,
        "train-labels": np.array([0, 1, 2, 3], np.uint8),
        "t10k-images": np.full((2, 2, 3), 255, np.uint8),
        "t10k-labels": np.array([9, 0], np.uint8),
    }
    contents = {name: to_idx(array) for name, array in arrays.items()}
    files = tuple(as_file(name, content) for name, content in contents.items())
    mirrors = (f"{server.url}first/", f"{server.url}second/")
    source = Source(name="tiny", description="for tests", files=files, mirrors=mirrors)
    return Tiny(contents, arrays, source)


@pytest.fixture
def serve(server, tiny):
    """A function that puts the tiny data set on one of its mirrors."""

    def put(mirror):
        for name, content in tiny.contents.items():
            server.replies[f"/{mirror}/{name}.gz"] = Reply(gzip.compress(content))

    return put


@pytest.fixture(autouse=True)
def isolated(request, monkeypatch, tmp_path):
    """Hide the data of this machine from every test that does not ask for MNIST."""
    if "mnist" not in request.fixturenames:
        monkeypatch.delenv("HOPFAX_DATA", raising=False)
        monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
