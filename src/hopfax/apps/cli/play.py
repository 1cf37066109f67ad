"""`hopfax play`: a page in the browser to try a memory."""

import webbrowser
from typing import Annotated

import typer

from ..._internal.compiled import cache_compiled_code


def play(
    port: Annotated[int, typer.Option("--port", help="Port of the page; 0 takes a free one.")] = 2718,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to serve the page at. The default is open to this machine only."
        ),
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Open a page in the browser: recall digits, and drag patterns over their energy landscape.

    Ctrl-C ends it.

    Example: hopfax play --port 8000 --no-browser
    """
    from ..play.serving import address, check_installed, listen, serve

    check_installed()
    with listen(host, port) as listening:
        typer.echo(f"hopfax play: {address(listening)} (Ctrl-C ends it)")
        cache_compiled_code()
        if not no_browser:
            webbrowser.open(address(listening))
        serve(listening)
