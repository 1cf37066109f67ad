import gc
import os
import shutil
from importlib.metadata import version
from pathlib import Path

# Before JAX is imported: tests need neither an accelerator nor many compiler threads.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compilation fills the suite's time: compile less thoroughly, and in one piece. The results are the same to rounding.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_parallel_codegen_split_count=1"
    # Later versions end with an error where they meet this flag.
    + (" --xla_cpu_use_fusion_emitters=false" if version("jaxlib") < "0.12" else ""),
)

import jax
import jax.random as jr
import matplotlib
import pytest

MAPS = 40_000  # from which compiled code is let go
LEAST_SECONDS = 0.03  # of compiling what is kept for the next run; writing the many small ones takes longer
MOST_BYTES = 500_000_000  # of compiled code kept for the next run

gc.set_threshold(100_000, 20, 100)  # tracing makes many small objects, nearly all without circles
matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Compiled code is kept for the next run, in one folder for all workers. `pytest --cache-clear` compiles anew.

    JAX does not write its files atomically. A worker that reads a part of one compiles, with a warning. The
    environment's own JAX_COMPILATION_CACHE_DIR is used where it is set.
    """
    # By default the folder is a part of the key, so that code moved to another folder is not found there.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = config.cache.mkdir("compiled")
    if "PYTEST_XDIST_WORKER" not in os.environ and _bytes_of(folder) > MOST_BYTES:
        shutil.rmtree(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)


def pytest_collection_finish():
    """No circles are looked for among the modules."""
    gc.freeze()


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


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
    """The maps of this process; 0 where the system does not list them."""
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


@pytest.fixture(scope="session")
def mnist():
    """Full MNIST, for tests marked `mnist`. Where it is missing they fail in CI and are skipped elsewhere."""
    from hopfax import data

    try:
        return data.mnist(download=False)
    except data.MissingDataError as error:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        return refuse(str(error))
