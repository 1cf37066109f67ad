"""`hopfax play`: a page in the browser to try a memory on."""

import webbrowser
from typing import Annotated

import typer

from .compilation import keep_compiled_code


def play(
    port: Annotated[int, typer.Option("--port", help="Where the page is served; 0 takes a free one.")] = 2718,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others can only reach another one than this.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open a page to play with: recall destroyed digits, drag patterns over their energy. Ctrl-C ends it.

    Example: hopfax play --port 8000 --no-browser
    """
    from ..play.serving import address, check_installed, listen, serve

    check_installed()
    with listen(host, port) as listening:
        typer.echo(f"hopfax play: {address(listening)} (Ctrl-C ends it)")
        keep_compiled_code()
        if not no_browser:
            webbrowser.open(address(listening))
        serve(listening)
