"""JAX's cache of compiled code on disk, which later processes read.

Importing this module does not import JAX, so that commands show their help at once.
"""

import os
from pathlib import Path
from typing import Any

LEAST_SECONDS = 0.3  # of compilation; what compiles faster is not stored
DEFAULT_LEAST_SECONDS = 1.0  # JAX's own


def cache_compiled_code() -> None:
    """Let JAX store compiled code in the folder `hopfax/compiled` of the user's cache, for later processes.

    Nothing changes where JAX has a folder already (`JAX_COMPILATION_CACHE_DIR`, `jax_compilation_cache_dir`), where
    the user's cache cannot be written, or where pooch, which locates it, is not installed. The setting
    holds for all that this process compiles from now on. `JAX_ENABLE_COMPILATION_CACHE=false` turns it off.
    """
    import jax

    if _setting("jax_compilation_cache_dir") or (folder := _folder()) is None:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if _setting("jax_persistent_cache_min_compile_time_secs") == DEFAULT_LEAST_SECONDS:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)


def share_compiled_code() -> None:
    """Let child processes use the same cache: runs that differ only in the seed compile the same code."""
    if folder := _setting("jax_compilation_cache_dir"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)


def _folder() -> Path | None:
    """The folder, made if it does not exist; None where it cannot be written."""
    try:
        import pooch

        folder = Path(pooch.os_cache("hopfax")) / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
    except (ImportError, OSError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def _setting(name: str) -> Any:
    import jax

    return getattr(jax.config, name)
