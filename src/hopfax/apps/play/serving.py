"""The server of the page: marimo and uvicorn on a socket of this machine."""

import importlib
import socket
from pathlib import Path
from typing import Any

from ..._internal.checks import require
from ..._internal.optional import needed

PAGE = Path(__file__).with_name("page.py")
NEEDED = ("marimo", "anywidget", "altair", "uvicorn")


def check_installed() -> None:
    """Raises: `ValueError` that says what to install if one of `NEEDED` is missing."""
    for name in NEEDED:
        needed(f"the page needs {name}", name, "'hopfax[play]'")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port`; port 0 takes a free one.

    Browsers that connect before the page is served wait for it. Raises: `ValueError` if the address cannot be used.
    """
    require(0 <= port < 2**16, f"--port must lie in [0, 65535], got {port}; 0 takes a free one.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(
            f"{host}:{port} cannot be used ({error}); give another --port, or 0 for a free one."
        ) from error


def address(listening: socket.socket) -> str:
    """The address of the page, for a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(listening: socket.socket) -> None:
    """Serve the page, without its code and not editable, until this process is interrupted."""
    marimo, uvicorn = _module("marimo"), _module("uvicorn")
    page = marimo.create_asgi_app(quiet=True).with_app(path="", root=str(PAGE)).build()
    uvicorn.Server(uvicorn.Config(page, log_level="error", timeout_graceful_shutdown=1)).run([listening])


def _module(name: str) -> Any:
    return importlib.import_module(name)
