"""Ctrl-C: one ends a training run at its next safe point, a second one at once, and neither raises inside a library.

Python would raise `KeyboardInterrupt` wherever the main thread is: inside JAX's callbacks it is printed and ignored. So
a thread of its own reads from a socket, to which Python writes a byte for each SIGINT, even while a library computes.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 130
PATIENCE = 1.0  # seconds until a message says that the run is about to end
_CLEAR_LINE, _SHOW_CURSOR = "\r\x1b[2K", "\x1b[?25h"


class Interrupted(BaseException):
    """The run has ended at a safe point, because somebody asked for it; the message says how to go on."""


class _Run:
    """The run of this process: how to go on after an interrupt, and whether it has a safe point ahead."""

    def __init__(self) -> None:
        self.lock, self.word = threading.Lock(), threading.Lock()
        self.said = False
        self.message: Callable[[], str] = lambda: "interrupted"
        self.safe_point_ahead = self.asked_to_end = False

    def ask_to_end(self) -> bool:
        """Ask the run to end at its next safe point. Returns: whether it has one."""
        with self.lock:
            self.asked_to_end = self.safe_point_ahead
            return self.asked_to_end

    def reach_safe_point(self, more: bool) -> None:
        with self.lock:
            asked, self.asked_to_end, self.safe_point_ahead = self.asked_to_end, False, more
        if asked:
            raise Interrupted(self.message())


_run = _Run()


def watch_interrupts() -> None:
    """Let a thread of its own wait for SIGINT, unless that is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    threading.Thread(target=_wait_for_interrupts, args=(receiver, sender), daemon=True).start()
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda *_: None)


def keep_from_children() -> None:
    """Block SIGINT in this thread, and so in the processes that it will start; a terminal sends it to all of them.

    They end with this process. The tracker of multiprocessing unblocks SIGINT when it starts, so it starts before.
    """
    if sys.platform == "win32":
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def interruptible(message: Callable[[], str]) -> Iterator[None]:
    """A run that may be interrupted at any time, and of which `message` then says where it is and how to go on."""
    before, _run.message, _run.said = _run.message, message, False
    try:
        yield
    finally:
        _run.message, _run.safe_point_ahead = before, False


def safe_point(*, more: bool) -> None:
    """A place where a run can end and nothing is lost. Between two of them an interrupt waits for the next.

    Args: `more`: whether the run has another one ahead.
    Raises: `Interrupted` if an interrupt has asked for it.
    """
    _run.reach_safe_point(more)


def exit_at_once() -> None:
    """End this process as interrupted, without Python's own clean-up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)


def say_once(say: Callable[[], None]) -> None:
    """Call `say`, which prints how to go on, unless that was said: a second Ctrl-C may come as the run ends."""
    if _run.word.acquire(timeout=PATIENCE):
        with contextlib.ExitStack() as stack:
            stack.callback(_run.word.release)
            if not _run.said:
                _run.said = True
                say()


def _wait_for_interrupts(receiver: socket.socket, sender: socket.socket) -> None:
    """Args: `sender` is kept from being closed."""
    _wait_for_interrupt(receiver)
    if _run.ask_to_end():
        notice = threading.Timer(PATIENCE, _announce)
        notice.daemon = True
        notice.start()
        _wait_for_interrupt(receiver)
    _end_at_once()


def _wait_for_interrupt(receiver: socket.socket) -> None:
    while receiver.recv(1) != bytes([signal.SIGINT]):
        pass  # another signal


def _announce() -> None:
    if _run.asked_to_end:
        _write("hopfax: ending at the next safe point; press Ctrl-C again to end at once")


def _end_at_once() -> None:
    """End this process and its children, without Python's own clean-up, which would wait for JAX."""
    try:
        _end_children()
        say_once(lambda: _write(f"hopfax: {_run.message()}"))
    finally:
        os._exit(EXIT_CODE)


def _end_children() -> None:
    """Kill them: what they have saved is whole, and SIGINT does not reach them."""
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            if child.pid is not None:
                with contextlib.suppress(OSError):
                    os.kill(child.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def _write(line: str) -> None:
    """A line on standard error, in place of a progress bar on a terminal."""
    terminal = os.isatty(2)
    with contextlib.suppress(OSError):
        before, after = (_CLEAR_LINE, _SHOW_CURSOR) if terminal else ("", "")
        os.write(2, f"{before}{line}{after}\n".encode())
