"""The folder of a run: made if needed, empty unless resumed, and locked while the run lasts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .._internal.files import PARTIAL_SUFFIX
from .._internal.optional import needed

LOCK = ".lock"


@contextlib.contextmanager
def open_run_folder(folder: Path, *, resume: bool) -> Iterator[None]:
    """Lock the folder, and remove the partial files of a killed run.

    It is a lock of the operating system, on the file `.lock`. It ends with the process that holds it, however the
    process ends, so no lock is ever stale. The file stays.
    Raises: `ValueError` if another run holds the folder, or it is not empty and `resume` is false; `OSError` if it
    cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not resume and any(path.name != LOCK for path in folder.iterdir()):
        raise ValueError(
            f"`{folder}` is not empty; resume the run in it with --resume, or name another folder."
        )
    filelock = needed("training in a folder needs filelock", "filelock", "'hopfax[apps]'")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(folder / LOCK, timeout=0))
        except filelock.Timeout:
            raise ValueError(
                f"`{folder}` is used by another run, which holds its {LOCK}; wait until that has ended, or name "
                "another folder."
            ) from None
        _remove_parts(folder)
        yield


def _remove_parts(folder: Path) -> None:
    """Remove the files with the temporary names of `write_atomic`, which a killed run leaves behind."""
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        path.unlink(missing_ok=True)
