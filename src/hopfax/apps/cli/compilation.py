"""What JAX needs before a command starts to compute."""

import os
from pathlib import Path


def keep_compiled_code() -> None:
    """Let JAX keep compiled code in the user's cache folder, where that can be written.

    A folder named by `JAX_COMPILATION_CACHE_DIR` goes first.
    """
    import jax
    import pooch

    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    folder = Path(pooch.os_cache("hopfax")) / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
