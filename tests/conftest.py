import os
from pathlib import Path

# Before JAX is imported: tests need neither an accelerator nor many compiler threads.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compilation fills the suite's time: compile less thoroughly, the results are the same.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax
import jax.random as jr
import matplotlib
import pytest

MAPS = 20_000  # from which compiled code is let go

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def getkey():
    """A function that gives a new random key at each call, the same sequence in every run."""
    keys = iter(jr.split(jr.key(5678), 1000))
    return lambda: next(keys)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A folder in which the processes that tests start share compiled code."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True)
def _own_compiled_code(monkeypatch, compiled):
    """Commands that tests run leave the user's cache folder, and the settings of this process, as they are."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(compiled))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(autouse=True, scope="module")
def _bounded_compiled_code():
    """Compiled code is let go between files once there is much of it.

    Each compiled function is a few maps of memory. Linux gives a process 65,530 (`vm.max_map_count`); past that,
    compiling ends in a segmentation fault. All tests together need about twice as many.
    """
    yield
    if _maps() > MAPS:
        jax.clear_caches()


def _maps() -> int:
    """Of this process; 0 where the system does not tell."""
    told = Path("/proc/self/maps")
    return told.read_bytes().count(b"\n") if told.exists() else 0


@pytest.fixture(scope="session")
def mnist():
    """Full MNIST, for tests marked `mnist`. Where it is missing they fail in CI and are skipped elsewhere."""
    from hopfax import data

    try:
        return data.mnist(download=False)
    except data.MissingDataError as error:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        return refuse(str(error))
