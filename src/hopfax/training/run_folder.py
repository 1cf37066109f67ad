"""The folder of a run: made if it is not there, empty unless resumed, and one run's alone while it lasts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from .._internal.files import PARTIAL_SUFFIX

LOCK = ".lock"


@contextlib.contextmanager
def opened(folder: Path, *, resume: bool) -> Iterator[None]:
    """Hold the folder, and first remove what a killed run had half written.

    The lock is one of the operating system, on the file `.lock`: it goes with the process that held it, however that
    ends, so that none is ever stale; the file stays.
    Raises: `ValueError` if another run holds the folder, or it is in use and not to be resumed; `OSError` if it cannot
    be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not resume and any(path.name != LOCK for path in folder.iterdir()):
        raise ValueError(
            f"`{folder}` is not empty; resume the run in it with --resume, or name another folder."
        )
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(folder / LOCK, timeout=0))
        except Timeout:
            raise ValueError(
                f"`{folder}` is used by another run, which holds its {LOCK}; wait until that has ended, or name "
                "another folder."
            ) from None
        _remove_parts(folder)
        yield


def _remove_parts(folder: Path) -> None:
    """Files under the temporary names of `checkpoint.write_atomic`, which a killed run leaves behind."""
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        path.unlink(missing_ok=True)
